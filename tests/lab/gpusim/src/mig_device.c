/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MIG device handles: compute instances seen as devices.
 */
#include "mig.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct gs_ci *ci_where(struct gs_gpu *gpu, int (*wanted)(const struct gs_ci *, const void *), const void *key,
                              struct gs_gi **gi)
{
    for (int i = 0; gpu->mig_current && i < GS_MAX_GI; i++) {
        for (int j = 0; gpu->gis[i].used && j < GS_MAX_CI; j++) {
            struct gs_ci *ci = &gpu->gis[i].cis[j];

            if (ci->used && wanted(ci, key)) {
                *gi = &gpu->gis[i];
                return ci;
            }
        }
    }
    return NULL;
}

static int has_uuid(const struct gs_ci *ci, const void *uuid)
{
    return strcasecmp(ci->uuid, uuid) == 0;
}

static int has_index(const struct gs_ci *ci, const void *index)
{
    return ci->mig_index == *(const unsigned int *)index;
}

static struct gs_ci *ci_by_old_name(struct gs_gpu *gpu, const char *name, struct gs_gi **gi)
{
    size_t length = strlen(gpu->uuid);
    unsigned int gi_id, ci_id;

    if (strncmp(name, "MIG-", 4) != 0 || strncasecmp(name + 4, gpu->uuid, length) != 0 ||
        sscanf(name + 4 + length, "/%u/%u", &gi_id, &ci_id) != 2)
        return NULL;
    *gi = gs_gi_by_id(gpu, gi_id);
    return *gi ? gs_ci_by_id(*gi, ci_id) : NULL;
}

int gs_mig_by_uuid(struct gs_state *st, struct gs_gpu *gpu, const char *uuid, nvmlDevice_t *device)
{
    struct gs_gi *gi = NULL;
    struct gs_ci *ci = ci_where(gpu, has_uuid, uuid, &gi);

    if (!ci)
        ci = ci_by_old_name(gpu, uuid, &gi);
    if (ci)
        *device = gs_mig_handle(st, gpu, gi, ci);
    return ci != NULL;
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *isMigDevice)
{
    GS_ENTER_DEVICE(c, device, isMigDevice != NULL, GS_IDENTITY);
    *isMigDevice = (unsigned int)c.mig;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id)
{
    GS_ENTER_DEVICE(c, device, id != NULL, GS_MIG_ONLY);
    *id = c.gi->id;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id)
{
    GS_ENTER_DEVICE(c, device, id != NULL, GS_MIG_ONLY);
    *id = c.ci->id;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    *count = c.gpu->mig_current ? gs_board_of(c.gpu)->compute_slices : 0;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *migDevice)
{
    struct gs_gi *gi;
    struct gs_ci *ci;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, migDevice != NULL, GS_GPU_ONLY);
    result = gs_check_capable(&c);
    ci = ci_where(c.gpu, has_index, &index, &gi);
    if (result == NVML_SUCCESS && !ci)
        result = NVML_ERROR_NOT_FOUND;
    if (result == NVML_SUCCESS)
        *migDevice = gs_mig_handle(c.st, c.gpu, gi, ci);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t migDevice, nvmlDevice_t *device)
{
    GS_ENTER_DEVICE(c, migDevice, device != NULL, GS_MIG_ONLY);
    *device = gs_gpu_handle(c.st, c.gpu);
    return gs_leave(&c, NVML_SUCCESS);
}

static void fill_attributes(const struct gs_call *call, nvmlDeviceAttributes_t *attributes)
{
    const struct gs_profile *profile = gs_profile_of(call->gpu, call->gi);
    struct gs_ci_profile compute = {0};

    gs_ci_profile(call->gpu, call->gi, call->ci->profile_enum, &compute);
    *attributes = (nvmlDeviceAttributes_t){
        .multiprocessorCount = compute.sm, .sharedCopyEngineCount = profile->engines[GS_COPY],
        .sharedDecoderCount = profile->engines[GS_DECODER], .sharedEncoderCount = profile->engines[GS_ENCODER],
        .sharedJpegCount = profile->engines[GS_JPEG], .sharedOfaCount = profile->engines[GS_OFA],
        .gpuInstanceSliceCount = profile->slices, .computeInstanceSliceCount = call->ci->size,
        .memorySizeMB = profile->mib};
}

nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
    GS_ENTER_DEVICE(c, device, attributes != NULL, GS_MIG_ONLY);
    fill_attributes(&c, attributes);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
    GS_ENTER_DEVICE(c, device, attributes != NULL, GS_MIG_ONLY);
    fill_attributes(&c, attributes);
    return gs_leave(&c, NVML_SUCCESS);
}
