/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * nvmlDeviceGetFieldValues: many values by number in one call. What is not in the tables is NOT_SUPPORTED, field by field.
 */
#include <time.h>

#include "ecc.h"

/* A field that is one value of the GPU. The unit of the field is that of the value unless divided. */
static const struct {
    unsigned int field;
    enum gs_value value;
    int wide; /* unsigned long long instead of unsigned int */
} plain_fields[] = {
    {NVML_FI_DEV_ECC_CURRENT, V_ECC_CURRENT, 0},
    {NVML_FI_DEV_ECC_PENDING, V_ECC_PENDING, 0},
    {NVML_FI_DEV_RETIRED_SBE, V_RETIRED_SBE, 0},
    {NVML_FI_DEV_RETIRED_DBE, V_RETIRED_DBE, 0},
    {NVML_FI_DEV_RETIRED_PENDING, V_RETIRED_PENDING, 0},
    {NVML_FI_DEV_PERF_POLICY_POWER, V_VIOLATION_POWER, 1},
    {NVML_FI_DEV_PERF_POLICY_THERMAL, V_VIOLATION_THERMAL, 1},
    {NVML_FI_DEV_PERF_POLICY_SYNC_BOOST, V_VIOLATION_SYNC_BOOST, 1},
    {NVML_FI_DEV_MEMORY_TEMP, V_MEMORY_TEMPERATURE, 0},
    {NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, V_ENERGY, 1},
    {NVML_FI_DEV_ENERGY, V_ENERGY, 1},
    {NVML_FI_DEV_PCIE_REPLAY_COUNTER, V_PCIE_REPLAY, 0},
    {NVML_FI_DEV_REMAPPED_COR, V_REMAP_COR, 0},
    {NVML_FI_DEV_REMAPPED_UNC, V_REMAP_UNC, 0},
    {NVML_FI_DEV_REMAPPED_PENDING, V_REMAP_PENDING, 0},
    {NVML_FI_DEV_REMAPPED_FAILURE, V_REMAP_FAILURE, 0},
    {NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS, V_PCIE_CORRECTABLE, 0},
    {NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR, V_PCIE_NON_FATAL, 0},
    {NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR, V_PCIE_FATAL, 0},
    {NVML_FI_DEV_POWER_AVERAGE, V_POWER, 0},
    {NVML_FI_DEV_POWER_INSTANT, V_POWER, 0},
    {NVML_FI_DEV_POWER_REQUESTED_LIMIT, V_POWER_LIMIT, 0},
    {NVML_FI_DEV_RESET_STATUS, V_REQUIRES_RESET, 0},
    {NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, V_RECOVERY_ACTION, 0},
    {NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, V_VIOLATION_THERMAL, 1},
    {NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, V_VIOLATION_HW_THERMAL, 1},
    {NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, V_VIOLATION_POWER_BRAKE, 1},
    {NVML_FI_DEV_GPU_TEMP, V_TEMPERATURE, 0},
};

static nvmlReturn_t plain_field(const struct gs_gpu *gpu, nvmlFieldValue_t *field)
{
    for (size_t i = 0; i < sizeof(plain_fields) / sizeof(plain_fields[0]); i++) {
        if (plain_fields[i].field != field->fieldId)
            continue;
        field->valueType = plain_fields[i].wide ? NVML_VALUE_TYPE_UNSIGNED_LONG_LONG : NVML_VALUE_TYPE_UNSIGNED_INT;
        if (plain_fields[i].wide)
            return gs_value_ulonglong(gpu, plain_fields[i].value, &field->value.ullVal);
        return gs_value_uint(gpu, plain_fields[i].value, &field->value.uiVal);
    }
    return NVML_ERROR_NOT_FOUND;
}

static const struct {
    unsigned int field;
    nvmlMemoryErrorType_t type;
    nvmlEccCounterType_t counter;
    int location;
} ecc_fields[] = {
    {NVML_FI_DEV_ECC_SBE_VOL_TOTAL, NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_VOLATILE_ECC, -1},
    {NVML_FI_DEV_ECC_DBE_VOL_TOTAL, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, -1},
    {NVML_FI_DEV_ECC_SBE_AGG_TOTAL, NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_AGGREGATE_ECC, -1},
    {NVML_FI_DEV_ECC_DBE_AGG_TOTAL, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_AGGREGATE_ECC, -1},
    {NVML_FI_DEV_ECC_SBE_VOL_DEV, NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_VOLATILE_ECC, NVML_MEMORY_LOCATION_DRAM},
    {NVML_FI_DEV_ECC_DBE_VOL_DEV, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, NVML_MEMORY_LOCATION_DRAM},
    {NVML_FI_DEV_ECC_SBE_AGG_DEV, NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_AGGREGATE_ECC, NVML_MEMORY_LOCATION_DRAM},
    {NVML_FI_DEV_ECC_DBE_AGG_DEV, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_AGGREGATE_ECC, NVML_MEMORY_LOCATION_DRAM},
};

