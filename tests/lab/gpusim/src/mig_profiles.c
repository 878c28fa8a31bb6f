/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GPU instance profiles: information, possible placements, remaining capacity.
 */
#include "mig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct gs_profile *gs_profile_of(const struct gs_gpu *gpu, const struct gs_gi *gi)
{
    return &gs_board_of(gpu)->profiles[gi->profile];
}

int gs_profile_by_id(const struct gs_board *board, unsigned int id)
{
    for (unsigned int i = 0; i < board->profile_count; i++) {
        if (board->profiles[i].id == id)
            return (int)i;
    }
    return -1;
}

nvmlReturn_t gs_check_capable(const struct gs_call *call)
{
    return gs_board_has_mig(gs_board_of(call->gpu)) ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t gs_check_mig(const struct gs_call *call)
{
    if (gs_check_capable(call) != NVML_SUCCESS || !call->gpu->mig_current || call->st->virt == GS_VIRT_VGPU)
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

/* Drivers up to 535 list no profile while MIG is off (mig-parted's discovery, mig.md 1.1). */
static nvmlReturn_t check_listing(const struct gs_call *call)
{
    if (gs_check_capable(call) != NVML_SUCCESS)
        return NVML_ERROR_NOT_SUPPORTED;
    return atoi(call->st->driver) > 535 || call->gpu->mig_current ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t find_by_enum(const struct gs_call *call, unsigned int profile, const struct gs_profile **found)
{
    const struct gs_board *board = gs_board_of(call->gpu);

    if (profile >= NVML_GPU_INSTANCE_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (check_listing(call) != NVML_SUCCESS)
        return NVML_ERROR_NOT_SUPPORTED;
    for (unsigned int i = 0; i < board->profile_count; i++) {
        if (board->profiles[i].profile_enum == profile) {
            *found = &board->profiles[i];
            return NVML_SUCCESS;
        }
    }
    return NVML_ERROR_NOT_SUPPORTED;
}

static int is_gfx(const struct gs_profile *profile)
{
    return strstr(profile->name, "+gfx") != NULL;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned int profile,
                                                 nvmlGpuInstanceProfileInfo_t *info)
{
    const struct gs_profile *found = NULL;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, info != NULL, GS_GPU_ONLY);
    result = find_by_enum(&c, profile, &found);
    if (result == NVML_SUCCESS) {
        *info = (nvmlGpuInstanceProfileInfo_t){
            .id = found->id, .sliceCount = found->slices, .instanceCount = found->reported_count,
            .multiprocessorCount = found->sm, .copyEngineCount = found->engines[GS_COPY],
            .decoderCount = found->engines[GS_DECODER], .encoderCount = found->engines[GS_ENCODER],
            .jpegCount = found->engines[GS_JPEG], .ofaCount = found->engines[GS_OFA], .memorySizeMB = found->mib};
    }
    return gs_leave(&c, result);
}

static void fill_v2(nvmlGpuInstanceProfileInfo_v2_t *info, const struct gs_profile *found)
{
    *info = (nvmlGpuInstanceProfileInfo_v2_t){
        .version = nvmlGpuInstanceProfileInfo_v2, .id = found->id, .sliceCount = found->slices,
        .instanceCount = found->reported_count, .multiprocessorCount = found->sm,
        .copyEngineCount = found->engines[GS_COPY], .decoderCount = found->engines[GS_DECODER],
        .encoderCount = found->engines[GS_ENCODER], .jpegCount = found->engines[GS_JPEG],
        .ofaCount = found->engines[GS_OFA], .memorySizeMB = found->mib};
    snprintf(info->name, sizeof(info->name), "MIG %s", found->name);
}

static void fill_v3(nvmlGpuInstanceProfileInfo_v3_t *info, const struct gs_profile *found)
{
    *info = (nvmlGpuInstanceProfileInfo_v3_t){
        .version = nvmlGpuInstanceProfileInfo_v3, .id = found->id, .sliceCount = found->slices,
        .instanceCount = found->reported_count, .multiprocessorCount = found->sm,
        .copyEngineCount = found->engines[GS_COPY], .decoderCount = found->engines[GS_DECODER],
        .encoderCount = found->engines[GS_ENCODER], .jpegCount = found->engines[GS_JPEG],
        .ofaCount = found->engines[GS_OFA], .memorySizeMB = found->mib,
        .capabilities = is_gfx(found) ? NVML_GPU_INSTANCE_PROFILE_CAPS_GFX : 0};
    snprintf(info->name, sizeof(info->name), "MIG %s", found->name);
}

/* The caller's struct is the one that its version names. */
static nvmlReturn_t fill_versioned(nvmlGpuInstanceProfileInfo_v2_t *info, const struct gs_profile *found)
{
    if (info->version == nvmlGpuInstanceProfileInfo_v2)
        fill_v2(info, found);
    else if (info->version == nvmlGpuInstanceProfileInfo_v3)
        fill_v3((nvmlGpuInstanceProfileInfo_v3_t *)(void *)info, found);
    else
        return NVML_ERROR_INVALID_ARGUMENT; /* the header's word for a wrong version here */
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t device, unsigned int profile,
                                                  nvmlGpuInstanceProfileInfo_v2_t *info)
{
    const struct gs_profile *found = NULL;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, info != NULL, GS_GPU_ONLY);
    result = find_by_enum(&c, profile, &found);
    if (result == NVML_SUCCESS)
        result = fill_versioned(info, found);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoByIdV(nvmlDevice_t device, unsigned int profileId,
                                                      nvmlGpuInstanceProfileInfo_v2_t *info)
{
    int found;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, info != NULL, GS_GPU_ONLY);
    result = check_listing(&c);
    found = gs_profile_by_id(gs_board_of(c.gpu), profileId);
    if (result == NVML_SUCCESS)
        result = found < 0 ? NVML_ERROR_INVALID_ARGUMENT : fill_versioned(info, &gs_board_of(c.gpu)->profiles[found]);
    return gs_leave(&c, result);
}

static nvmlReturn_t possible_placements(const struct gs_call *call, unsigned int id,
                                        nvmlGpuInstancePlacement_t *placements, unsigned int *count)
{
    int index = gs_profile_by_id(gs_board_of(call->gpu), id);
    const struct gs_profile *profile;

    if (gs_check_capable(call) != NVML_SUCCESS)
        return NVML_ERROR_NOT_SUPPORTED;
    if (index < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    profile = &gs_board_of(call->gpu)->profiles[index];
    for (unsigned int i = 0; placements && i < profile->start_count; i++)
        placements[i] = (nvmlGpuInstancePlacement_t){.start = profile->starts[i], .size = profile->slots};
    *count = profile->start_count;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements(nvmlDevice_t device, unsigned int profileId,
                                                        nvmlGpuInstancePlacement_t *placements, unsigned int *count)
{
    GS_ENTER_DEVICE(c, device, count != NULL && placements != NULL, GS_GPU_ONLY | GS_ROOT);
    return gs_leave(&c, possible_placements(&c, profileId, placements, count));
}

nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements_v2(nvmlDevice_t device, unsigned int profileId,
                                                           nvmlGpuInstancePlacement_t *placements, unsigned int *count)
{
    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    return gs_leave(&c, possible_placements(&c, profileId, placements, count));
}

nvmlReturn_t nvmlDeviceGetGpuInstanceRemainingCapacity(nvmlDevice_t device, unsigned int profileId,
                                                       unsigned int *count)
{
    int index;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    result = gs_check_mig(&c);
    index = gs_profile_by_id(gs_board_of(c.gpu), profileId);
    if (result == NVML_SUCCESS && index < 0)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *count = gs_gi_capacity(c.gpu, index);
    return gs_leave(&c, result);
}
