/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Temperatures, thresholds, fans, performance state, what slows the clocks.
 */
#include "call.h"

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp)
{
    GS_ENTER_DEVICE(c, device, temp != NULL && sensorType == NVML_TEMPERATURE_GPU, GS_GPU_ONLY);
    return gs_leave(&c, gs_value_uint(c.gpu, V_TEMPERATURE, temp));
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
    unsigned int degrees = 0;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, temperature != NULL, GS_GPU_ONLY);
    result = gs_check_version(temperature->version, NVML_STRUCT_VERSION(Temperature, 1));
    if (result == NVML_SUCCESS && temperature->sensorType != NVML_TEMPERATURE_GPU)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_TEMPERATURE, &degrees);
    if (result == NVML_SUCCESS)
        temperature->temperature = (int)degrees;
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, nvmlTemperatureThresholds_t thresholdType,
                                               unsigned int *temp)
{
    const struct gs_board *board;

    GS_ENTER_DEVICE(c, device, temp != NULL && thresholdType < NVML_TEMPERATURE_THRESHOLD_COUNT, GS_GPU_ONLY);
    board = gs_board_of(c.gpu);
    switch (thresholdType) {
    case NVML_TEMPERATURE_THRESHOLD_SHUTDOWN:
        *temp = board->temperature_shutdown;
        break;
    case NVML_TEMPERATURE_THRESHOLD_SLOWDOWN:
        *temp = board->temperature_slowdown;
        break;
    case NVML_TEMPERATURE_THRESHOLD_GPU_MAX:
        *temp = board->temperature_max;
        break;
    case NVML_TEMPERATURE_THRESHOLD_MEM_MAX:
        *temp = board->temperature_memory;
        if (board->temperature_memory)
            break;
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    default:
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    }
    return gs_leave(&c, NVML_SUCCESS);
}

/* Degrees left below the highest operating temperature (T.Limit), offered from Ada on. */
nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *marginTempInfo)
{
    unsigned int degrees = 0;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, marginTempInfo != NULL, GS_GPU_ONLY);
    result = gs_check_version(marginTempInfo->version, NVML_STRUCT_VERSION(MarginTemperature, 1));
    if (result == NVML_SUCCESS && gs_board_of(c.gpu)->architecture < NVML_DEVICE_ARCH_ADA)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (result == NVML_SUCCESS)
        result = gs_value_uint(c.gpu, V_TEMPERATURE, &degrees);
    if (result == NVML_SUCCESS)
        marginTempInfo->marginTemperature = (int)gs_board_of(c.gpu)->temperature_max - (int)degrees;
    return gs_leave(&c, result);
}

GS_GET_VALUE(nvmlDeviceGetFanSpeed, V_FAN)

nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *speed)
{
    GS_ENTER_DEVICE(c, device, speed != NULL && fan == 0, GS_GPU_ONLY);
    return gs_leave(&c, gs_value_uint(c.gpu, V_FAN, speed));
}

nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned int *numFans)
{
    GS_ENTER_DEVICE(c, device, numFans != NULL, GS_GPU_ONLY);
    *numFans = c.gpu->values[V_FAN] != GS_NONE;
    return gs_leave(&c, NVML_SUCCESS);
}

static nvmlReturn_t pstate(const struct gs_gpu *gpu, nvmlPstates_t *state)
{
    unsigned int number = 0;
    nvmlReturn_t result = gs_value_uint(gpu, V_PSTATE, &number);

    if (result == NVML_SUCCESS)
        *state = (nvmlPstates_t)number;
    return result;
}

nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *pState)
{
    GS_ENTER_DEVICE(c, device, pState != NULL, GS_GPU_ONLY);
    return gs_leave(&c, pstate(c.gpu, pState));
}

nvmlReturn_t nvmlDeviceGetPowerState(nvmlDevice_t device, nvmlPstates_t *pState)
{
    GS_ENTER_DEVICE(c, device, pState != NULL, GS_GPU_ONLY);
    return gs_leave(&c, pstate(c.gpu, pState));
}

#define GS_GET_REASONS(function)                                                     \
    nvmlReturn_t function(nvmlDevice_t device, unsigned long long *reasons)          \
    {                                                                                \
        GS_ENTER_DEVICE(c, device, reasons != NULL, GS_GPU_ONLY);                    \
        return gs_leave(&c, gs_value_ulonglong(c.gpu, V_THROTTLE, reasons));         \
    }

GS_GET_REASONS(nvmlDeviceGetCurrentClocksEventReasons)
GS_GET_REASONS(nvmlDeviceGetCurrentClocksThrottleReasons)

#define GS_GET_SUPPORTED_REASONS(function)                                           \
    nvmlReturn_t function(nvmlDevice_t device, unsigned long long *reasons)          \
    {                                                                                \
        GS_ENTER_DEVICE(c, device, reasons != NULL, GS_GPU_ONLY);                    \
        *reasons = 0x1ff;                                                            \
        return gs_leave(&c, NVML_SUCCESS);                                           \
    }

GS_GET_SUPPORTED_REASONS(nvmlDeviceGetSupportedClocksEventReasons)
GS_GET_SUPPORTED_REASONS(nvmlDeviceGetSupportedClocksThrottleReasons)

static enum gs_value violation(nvmlPerfPolicyType_t policy)
{
    switch (policy) {
    case NVML_PERF_POLICY_POWER:
        return V_VIOLATION_POWER;
    case NVML_PERF_POLICY_THERMAL:
        return V_VIOLATION_THERMAL;
    case NVML_PERF_POLICY_SYNC_BOOST:
        return V_VIOLATION_SYNC_BOOST;
    default:
        return V_COUNT;
    }
}

nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, nvmlPerfPolicyType_t perfPolicyType,
                                          nvmlViolationTime_t *violTime)
{
    enum gs_value value = violation(perfPolicyType);

    GS_ENTER_DEVICE(c, device, violTime != NULL && perfPolicyType < NVML_PERF_POLICY_COUNT, GS_GPU_ONLY);
    *violTime = (nvmlViolationTime_t){.referenceTime = c.st->boot_count * 1000000ULL};
    if (value == V_COUNT)
        return gs_leave(&c, NVML_SUCCESS); /* the other policies never act on this node */
    return gs_leave(&c, gs_value_ulonglong(c.gpu, value, &violTime->violationTime));
}