static nvmlReturn_t ecc_field(const struct gs_gpu *gpu, nvmlFieldValue_t *field)
{
    for (size_t i = 0; i < sizeof(ecc_fields) / sizeof(ecc_fields[0]); i++) {
        if (ecc_fields[i].field == field->fieldId) {
            field->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
            return gs_ecc_sum(gpu, ecc_fields[i].type, ecc_fields[i].counter, ecc_fields[i].location,
                              &field->value.ullVal);
        }
    }
    return NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t give_uint(nvmlFieldValue_t *field, unsigned int value)
{
    field->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
    field->value.uiVal = value;
    return NVML_SUCCESS;
}

static nvmlReturn_t give_int(nvmlFieldValue_t *field, int value)
{
    field->valueType = NVML_VALUE_TYPE_SIGNED_INT;
    field->value.siVal = value;
    return NVML_SUCCESS;
}

/* Limits as degrees below the highest operating temperature; only from Ada on (nvml.h, GetTemperatureThreshold). */
static nvmlReturn_t limit_field(const struct gs_board *board, nvmlFieldValue_t *field)
{
    int top = (int)board->temperature_max;

    if (board->architecture < NVML_DEVICE_ARCH_ADA)
        return NVML_ERROR_NOT_SUPPORTED;
    switch (field->fieldId) {
    case NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT:
        return give_int(field, top - (int)board->temperature_shutdown);
    case NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT:
        return give_int(field, top - (int)board->temperature_slowdown);
    default:
        return give_int(field, 0);
    }
}

static nvmlReturn_t link_field(const struct gs_gpu *gpu, nvmlFieldValue_t *field)
{
    const struct gs_board *board = gs_board_of(gpu);
    const struct gs_link *link;

    if (field->scopeId >= board->nvlinks)
        return board->nvlinks ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_NOT_SUPPORTED;
    link = &gpu->links[field->scopeId];
    switch (field->fieldId) {
    case NVML_FI_DEV_NVLINK_GET_STATE:
        return give_uint(field, link->state);
    case NVML_FI_DEV_NVLINK_GET_SPEED:
        return give_uint(field, link->state ? link->speed_mbps : 0);
    case NVML_FI_DEV_NVLINK_GET_VERSION:
        return give_uint(field, board->nvlink_version);
    case NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY:
        return give_uint(field, (unsigned int)link->replay);
    case NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY:
        return give_uint(field, (unsigned int)link->recovery);
    default:
        return give_uint(field, (unsigned int)link->crc_flit);
    }
}

static nvmlReturn_t board_field(const struct gs_gpu *gpu, nvmlFieldValue_t *field)
{
    const struct gs_board *board = gs_board_of(gpu);
    int64_t external = gpu->values[V_EXTERNAL_LIMIT], limit = gpu->values[V_POWER_LIMIT];

    switch (field->fieldId) {
    case NVML_FI_DEV_NVLINK_LINK_COUNT:
        return give_uint(field, board->nvlinks);
    case NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON:
        return board->nvlinks ? give_uint(field, board->nvlink_speed_mbps) : NVML_ERROR_NOT_SUPPORTED;
    case NVML_FI_DEV_NVSWITCH_CONNECTED_LINK_COUNT:
        return give_uint(field, board->nvlinks);
    case NVML_FI_DEV_C2C_LINK_COUNT:
        return give_uint(field, 0);
    case NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED:
        return give_uint(field, gs_board_has_mig(board) && !gs_board_mode_needs_reset(board));
    case NVML_FI_DEV_IS_MIG_MODE_INDEPENDENT_MIG_QUERY_CAPABLE:
        return give_uint(field, (unsigned int)gs_board_has_mig(board));
    case NVML_FI_DEV_POWER_MIN_LIMIT:
        return give_uint(field, board->power_min_w * 1000);
    case NVML_FI_DEV_POWER_MAX_LIMIT:
        return give_uint(field, board->power_max_w * 1000);
    case NVML_FI_DEV_POWER_DEFAULT_LIMIT:
        return give_uint(field, board->power_default_w * 1000);
    case NVML_FI_DEV_POWER_CURRENT_LIMIT:
        return give_uint(field, (unsigned int)(external != GS_NONE && external < limit ? external : limit));
    case NVML_FI_DEV_DRAIN_AND_RESET_STATUS:
        return give_uint(field, gpu->values[V_RECOVERY_ACTION] == NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET);
    case NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT:
    case NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT:
    case NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT:
    case NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT:
        return limit_field(board, field);
    case NVML_FI_DEV_NVLINK_GET_STATE:
    case NVML_FI_DEV_NVLINK_GET_SPEED:
    case NVML_FI_DEV_NVLINK_GET_VERSION:
    case NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY:
    case NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY:
    case NVML_FI_DEV_NVLINK_ERROR_DL_CRC:
        return link_field(gpu, field);
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

static long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount, nvmlFieldValue_t *values)
{
    GS_ENTER_DEVICE(c, device, values != NULL && valuesCount > 0, GS_GPU_ONLY);
    for (int i = 0; i < valuesCount; i++) {
        nvmlReturn_t result = plain_field(c.gpu, &values[i]);

        if (result == NVML_ERROR_NOT_FOUND)
            result = ecc_field(c.gpu, &values[i]);
        if (result == NVML_ERROR_NOT_FOUND)
            result = board_field(c.gpu, &values[i]);
        values[i].nvmlReturn = result;
        values[i].timestamp = now_us();
        values[i].latencyUsec = 0;
    }
    return gs_leave(&c, NVML_SUCCESS);
}
