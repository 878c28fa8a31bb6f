/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MIG mode: pending and current, and what a change needs.
 *
 * Ampere: the wish becomes pending and takes effect by a GPU reset or a reboot (InfoROM bit). Hopper and later: at once,
 * until the driver is unloaded. On both a GPU in use keeps its mode and answers IN_USE in activationStatus; the wish
 * stays pending. Setting the current mode takes a pending wish back and needs nothing.
 */
#include "mig.h"

/* Instances count as use: NVIDIA's own tool destroys all of them before it asks for another mode (mig.md 1.3), and the
 * header lets the activation fail while the device is not idle. */
static int blocks_change(struct gs_gpu *gpu)
{
    return gs_gpu_in_use(gpu) || (gpu->mig_current && gs_has_instances(gpu));
}

static nvmlReturn_t activate(struct gs_call *call)
{
    struct gs_gpu *gpu = call->gpu;
    int needs_reset = gs_board_mode_needs_reset(gs_board_of(gpu));

    if (needs_reset && gs_guest_without_reset(call->st))
        return NVML_ERROR_RESET_REQUIRED;
    if (blocks_change(gpu))
        return NVML_ERROR_IN_USE;
    if (needs_reset && !call->st->ampere_immediate)
        return NVML_ERROR_RESET_REQUIRED;
    gs_begin(call->st, gpu);
    if (needs_reset)
        gs_reset_gpu(call->st, gpu);
    gpu->mig_current = gpu->mig_pending;
    gs_commit(call->st);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceSetMigMode(nvmlDevice_t device, unsigned int mode, nvmlReturn_t *activationStatus)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, mode <= NVML_DEVICE_MIG_ENABLE && activationStatus != NULL, GS_GPU_ONLY);
    result = gs_check_capable(&c);
    if (c.st->virt == GS_VIRT_VGPU)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (result == NVML_SUCCESS) {
        c.gpu->mig_pending = mode;
        *activationStatus = mode == c.gpu->mig_current ? NVML_SUCCESS : activate(&c);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *currentMode, unsigned int *pendingMode)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, currentMode != NULL && pendingMode != NULL, GS_GPU_ONLY);
    result = gs_check_capable(&c);
    if (result == NVML_SUCCESS) {
        *currentMode = c.gpu->mig_current;
        *pendingMode = c.gpu->mig_pending;
    }
    return gs_leave(&c, result);
}
