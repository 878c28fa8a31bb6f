/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Opaque handles: 4 bits kind, 6 bits GPU, 6 bits instance entry, 6 bits compute instance entry, 32 bits generation.
 */
#include "call.h"

#define KIND_SHIFT 60
#define GPU_SHIFT 52
#define GI_SHIFT 46
#define CI_SHIFT 40

enum { H_GPU = 5, H_MIG = 6, H_GI = 7, H_CI = 8 };

static uintptr_t pack(unsigned int kind, long gpu, long gi, long ci, uint32_t generation)
{
    return (uintptr_t)kind << KIND_SHIFT | (uintptr_t)gpu << GPU_SHIFT | (uintptr_t)gi << GI_SHIFT |
           (uintptr_t)ci << CI_SHIFT | generation;
}

nvmlDevice_t gs_gpu_handle(const struct gs_state *st, const struct gs_gpu *gpu)
{
    return (nvmlDevice_t)pack(H_GPU, gpu - st->gpus, 0, 0, gpu->generation);
}

nvmlDevice_t gs_mig_handle(const struct gs_state *st, const struct gs_gpu *gpu, const struct gs_gi *gi,
                           const struct gs_ci *ci)
{
    return (nvmlDevice_t)pack(H_MIG, gpu - st->gpus, gi - gpu->gis, ci - gi->cis, ci->serial);
}

nvmlGpuInstance_t gs_gi_handle(const struct gs_state *st, const struct gs_gpu *gpu, const struct gs_gi *gi)
{
    return (nvmlGpuInstance_t)pack(H_GI, gpu - st->gpus, gi - gpu->gis, 0, gi->serial);
}

nvmlComputeInstance_t gs_ci_handle(const struct gs_state *st, const struct gs_gpu *gpu, const struct gs_gi *gi,
                                   const struct gs_ci *ci)
{
    return (nvmlComputeInstance_t)pack(H_CI, gpu - st->gpus, gi - gpu->gis, ci - gi->cis, ci->serial);
}

int gs_handle_gpu(const void *handle)
{
    uintptr_t bits = (uintptr_t)handle;
    unsigned int kind = (unsigned int)(bits >> KIND_SHIFT);

    return kind >= H_GPU && kind <= H_CI ? (int)(bits >> GPU_SHIFT & 63) : -1;
}

static int kind_fits(unsigned int kind, enum gs_handle_kind wanted)
{
    switch (wanted) {
    case GS_DEVICE:
        return kind == H_GPU || kind == H_MIG;
    case GS_GPU_INSTANCE:
        return kind == H_GI;
    case GS_COMPUTE_INSTANCE:
        return kind == H_CI;
    default:
        return 0;
    }
}

nvmlReturn_t gs_resolve(struct gs_call *call, enum gs_handle_kind kind, const void *handle)
{
    uintptr_t bits = (uintptr_t)handle;
    unsigned int tag = (unsigned int)(bits >> KIND_SHIFT), gpu = bits >> GPU_SHIFT & 63, gi = bits >> GI_SHIFT & 63,
                 ci = bits >> CI_SHIFT & 63;
    uint32_t generation = (uint32_t)bits;

    if (!kind_fits(tag, kind) || gpu >= call->st->gpu_count || gi >= GS_MAX_GI || ci >= GS_MAX_CI)
        return NVML_ERROR_INVALID_ARGUMENT;
    call->gpu = &call->st->gpus[gpu];
    if (tag == H_GPU)
        return call->gpu->generation == generation ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
    call->gi = &call->gpu->gis[gi];
    if (!call->gi->used)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (tag == H_GI)
        return call->gi->serial == generation ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
    call->ci = &call->gi->cis[ci];
    call->mig = tag == H_MIG;
    return call->ci->used && call->ci->serial == generation ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}
