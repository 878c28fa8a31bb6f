/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ECC counters. Counting needs ECC to be on.
 */
#include "ecc.h"

static unsigned long long number(const struct gs_gpu *gpu, enum gs_value value)
{
    return gpu->values[value] == GS_NONE ? 0 : (unsigned long long)gpu->values[value];
}

nvmlReturn_t gs_ecc_sum(const struct gs_gpu *gpu, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter, int location,
                        unsigned long long *sum)
{
    /* The aggregate block follows the volatile one in the same order. */
    int base = counter == NVML_VOLATILE_ECC ? V_ECC_VOL_SRAM_COR : V_ECC_AGG_SRAM_COR;
    int corrected = type == NVML_MEMORY_ERROR_TYPE_CORRECTED;
    unsigned long long sram, dram;

    if (gpu->values[V_ECC_CURRENT] != 1)
        return NVML_ERROR_NOT_SUPPORTED;
    sram = corrected ? number(gpu, (enum gs_value)base)
                     : number(gpu, (enum gs_value)(base + 1)) + number(gpu, (enum gs_value)(base + 2));
    dram = number(gpu, (enum gs_value)(base + (corrected ? 3 : 4)));
    *sum = (location != NVML_MEMORY_LOCATION_DRAM ? sram : 0) + (location != NVML_MEMORY_LOCATION_SRAM ? dram : 0);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                         nvmlEccCounterType_t counterType, unsigned long long *eccCounts)
{
    GS_ENTER_DEVICE(c, device, eccCounts != NULL && errorType < NVML_MEMORY_ERROR_TYPE_COUNT &&
                    counterType < NVML_ECC_COUNTER_TYPE_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, gs_ecc_sum(c.gpu, errorType, counterType, -1, eccCounts));
}

nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                             nvmlEccCounterType_t counterType, nvmlMemoryLocation_t locationType,
                                             unsigned long long *count)
{
    GS_ENTER_DEVICE(c, device, count != NULL && errorType < NVML_MEMORY_ERROR_TYPE_COUNT &&
                    counterType < NVML_ECC_COUNTER_TYPE_COUNT && locationType < NVML_MEMORY_LOCATION_COUNT, GS_GPU_ONLY);
    if (locationType != NVML_MEMORY_LOCATION_DRAM && locationType != NVML_MEMORY_LOCATION_SRAM)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED); /* Turing and later count DRAM and SRAM only */
    return gs_leave(&c, gs_ecc_sum(c.gpu, errorType, counterType, (int)locationType, count));
}

nvmlReturn_t nvmlDeviceClearEccErrorCounts(nvmlDevice_t device, nvmlEccCounterType_t counterType)
{
    int base = counterType == NVML_VOLATILE_ECC ? V_ECC_VOL_SRAM_COR : V_ECC_AGG_SRAM_COR;

    GS_ENTER_DEVICE(c, device, counterType < NVML_ECC_COUNTER_TYPE_COUNT, GS_GPU_ONLY);
    if (c.gpu->values[V_ECC_CURRENT] != 1)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    gs_begin(c.st, c.gpu);
    for (int i = 0; i < 5; i++)
        c.gpu->values[base + i] = 0;
    gs_commit(c.st);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device, nvmlEccSramErrorStatus_t *status)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, status != NULL, GS_GPU_ONLY);
    result = gs_check_version(status->version, NVML_STRUCT_VERSION(EccSramErrorStatus, 1));
    if (result == NVML_SUCCESS && c.gpu->values[V_ECC_CURRENT] != 1)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (result == NVML_SUCCESS) {
        *status = (nvmlEccSramErrorStatus_t){
            .version = status->version,
            .aggregateUncParity = number(c.gpu, V_ECC_AGG_SRAM_PARITY),
            .aggregateUncSecDed = number(c.gpu, V_ECC_AGG_SRAM_SECDED),
            .aggregateCor = number(c.gpu, V_ECC_AGG_SRAM_COR),
            .volatileUncParity = number(c.gpu, V_ECC_VOL_SRAM_PARITY),
            .volatileUncSecDed = number(c.gpu, V_ECC_VOL_SRAM_SECDED),
            .volatileCor = number(c.gpu, V_ECC_VOL_SRAM_COR),
            .aggregateUncBucketL2 = number(c.gpu, V_ECC_AGG_SRAM_PARITY) + number(c.gpu, V_ECC_AGG_SRAM_SECDED),
            .bThresholdExceeded = (unsigned int)number(c.gpu, V_ECC_SRAM_THRESHOLD)};
    }
    return gs_leave(&c, result);
}
