/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Modes: persistence, compute, ECC, accounting, auto boost, restrictions; and what a data-centre board never has.
 */
#include "call.h"

static nvmlReturn_t get_mode(const struct gs_gpu *gpu, enum gs_value value, nvmlEnableState_t *mode)
{
    unsigned int number = 0;
    nvmlReturn_t result = gs_value_uint(gpu, value, &number);

    if (result == NVML_SUCCESS)
        *mode = number ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return result;
}

/* The mode is one of two; a value the board does not have cannot be set. */
static nvmlReturn_t set_mode(struct gs_call *call, enum gs_value value, nvmlEnableState_t mode)
{
    if (call->gpu->values[value] == GS_NONE)
        return NVML_ERROR_NOT_SUPPORTED;
    call->gpu->values[value] = mode == NVML_FEATURE_ENABLED;
    return NVML_SUCCESS;
}

#define GS_GET_MODE(function, value)                                              \
    nvmlReturn_t function(nvmlDevice_t device, nvmlEnableState_t *mode)           \
    {                                                                             \
        GS_ENTER_DEVICE(c, device, mode != NULL, GS_GPU_ONLY);                    \
        return gs_leave(&c, get_mode(c.gpu, value, mode));                        \
    }

#define GS_SET_MODE(function, value)                                              \
    nvmlReturn_t function(nvmlDevice_t device, nvmlEnableState_t mode)            \
    {                                                                             \
        GS_ENTER_DEVICE(c, device, mode <= NVML_FEATURE_ENABLED, GS_GPU_ONLY);    \
        return gs_leave(&c, set_mode(&c, value, mode));                           \
    }

GS_GET_MODE(nvmlDeviceGetPersistenceMode, V_PERSISTENCE)
GS_SET_MODE(nvmlDeviceSetPersistenceMode, V_PERSISTENCE)
GS_GET_MODE(nvmlDeviceGetAccountingMode, V_ACCOUNTING)
GS_SET_MODE(nvmlDeviceSetEccMode, V_ECC_PENDING)
GS_SET_MODE(nvmlDeviceSetAutoBoostedClocksEnabled, V_AUTO_BOOST)

/* The header: not supported on MIG-enabled GPUs. */
nvmlReturn_t nvmlDeviceSetAccountingMode(nvmlDevice_t device, nvmlEnableState_t mode)
{
    GS_ENTER_DEVICE(c, device, mode <= NVML_FEATURE_ENABLED, GS_GPU_ONLY);
    return gs_leave(&c, c.gpu->mig_current ? NVML_ERROR_NOT_SUPPORTED : set_mode(&c, V_ACCOUNTING, mode));
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
    unsigned int number = 0;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, mode != NULL, GS_ANY_DEVICE);
    result = gs_value_uint(c.gpu, V_COMPUTE_MODE, &number);
    *mode = (nvmlComputeMode_t)number;
    return gs_leave(&c, result);
}

/* EXCLUSIVE_THREAD is history: the header tells to use EXCLUSIVE_PROCESS. While MIG is on, it wants the handle of a MIG
 * device, which has nothing but the default here. */
