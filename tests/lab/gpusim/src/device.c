/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Finding a GPU and its identity.
 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mig.h"

nvmlReturn_t nvmlDeviceGetCount(unsigned int *deviceCount)
{
    GS_ENTER_SYSTEM(c, deviceCount != NULL, 0);
    *deviceCount = c.st->gpu_count;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount)
{
    GS_ENTER_SYSTEM(c, deviceCount != NULL, 0);
    *deviceCount = c.st->gpu_count;
    return gs_leave(&c, NVML_SUCCESS);
}

static nvmlReturn_t take_handle(struct gs_call *call, struct gs_gpu *gpu, nvmlDevice_t *device)
{
    if (gpu->values[V_LOST] == 1)
        return NVML_ERROR_GPU_IS_LOST;
    *device = gs_gpu_handle(call->st, gpu);
    return NVML_SUCCESS;
}

static nvmlReturn_t handle_by_index(struct gs_call *call, unsigned int index, nvmlDevice_t *device)
{
    if (index >= call->st->gpu_count)
        return NVML_ERROR_INVALID_ARGUMENT;
    return take_handle(call, &call->st->gpus[index], device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    GS_ENTER_SYSTEM(c, device != NULL, 0);
    return gs_leave(&c, handle_by_index(&c, index, device));
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    GS_ENTER_SYSTEM(c, device != NULL, 0);
    return gs_leave(&c, handle_by_index(&c, index, device));
}

/* A GPU UUID, a MIG UUID, or the old form MIG-GPU-<uuid>/<GPU instance>/<compute instance>. */
static nvmlReturn_t handle_by_uuid(struct gs_call *call, const char *uuid, nvmlDevice_t *device)
{
    for (uint32_t i = 0; i < call->st->gpu_count; i++) {
        struct gs_gpu *gpu = &call->st->gpus[i];

        if (strcasecmp(uuid, gpu->uuid) == 0)
            return take_handle(call, gpu, device);
        if (gs_mig_by_uuid(call->st, gpu, uuid, device))
            return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    GS_ENTER_SYSTEM(c, uuid != NULL && device != NULL, 0);
    return gs_leave(&c, handle_by_uuid(&c, uuid, device));
}

nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
    char text[NVML_DEVICE_UUID_ASCII_LEN + 1];
    nvmlReturn_t result;

    GS_ENTER_SYSTEM(c, uuid != NULL && device != NULL, 0);
    result = gs_check_version(uuid->version, NVML_STRUCT_VERSION(UUID, 1));
    if (result == NVML_SUCCESS && uuid->type != NVML_UUID_TYPE_ASCII)
        result = NVML_ERROR_INVALID_ARGUMENT; /* binary UUIDs are not modelled */
    if (result == NVML_SUCCESS) {
        snprintf(text, sizeof(text), "%.*s", NVML_DEVICE_UUID_ASCII_LEN, uuid->value.str);
        result = handle_by_uuid(&c, text, device);
    }
    return gs_leave(&c, result);
}

static nvmlReturn_t handle_by_pci(struct gs_call *call, const char *text, nvmlDevice_t *device)
{
    unsigned int domain, bus, slot, function = 0;

    if (sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3) {
        domain = 0;
        if (sscanf(text, "%x:%x.%x", &bus, &slot, &function) < 2)
            return NVML_ERROR_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < call->st->gpu_count; i++) {
        struct gs_gpu *gpu = &call->st->gpus[i];

        if (gpu->domain == domain && gpu->bus == bus && slot == 0 && function == 0)
            return take_handle(call, gpu, device);
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *pciBusId, nvmlDevice_t *device)
{
    GS_ENTER_SYSTEM(c, pciBusId != NULL && device != NULL, 0);
    return gs_leave(&c, handle_by_pci(&c, pciBusId, device));
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId, nvmlDevice_t *device)
{
    GS_ENTER_SYSTEM(c, pciBusId != NULL && device != NULL, 0);
    return gs_leave(&c, handle_by_pci(&c, pciBusId, device));
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    nvmlReturn_t result = NVML_ERROR_NOT_FOUND;

    GS_ENTER_SYSTEM(c, serial != NULL && device != NULL, 0);
    for (uint32_t i = 0; i < c.st->gpu_count && result == NVML_ERROR_NOT_FOUND; i++) {
        if (strcmp(serial, c.st->gpus[i].serial) == 0)
            result = take_handle(&c, &c.st->gpus[i], device);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    char text[NVML_DEVICE_NAME_V2_BUFFER_SIZE];

    GS_ENTER_DEVICE(c, device, name != NULL, GS_IDENTITY);
    snprintf(text, sizeof(text), "%s", gs_board_of(c.gpu)->name);
    if (c.mig) {
        char instance[48];

        gs_ci_name(c.gpu, c.gi, c.ci->profile_enum, instance, sizeof(instance));
        snprintf(text, sizeof(text), "%s %s", gs_board_of(c.gpu)->name, instance);
    }
    return gs_leave(&c, gs_copy_string(name, length, text));
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    GS_ENTER_DEVICE(c, device, uuid != NULL, GS_IDENTITY);
    return gs_leave(&c, gs_copy_string(uuid, length, c.mig ? c.ci->uuid : c.gpu->uuid));
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    GS_ENTER_DEVICE(c, device, index != NULL, GS_IDENTITY);
    *index = c.mig ? c.ci->mig_index : (unsigned int)(c.gpu - c.st->gpus);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minorNumber)
{
    GS_ENTER_DEVICE(c, device, minorNumber != NULL, GS_GPU_ONLY | GS_IDENTITY);
    *minorNumber = c.gpu->minor;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetModuleId(nvmlDevice_t device, unsigned int *moduleId)
{
    GS_ENTER_DEVICE(c, device, moduleId != NULL, GS_GPU_ONLY | GS_IDENTITY);
    *moduleId = (unsigned int)(c.gpu - c.st->gpus) + 1;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned int length)
{
    GS_ENTER_DEVICE(c, device, serial != NULL, GS_GPU_ONLY | GS_IDENTITY);
    return gs_leave(&c, gs_copy_string(serial, length, c.gpu->serial));
}

nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, nvmlBrandType_t *type)
{
    GS_ENTER_DEVICE(c, device, type != NULL, GS_ANY_DEVICE);
    *type = gs_board_of(c.gpu)->brand;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, nvmlDeviceArchitecture_t *arch)
{
    GS_ENTER_DEVICE(c, device, arch != NULL, GS_ANY_DEVICE);
    *arch = gs_board_of(c.gpu)->architecture;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    GS_ENTER_DEVICE(c, device, major != NULL && minor != NULL, GS_ANY_DEVICE);
    *major = gs_board_of(c.gpu)->cc_major;
    *minor = gs_board_of(c.gpu)->cc_minor;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, char *partNumber, unsigned int length)
{
    GS_ENTER_DEVICE(c, device, partNumber != NULL, GS_GPU_ONLY);
    return gs_leave(&c, gs_copy_string(partNumber, length, gs_board_of(c.gpu)->part_number));
}

nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    GS_ENTER_DEVICE(c, device, version != NULL, GS_GPU_ONLY);
    return gs_leave(&c, gs_copy_string(version, length, gs_board_of(c.gpu)->vbios));
}
