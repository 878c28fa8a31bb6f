/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Memory and utilization.
 */
#include "mig.h"

#define MIB (1024ULL * 1024ULL)

/* On a GPU in MIG mode the sum over all instances is for the privileged only (nvml.h, GetMemoryInfo). */
static nvmlReturn_t check_sum(const struct gs_call *call)
{
    return !call->mig && call->gpu->mig_current && !gs_is_root() ? NVML_ERROR_NO_PERMISSION : NVML_SUCCESS;
}

struct memory {
    unsigned long long total, reserved, used;
};

static struct memory measure(struct gs_call *call)
{
    const struct gs_board *board = gs_board_of(call->gpu);
    int64_t base = call->gpu->values[V_MEMORY_USED];
    struct memory memory;

    gs_prune(call->gpu);
    if (call->mig) {
        memory.total = gs_profile_of(call->gpu, call->gi)->mib;
        memory.reserved = 0;
        memory.used = gs_used_mib(call->gpu, (int)call->gi->id);
    } else {
        memory.total = board->memory_mib;
        memory.reserved = board->reserved_mib;
        memory.used = gs_used_mib(call->gpu, -1) + (base == GS_NONE ? 0 : (unsigned long long)base);
    }
    if (memory.used + memory.reserved > memory.total)
        memory.used = memory.total - memory.reserved;
    return memory;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    nvmlReturn_t result;
    struct memory now;

    GS_ENTER_DEVICE(c, device, memory != NULL, GS_ANY_DEVICE);
    result = check_sum(&c);
    if (result == NVML_SUCCESS) {
        now = measure(&c);
        *memory = (nvmlMemory_t){.total = now.total * MIB, .used = (now.used + now.reserved) * MIB,
                                 .free = (now.total - now.used - now.reserved) * MIB};
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    nvmlReturn_t result;
    struct memory now;

    GS_ENTER_DEVICE(c, device, memory != NULL, GS_ANY_DEVICE);
    result = gs_check_version(memory->version, NVML_STRUCT_VERSION(Memory, 2));
    if (result == NVML_SUCCESS)
        result = check_sum(&c);
    if (result == NVML_SUCCESS) {
        now = measure(&c);
        *memory = (nvmlMemory_v2_t){.version = memory->version, .total = now.total * MIB,
                                    .reserved = now.reserved * MIB, .used = now.used * MIB,
                                    .free = (now.total - now.used - now.reserved) * MIB};
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *bar1Memory)
{
    unsigned long long total;

    GS_ENTER_DEVICE(c, device, bar1Memory != NULL, GS_ANY_DEVICE);
    total = gs_board_of(c.gpu)->bar1_mib * MIB;
    if (c.mig) /* each instance has its share of the window */
        total = total * gs_profile_of(c.gpu, c.gi)->slots / gs_board_of(c.gpu)->slots;
    *bar1Memory = (nvmlBAR1Memory_t){.bar1Total = total, .bar1Used = 2 * MIB, .bar1Free = total - 2 * MIB};
    return gs_leave(&c, NVML_SUCCESS);
}

/* Utilization is not offered on a GPU in MIG mode (nvml.h). */
static nvmlReturn_t utilization(const struct gs_call *call, enum gs_value value, unsigned int *percent)
{
    return call->gpu->mig_current ? NVML_ERROR_NOT_SUPPORTED : gs_value_uint(call->gpu, value, percent);
}

static unsigned int busiest(const struct gs_gpu *gpu)
{
    unsigned int sum = 0;

    for (int i = 0; i < GS_MAX_PROCESSES; i++)
        sum += gpu->processes[i].pid ? gpu->processes[i].sm_percent : 0;
    return sum > 100 ? 100 : sum;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, rates != NULL, GS_GPU_ONLY);
    gs_prune(c.gpu);
    result = utilization(&c, V_UTILIZATION, &rates->gpu);
    if (result == NVML_SUCCESS)
        result = utilization(&c, V_UTILIZATION_MEMORY, &rates->memory);
    if (result == NVML_SUCCESS && rates->gpu < busiest(c.gpu))
        rates->gpu = busiest(c.gpu);
    return gs_leave(&c, result);
}

#define GS_GET_ENGINE(function, value)                                                                         \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *percent, unsigned int *samplingPeriodUs)          \
    {                                                                                                          \
        GS_ENTER_DEVICE(c, device, percent != NULL && samplingPeriodUs != NULL, GS_GPU_ONLY);                  \
        *samplingPeriodUs = 167000;                                                                            \
        return gs_leave(&c, utilization(&c, value, percent));                                                  \
    }

GS_GET_ENGINE(nvmlDeviceGetEncoderUtilization, V_UTILIZATION_ENCODER)
GS_GET_ENGINE(nvmlDeviceGetDecoderUtilization, V_UTILIZATION_DECODER)
GS_GET_ENGINE(nvmlDeviceGetJpgUtilization, V_UTILIZATION_JPEG)
GS_GET_ENGINE(nvmlDeviceGetOfaUtilization, V_UTILIZATION_OFA)

GS_GET_BOARD(nvmlDeviceGetMemoryBusWidth, bus_bits)

nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t device, unsigned int *numCores)
{
    GS_ENTER_DEVICE(c, device, numCores != NULL, GS_GPU_ONLY);
    *numCores = gs_board_of(c.gpu)->sm * gs_board_of(c.gpu)->cores_per_sm;
    return gs_leave(&c, NVML_SUCCESS);
}