nvmlReturn_t nvmlDeviceSetComputeMode(nvmlDevice_t device, nvmlComputeMode_t mode)
{
    GS_ENTER_DEVICE(c, device, mode < NVML_COMPUTEMODE_COUNT, GS_GPU_ONLY);
    if (mode == NVML_COMPUTEMODE_EXCLUSIVE_THREAD || c.gpu->mig_current)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    c.gpu->values[V_COMPUTE_MODE] = mode;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *current, nvmlEnableState_t *pending)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, current != NULL && pending != NULL, GS_GPU_ONLY);
    result = get_mode(c.gpu, V_ECC_CURRENT, current);
    if (result == NVML_SUCCESS)
        result = get_mode(c.gpu, V_ECC_PENDING, pending);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetDefaultEccMode(nvmlDevice_t device, nvmlEnableState_t *defaultMode)
{
    GS_ENTER_DEVICE(c, device, defaultMode != NULL, GS_GPU_ONLY);
    *defaultMode = NVML_FEATURE_ENABLED;
    return gs_leave(&c, c.gpu->values[V_ECC_CURRENT] == GS_NONE ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetAutoBoostedClocksEnabled(nvmlDevice_t device, nvmlEnableState_t *isEnabled,
                                                   nvmlEnableState_t *defaultIsEnabled)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, isEnabled != NULL && defaultIsEnabled != NULL, GS_GPU_ONLY);
    result = get_mode(c.gpu, V_AUTO_BOOST, isEnabled);
    if (result == NVML_SUCCESS)
        result = get_mode(c.gpu, V_AUTO_BOOST_DEFAULT, defaultIsEnabled);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceSetDefaultAutoBoostedClocksEnabled(nvmlDevice_t device, nvmlEnableState_t enabled,
                                                          unsigned int flags)
{
    (void)flags;
    GS_ENTER_DEVICE(c, device, enabled <= NVML_FEATURE_ENABLED, GS_GPU_ONLY);
    return gs_leave(&c, set_mode(&c, V_AUTO_BOOST_DEFAULT, enabled));
}

nvmlReturn_t nvmlDeviceGetAPIRestriction(nvmlDevice_t device, nvmlRestrictedAPI_t apiType,
                                         nvmlEnableState_t *isRestricted)
{
    GS_ENTER_DEVICE(c, device, isRestricted != NULL && apiType < NVML_RESTRICTED_API_COUNT, GS_GPU_ONLY);
    if (apiType == NVML_RESTRICTED_API_SET_AUTO_BOOSTED_CLOCKS)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    return gs_leave(&c, get_mode(c.gpu, V_RESTRICT_APP_CLOCKS, isRestricted));
}

nvmlReturn_t nvmlDeviceSetAPIRestriction(nvmlDevice_t device, nvmlRestrictedAPI_t apiType,
                                         nvmlEnableState_t isRestricted)
{
    GS_ENTER_DEVICE(c, device, apiType < NVML_RESTRICTED_API_COUNT && isRestricted <= NVML_FEATURE_ENABLED,
                    GS_GPU_ONLY);
    if (apiType == NVML_RESTRICTED_API_SET_AUTO_BOOSTED_CLOCKS)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    return gs_leave(&c, set_mode(&c, V_RESTRICT_APP_CLOCKS, isRestricted));
}

nvmlReturn_t nvmlDeviceGetAccountingBufferSize(nvmlDevice_t device, unsigned int *bufferSize)
{
    GS_ENTER_DEVICE(c, device, bufferSize != NULL, GS_GPU_ONLY);
    *bufferSize = 4000;
    return gs_leave(&c, NVML_SUCCESS);
}

/* Accounting can be switched on, but keeps no history. */
nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned int *count, unsigned int *pids)
{
    (void)pids;
    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    *count = 0;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceClearAccountingPids(nvmlDevice_t device)
{
    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetVirtualizationMode(nvmlDevice_t device, nvmlGpuVirtualizationMode_t *pVirtualMode)
{
    GS_ENTER_DEVICE(c, device, pVirtualMode != NULL, GS_GPU_ONLY);
    *pVirtualMode = (nvmlGpuVirtualizationMode_t)c.st->virt;
    return gs_leave(&c, NVML_SUCCESS);
}

#define GS_GET_DISPLAY(function)                                                  \
    nvmlReturn_t function(nvmlDevice_t device, nvmlEnableState_t *mode)           \
    {                                                                             \
        GS_ENTER_DEVICE(c, device, mode != NULL, GS_GPU_ONLY);                    \
        *mode = NVML_FEATURE_DISABLED;                                            \
        return gs_leave(&c, NVML_SUCCESS);                                        \
    }

GS_GET_DISPLAY(nvmlDeviceGetDisplayMode)
GS_GET_DISPLAY(nvmlDeviceGetDisplayActive)

nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *version)
{
    GS_ENTER_DEVICE(c, device, version != NULL, GS_GPU_ONLY);
    return gs_leave(&c, gs_copy_string(version, NVML_GSP_FIRMWARE_VERSION_BUF_SIZE, c.st->driver));
}

nvmlReturn_t nvmlDeviceGetGspFirmwareMode(nvmlDevice_t device, unsigned int *isEnabled, unsigned int *defaultMode)
{
    GS_ENTER_DEVICE(c, device, isEnabled != NULL && defaultMode != NULL, GS_GPU_ONLY);
    *isEnabled = *defaultMode = 1;
    return gs_leave(&c, NVML_SUCCESS);
}
