/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Compute instance profiles of a live GPU instance.
 *
 * Starts: seen for 1c, 2c and the spanning profile; {0,4} for 3c in a 7-slice instance by analogy with the memory
 * halves. Counts are those of the project's table (1c x7, 2c x3, 3c x2, 4c x1, 7c x1; 1c x4, 2c x2, 4c x1; ...).
 */
#include "mig.h"

#include <stdio.h>

static const unsigned int slices_of_enum[NVML_COMPUTE_INSTANCE_PROFILE_COUNT] = {
    [NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE] = 1, [NVML_COMPUTE_INSTANCE_PROFILE_2_SLICE] = 2,
    [NVML_COMPUTE_INSTANCE_PROFILE_3_SLICE] = 3, [NVML_COMPUTE_INSTANCE_PROFILE_4_SLICE] = 4,
    [NVML_COMPUTE_INSTANCE_PROFILE_7_SLICE] = 7, [NVML_COMPUTE_INSTANCE_PROFILE_8_SLICE] = 8,
    [NVML_COMPUTE_INSTANCE_PROFILE_6_SLICE] = 6, [NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE_REV1] = 1,
    [NVML_COMPUTE_INSTANCE_PROFILE_7_SLICE_NVL] = 7};

/* SM of a plain instance with that many slices on this board. */
static unsigned int plain_sm(const struct gs_board *board, unsigned int slices)
{
    for (unsigned int i = 0; i < board->profile_count; i++) {
        if (board->profiles[i].slices == slices &&
            board->profiles[i].profile_enum <= NVML_GPU_INSTANCE_PROFILE_6_SLICE)
            return board->profiles[i].sm;
    }
    return 0;
}

static unsigned int distance(unsigned int slices)
{
    return slices == 3 ? 4 : slices;
}

/* Does a GPU instance of that size offer compute instances of this size at all? */
static int divides(unsigned int whole, unsigned int part)
{
    if (part == whole || part == 1)
        return part <= whole;
    if (part == 2)
        return whole >= 3;
    return whole == 7 && (part == 3 || part == 4);
}

int gs_ci_profile(const struct gs_gpu *gpu, const struct gs_gi *gi, unsigned int profile_enum,
                  struct gs_ci_profile *profile)
{
    const struct gs_profile *whole = gs_profile_of(gpu, gi);
    unsigned int slices, one = plain_sm(gs_board_of(gpu), 1);
    int wide = whole->profile_enum == NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2 && whole->sm > one;

    if (profile_enum >= NVML_COMPUTE_INSTANCE_PROFILE_COUNT ||
        profile_enum == NVML_COMPUTE_INSTANCE_PROFILE_7_SLICE_NVL)
        return 0;
    /* A double-memory 1g of Hopper and later has more SM than 1c takes: REV1 spans it, 1c wastes the rest. On Ampere
     * both are equal and REV1 does not exist (mig_profiles: rev1_rule). */
    if (profile_enum == NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE_REV1 && !wide)
        return 0;
    slices = slices_of_enum[profile_enum];
    if (!divides(whole->slices, slices))
        return 0;
    *profile = (struct gs_ci_profile){.slices = slices, .sm = plain_sm(gs_board_of(gpu), slices)};
    if (slices == whole->slices && !(wide && profile_enum == NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE))
        profile->sm = whole->sm;
    for (unsigned int start = 0; start + slices <= whole->slices; start += distance(slices))
        profile->starts[profile->start_count++] = start;
    return 1;
}

int gs_ci_fits(const struct gs_gi *gi, unsigned int start, unsigned int size)
{
    for (int i = 0; i < GS_MAX_CI; i++) {
        const struct gs_ci *ci = &gi->cis[i];

        if (ci->used && start < ci->start + ci->size && ci->start < start + size)
            return 0;
    }
    return 1;
}

/* "MIG 3g.40gb" when the slices of the whole are taken, else "MIG 1c.3g.40gb". */
void gs_ci_name(const struct gs_gpu *gpu, const struct gs_gi *gi, unsigned int profile_enum, char *name, size_t size)
{
    const struct gs_profile *whole = gs_profile_of(gpu, gi);
    unsigned int slices = slices_of_enum[profile_enum];

    if (slices == whole->slices)
        snprintf(name, size, "MIG %s", whole->name);
    else
        snprintf(name, size, "MIG %uc.%s", slices, whole->name);
}

static unsigned int capacity(const struct gs_gi *gi, const struct gs_ci_profile *profile)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < profile->start_count; i++)
        count += (unsigned int)gs_ci_fits(gi, profile->starts[i], profile->slices);
    return count;
}

