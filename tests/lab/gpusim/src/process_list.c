/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The process lists of NVML: versions 1 to 3, details, utilization, names.
 *
 * All lists keep one rule: the count that comes in is the room of the array; if it is too small the answer is
 * INSUFFICIENT_SIZE and the count that is needed. Holders are in no list.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mig.h"

#define MIB (1024ULL * 1024ULL)
#define NO_INSTANCE 0xFFFFFFFFU

/* A GPU handle sees all processes, a MIG device those of its compute instance. */
static int is_listed(const struct gs_call *call, const struct gs_process *process, int kind)
{
    if (!process->pid || process->kind == GS_HOLDER || (kind >= 0 && (int)process->kind != kind))
        return 0;
    if (!call->mig)
        return 1;
    return process->gi == (int32_t)call->gi->id && (process->ci == (int32_t)call->ci->id || process->ci < 0);
}

/* Collect the processes; returns how many. On a GPU in MIG mode the sum is for the privileged only (nvml.h). */
static nvmlReturn_t collect(const struct gs_call *call, int kind, const struct gs_process **found, unsigned int *count)
{
    *count = 0;
    if (!call->mig && call->gpu->mig_current && !gs_is_root())
        return NVML_ERROR_NO_PERMISSION;
    gs_prune(call->gpu);
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        if (is_listed(call, &call->gpu->processes[i], kind))
            found[(*count)++] = &call->gpu->processes[i];
    }
    return NVML_SUCCESS;
}

static nvmlReturn_t check_room(unsigned int *room, unsigned int count, const void *array)
{
    unsigned int given = *room;

    *room = count;
    if (given < count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    return count && !array ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

static unsigned int instance(int32_t id)
{
    return id < 0 ? NO_INSTANCE : (unsigned int)id;
}

static nvmlReturn_t list_v1(const struct gs_call *call, int kind, unsigned int *room, nvmlProcessInfo_v1_t *infos)
{
    const struct gs_process *found[GS_MAX_PROCESSES];
    unsigned int count;
    nvmlReturn_t result = collect(call, kind, found, &count);

    if (result == NVML_SUCCESS)
        result = check_room(room, count, infos);
    for (unsigned int i = 0; result == NVML_SUCCESS && i < count; i++)
        infos[i] = (nvmlProcessInfo_v1_t){.pid = (unsigned int)found[i]->pid, .usedGpuMemory = found[i]->mib * MIB};
    return result;
}

static nvmlReturn_t list_v2(const struct gs_call *call, int kind, unsigned int *room, nvmlProcessInfo_v2_t *infos)
{
    const struct gs_process *found[GS_MAX_PROCESSES];
    unsigned int count;
    nvmlReturn_t result = collect(call, kind, found, &count);

    if (result == NVML_SUCCESS)
        result = check_room(room, count, infos);
    for (unsigned int i = 0; result == NVML_SUCCESS && i < count; i++) {
        infos[i] = (nvmlProcessInfo_v2_t){.pid = (unsigned int)found[i]->pid, .usedGpuMemory = found[i]->mib * MIB,
                                          .gpuInstanceId = instance(found[i]->gi),
                                          .computeInstanceId = instance(found[i]->ci)};
    }
    return result;
}

#define GS_LIST(function, list, type, kind)                                                  \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *infoCount, type *infos)         \
    {                                                                                        \
        GS_ENTER_DEVICE(c, device, infoCount != NULL, GS_ANY_DEVICE);                        \
        return gs_leave(&c, list(&c, kind, infoCount, infos));                               \
    }

GS_LIST(nvmlDeviceGetComputeRunningProcesses, list_v1, nvmlProcessInfo_v1_t, GS_COMPUTE)
GS_LIST(nvmlDeviceGetComputeRunningProcesses_v2, list_v2, nvmlProcessInfo_v2_t, GS_COMPUTE)
GS_LIST(nvmlDeviceGetComputeRunningProcesses_v3, list_v2, nvmlProcessInfo_t, GS_COMPUTE)
GS_LIST(nvmlDeviceGetGraphicsRunningProcesses, list_v1, nvmlProcessInfo_v1_t, GS_GRAPHICS)
GS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, list_v2, nvmlProcessInfo_v2_t, GS_GRAPHICS)
GS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, list_v2, nvmlProcessInfo_t, GS_GRAPHICS)
GS_LIST(nvmlDeviceGetMPSComputeRunningProcesses, list_v1, nvmlProcessInfo_v1_t, GS_MPS)
GS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, list_v2, nvmlProcessInfo_v2_t, GS_MPS)
GS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, list_v2, nvmlProcessInfo_t, GS_MPS)

