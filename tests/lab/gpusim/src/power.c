/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Power: usage, limits, energy.
 */
#include "call.h"

GS_GET_VALUE(nvmlDeviceGetPowerUsage, V_POWER)
GS_GET_VALUE(nvmlDeviceGetPowerManagementLimit, V_POWER_LIMIT)

/* The lowest of what was asked for and what the board's management allows. */
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *limit)
{
    int64_t external;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, limit != NULL, GS_GPU_ONLY);
    external = c.gpu->values[V_EXTERNAL_LIMIT];
    result = gs_value_uint(c.gpu, V_POWER_LIMIT, limit);
    if (result == NVML_SUCCESS && external != GS_NONE && external < *limit)
        *limit = (unsigned int)external;
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned int *defaultLimit)
{
    GS_ENTER_DEVICE(c, device, defaultLimit != NULL, GS_GPU_ONLY);
    *defaultLimit = gs_board_of(c.gpu)->power_default_w * 1000;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *minLimit,
                                                          unsigned int *maxLimit)
{
    GS_ENTER_DEVICE(c, device, minLimit != NULL && maxLimit != NULL, GS_GPU_ONLY);
    *minLimit = gs_board_of(c.gpu)->power_min_w * 1000;
    *maxLimit = gs_board_of(c.gpu)->power_max_w * 1000;
    return gs_leave(&c, NVML_SUCCESS);
}

static nvmlReturn_t set_limit(struct gs_call *call, unsigned int milliwatts)
{
    const struct gs_board *board = gs_board_of(call->gpu);
    int64_t step = call->gpu->values[V_POWER_STEP];

    if (call->st->virt == GS_VIRT_VGPU)
        return NVML_ERROR_NOT_SUPPORTED;
    if (milliwatts < board->power_min_w * 1000 || milliwatts > board->power_max_w * 1000)
        return NVML_ERROR_INVALID_ARGUMENT;
    /* No source says in which steps boards work, so there are none before a test asks for some. */
    if (step > 0)
        milliwatts -= milliwatts % (unsigned int)step;
    call->gpu->values[V_POWER_LIMIT] = milliwatts;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceSetPowerManagementLimit(nvmlDevice_t device, unsigned int limit)
{
    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY);
    return gs_leave(&c, set_limit(&c, limit));
}

nvmlReturn_t nvmlDeviceSetPowerManagementLimit_v2(nvmlDevice_t device, nvmlPowerValue_v2_t *powerValue)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, powerValue != NULL, GS_GPU_ONLY);
    result = gs_check_version(powerValue->version, NVML_STRUCT_VERSION(PowerValue, 2));
    if (result == NVML_SUCCESS && powerValue->powerScope != NVML_POWER_SCOPE_GPU)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (result == NVML_SUCCESS)
        result = set_limit(&c, powerValue->powerValueMw);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    GS_ENTER_DEVICE(c, device, mode != NULL, GS_GPU_ONLY);
    *mode = NVML_FEATURE_ENABLED;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy)
{
    GS_ENTER_DEVICE(c, device, energy != NULL, GS_GPU_ONLY);
    return gs_leave(&c, gs_value_ulonglong(c.gpu, V_ENERGY, energy));
}

nvmlReturn_t nvmlDeviceGetPowerSource(nvmlDevice_t device, nvmlPowerSource_t *powerSource)
{
    GS_ENTER_DEVICE(c, device, powerSource != NULL, GS_GPU_ONLY);
    *powerSource = NVML_POWER_SOURCE_AC;
    return gs_leave(&c, NVML_SUCCESS);
}
