/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Row remapping, retired pages, repairs, InfoROM.
 */
#include <stdio.h>

#include "call.h"

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrRows, unsigned int *uncRows,
                                       unsigned int *isPending, unsigned int *failureOccurred)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, corrRows && uncRows && isPending && failureOccurred, GS_GPU_ONLY);
    result = gs_value_uint(c.gpu, V_REMAP_COR, corrRows);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_UNC, uncRows);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_PENDING, isPending);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_FAILURE, failureOccurred);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetRemappedRows_v2(nvmlDevice_t device, nvmlRemappedRowsInfo_v2_t *info)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, info != NULL, GS_GPU_ONLY);
    *info = (nvmlRemappedRowsInfo_v2_t){0};
    result = gs_value_uint(c.gpu, V_REMAP_COR, &info->corrActiveRemaps);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_UNC, &info->uncActiveRemaps);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_PENDING, &info->bPending);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_FAILURE, &info->bFailureOccurred);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device, nvmlRowRemapperHistogramValues_t *values)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, values != NULL, GS_GPU_ONLY);
    result = gs_value_uint(c.gpu, V_REMAP_MAX, &values->max);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_HIGH, &values->high);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_PARTIAL, &values->partial);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_LOW, &values->low);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REMAP_NONE, &values->none);
    return gs_leave(&c, result);
}

/* The addresses are made up; their number is the reading. */
static nvmlReturn_t list_pages(const struct gs_gpu *gpu, nvmlPageRetirementCause_t cause, unsigned int *count,
                               unsigned long long *addresses, unsigned long long *timestamps)
{
    unsigned int pages = 0, room = *count;
    nvmlReturn_t result = gs_value_uint(
        gpu, cause == NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR ? V_RETIRED_DBE : V_RETIRED_SBE, &pages);

    if (result != NVML_SUCCESS)
        return result;
    *count = pages;
    if (room == 0 && !addresses)
        return NVML_SUCCESS; /* the question how many there are */
    if (room < pages)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (pages && !addresses)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < pages; i++) {
        addresses[i] = 0x10000ULL * (i + 1);
        if (timestamps)
            timestamps[i] = 0;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *pageCount,
                                       unsigned long long *addresses)
{
    GS_ENTER_DEVICE(c, device, pageCount != NULL && cause < NVML_PAGE_RETIREMENT_CAUSE_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, list_pages(c.gpu, cause, pageCount, addresses, NULL));
}

nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                                          unsigned int *pageCount, unsigned long long *addresses,
                                          unsigned long long *timestamps)
{
    GS_ENTER_DEVICE(c, device, pageCount != NULL && cause < NVML_PAGE_RETIREMENT_CAUSE_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, list_pages(c.gpu, cause, pageCount, addresses, timestamps));
}

nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t device, nvmlEnableState_t *isPending)
{
    unsigned int pending = 0;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, isPending != NULL, GS_GPU_ONLY);
    result = gs_value_uint(c.gpu, V_RETIRED_PENDING, &pending);
    *isPending = pending ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetRepairStatus(nvmlDevice_t device, nvmlRepairStatus_t *repairStatus)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, repairStatus != NULL, GS_GPU_ONLY);
    result = gs_check_version(repairStatus->version, NVML_STRUCT_VERSION(RepairStatus, 1));
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REPAIR_CHANNEL, &repairStatus->bChannelRepairPending);
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_REPAIR_TPC, &repairStatus->bTpcRepairPending);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    char text[NVML_DEVICE_INFOROM_VERSION_BUFFER_SIZE];

    GS_ENTER_DEVICE(c, device, version != NULL, GS_GPU_ONLY);
    snprintf(text, sizeof(text), "G%.3s.0200.00.05", gs_board_of(c.gpu)->part_number + 6);
    return gs_leave(&c, gs_copy_string(version, length, text));
}

nvmlReturn_t nvmlDeviceGetInforomVersion(nvmlDevice_t device, nvmlInforomObject_t object, char *version,
                                         unsigned int length)
{
    static const char *const versions[NVML_INFOROM_COUNT] = {"2.1", "7.16", NULL, NULL};

    GS_ENTER_DEVICE(c, device, version != NULL && object < NVML_INFOROM_COUNT, GS_GPU_ONLY);
    if (!versions[object])
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    return gs_leave(&c, gs_copy_string(version, length, versions[object]));
}

nvmlReturn_t nvmlDeviceValidateInforom(nvmlDevice_t device)
{
    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY);
    return gs_leave(&c, NVML_SUCCESS);
}