static int kind_of_mode(unsigned int mode)
{
    return mode == NVML_PROCESS_MODE_ALL ? -1 : (int)mode; /* the modes count as enum gs_kind does */
}

static nvmlReturn_t list_details(const struct gs_call *call, nvmlProcessDetailList_t *list)
{
    const struct gs_process *found[GS_MAX_PROCESSES];
    unsigned int count;
    nvmlReturn_t result;

    if (list->version != NVML_STRUCT_VERSION(ProcessDetailList, 1) || list->mode >= NVML_PROCESS_MODE_MAX)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = collect(call, kind_of_mode(list->mode), found, &count);
    if (result == NVML_SUCCESS)
        result = check_room(&list->numProcArrayEntries, count, list->procArray);
    for (unsigned int i = 0; result == NVML_SUCCESS && i < count; i++) {
        list->procArray[i] = (nvmlProcessDetail_v1_t){
            .pid = (unsigned int)found[i]->pid, .usedGpuMemory = found[i]->mib * MIB,
            .gpuInstanceId = instance(found[i]->gi), .computeInstanceId = instance(found[i]->ci)};
    }
    return result;
}

nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_t *plist)
{
    GS_ENTER_DEVICE(c, device, plist != NULL, GS_ANY_DEVICE);
    return gs_leave(&c, list_details(&c, plist));
}

static unsigned long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned long long)now.tv_sec * 1000000ULL + (unsigned long long)now.tv_nsec / 1000ULL;
}

/* Processes with some SM use have one sample, taken now. */
static unsigned int collect_active(const struct gs_call *call, const struct gs_process **found)
{
    const struct gs_process *all[GS_MAX_PROCESSES];
    unsigned int count = 0, active = 0;

    if (collect(call, -1, all, &count) != NVML_SUCCESS)
        return 0;
    for (unsigned int i = 0; i < count; i++) {
        if (all[i]->sm_percent)
            found[active++] = all[i];
    }
    return active;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *utilization,
                                             unsigned int *processSamplesCount, unsigned long long lastSeenTimeStamp)
{
    const struct gs_process *found[GS_MAX_PROCESSES];
    unsigned int count;
    nvmlReturn_t result = NVML_SUCCESS;

    GS_ENTER_DEVICE(c, device, processSamplesCount != NULL, GS_GPU_ONLY);
    count = collect_active(&c, found);
    if (c.gpu->mig_current)
        result = NVML_ERROR_NOT_SUPPORTED;
    else if (count == 0 || lastSeenTimeStamp > now_us())
        result = NVML_ERROR_NOT_FOUND;
    else
        result = check_room(processSamplesCount, count, utilization);
    for (unsigned int i = 0; result == NVML_SUCCESS && i < count; i++) {
        utilization[i] = (nvmlProcessUtilizationSample_t){
            .pid = (unsigned int)found[i]->pid, .timeStamp = now_us(), .smUtil = found[i]->sm_percent};
    }
    return gs_leave(&c, result);
}

static const char *known_name(const struct gs_state *st, unsigned int pid)
{
    for (uint32_t g = 0; g < st->gpu_count; g++) {
        for (int i = 0; i < GS_MAX_PROCESSES; i++) {
            if (st->gpus[g].processes[i].pid == (int32_t)pid && st->gpus[g].processes[i].name[0])
                return st->gpus[g].processes[i].name;
        }
    }
    return NULL;
}

static nvmlReturn_t system_name(unsigned int pid, char *name, unsigned int length)
{
    char path[32], text[256];
    FILE *file;
    size_t size;

    snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    file = fopen(path, "re");
    if (!file)
        return NVML_ERROR_NOT_FOUND;
    size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = 0;
    snprintf(name, length, "%s", text);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    const char *known;
    nvmlReturn_t result = NVML_SUCCESS;

    GS_ENTER_SYSTEM(c, name != NULL && length != 0, 0);
    known = known_name(c.st, pid);
    if (known)
        snprintf(name, length, "%s", known);
    else
        result = system_name(pid, name, length);
    return gs_leave(&c, result);
}