static nvmlReturn_t find(const struct gs_call *call, unsigned int profile_enum, struct gs_ci_profile *profile)
{
    if (gs_check_mig(call) != NVML_SUCCESS)
        return NVML_ERROR_NOT_SUPPORTED;
    if (profile_enum >= NVML_COMPUTE_INSTANCE_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    return gs_ci_profile(call->gpu, call->gi, profile_enum, profile) ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfo(nvmlGpuInstance_t gpuInstance, unsigned int profile,
                                                          unsigned int engProfile,
                                                          nvmlComputeInstanceProfileInfo_t *info)
{
    struct gs_ci_profile found;
    const unsigned int *engines;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, info != NULL && engProfile < NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT, 0);
    result = find(&c, profile, &found);
    if (result == NVML_SUCCESS) {
        engines = gs_profile_of(c.gpu, c.gi)->engines;
        *info = (nvmlComputeInstanceProfileInfo_t){
            .id = profile, .sliceCount = found.slices, .instanceCount = found.start_count,
            .multiprocessorCount = found.sm, .sharedCopyEngineCount = engines[GS_COPY],
            .sharedDecoderCount = engines[GS_DECODER], .sharedEncoderCount = engines[GS_ENCODER],
            .sharedJpegCount = engines[GS_JPEG], .sharedOfaCount = engines[GS_OFA]};
    }
    return gs_leave(&c, result);
}

static void fill_v2(const struct gs_call *call, unsigned int profile, const struct gs_ci_profile *found,
                    nvmlComputeInstanceProfileInfo_v2_t *info)
{
    const unsigned int *engines = gs_profile_of(call->gpu, call->gi)->engines;

    *info = (nvmlComputeInstanceProfileInfo_v2_t){
        .version = nvmlComputeInstanceProfileInfo_v2, .id = profile, .sliceCount = found->slices,
        .instanceCount = found->start_count, .multiprocessorCount = found->sm,
        .sharedCopyEngineCount = engines[GS_COPY], .sharedDecoderCount = engines[GS_DECODER],
        .sharedEncoderCount = engines[GS_ENCODER], .sharedJpegCount = engines[GS_JPEG],
        .sharedOfaCount = engines[GS_OFA]};
    gs_ci_name(call->gpu, call->gi, profile, info->name, sizeof(info->name));
}

static void fill_v3(const struct gs_call *call, unsigned int profile, const struct gs_ci_profile *found,
                    nvmlComputeInstanceProfileInfo_v3_t *info)
{
    const struct gs_profile *whole = gs_profile_of(call->gpu, call->gi);
    const unsigned int *engines = whole->engines;
    int gfx = whole->profile_enum >= NVML_GPU_INSTANCE_PROFILE_1_SLICE_GFX &&
              whole->profile_enum <= NVML_GPU_INSTANCE_PROFILE_4_SLICE_GFX;

    *info = (nvmlComputeInstanceProfileInfo_v3_t){
        .version = nvmlComputeInstanceProfileInfo_v3, .id = profile, .sliceCount = found->slices,
        .instanceCount = found->start_count, .multiprocessorCount = found->sm,
        .sharedCopyEngineCount = engines[GS_COPY], .sharedDecoderCount = engines[GS_DECODER],
        .sharedEncoderCount = engines[GS_ENCODER], .sharedJpegCount = engines[GS_JPEG],
        .sharedOfaCount = engines[GS_OFA],
        .capabilities = gfx && found->slices == whole->slices ? NVML_COMPUTE_INSTANCE_PROFILE_CAPS_GFX : 0};
    gs_ci_name(call->gpu, call->gi, profile, info->name, sizeof(info->name));
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfoV(nvmlGpuInstance_t gpuInstance, unsigned int profile,
                                                           unsigned int engProfile,
                                                           nvmlComputeInstanceProfileInfo_v2_t *info)
{
    struct gs_ci_profile found;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, info != NULL && engProfile < NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT, 0);
    result = find(&c, profile, &found);
    if (result == NVML_SUCCESS && info->version == nvmlComputeInstanceProfileInfo_v2)
        fill_v2(&c, profile, &found, info);
    else if (result == NVML_SUCCESS && info->version == nvmlComputeInstanceProfileInfo_v3)
        fill_v3(&c, profile, &found, (nvmlComputeInstanceProfileInfo_v3_t *)(void *)info);
    else if (result == NVML_SUCCESS)
        result = NVML_ERROR_INVALID_ARGUMENT;
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceRemainingCapacity(nvmlGpuInstance_t gpuInstance, unsigned int profileId,
                                                                unsigned int *count)
{
    struct gs_ci_profile found;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, count != NULL, 0);
    result = find(&c, profileId, &found);
    if (result == NVML_SUCCESS)
        *count = capacity(c.gi, &found);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstancePossiblePlacements(nvmlGpuInstance_t gpuInstance, unsigned int profileId,
                                                                 nvmlComputeInstancePlacement_t *placements,
                                                                 unsigned int *count)
{
    struct gs_ci_profile found;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, count != NULL, 0);
    result = find(&c, profileId, &found);
    if (result == NVML_SUCCESS) {
        *count = found.start_count;
        for (unsigned int i = 0; placements && i < found.start_count; i++)
            placements[i] = (nvmlComputeInstancePlacement_t){.start = found.starts[i], .size = found.slices};
    }
    return gs_leave(&c, result);
}
