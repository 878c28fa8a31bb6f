/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GPU instances: create, destroy, list.
 */
#include "mig.h"

#include <string.h>

struct gs_gi *gs_gi_by_id(struct gs_gpu *gpu, unsigned int id)
{
    for (int i = 0; i < GS_MAX_GI; i++) {
        if (gpu->gis[i].used && gpu->gis[i].id == id)
            return &gpu->gis[i];
    }
    return NULL;
}

int gs_has_instances(const struct gs_gpu *gpu)
{
    for (int i = 0; i < GS_MAX_GI; i++) {
        if (gpu->gis[i].used)
            return 1;
    }
    return 0;
}

/* Instance numbers name the placement as in a binary heap: the whole GPU is 0, its halves 1 and 2, and so on; seen in
 * listings of boards with 8 and 4 slots (mig.md 3.6), used for 12 slots by analogy. */
static unsigned int heap_number(const struct gs_board *board, const struct gs_profile *profile, unsigned int start)
{
    return board->slots / profile->slots - 1 + start / profile->slots;
}

static nvmlReturn_t create(struct gs_call *call, int index, unsigned int start, nvmlGpuInstance_t *instance)
{
    const struct gs_board *board = gs_board_of(call->gpu);

    for (int i = 0; i < GS_MAX_GI; i++) {
        struct gs_gi *gi = &call->gpu->gis[i];

        if (gi->used)
            continue;
        gs_begin(call->st, call->gpu);
        memset(gi, 0, sizeof(*gi));
        gi->used = 1;
        gi->profile = (uint32_t)index;
        gi->start = start;
        gi->id = heap_number(board, &board->profiles[index], start);
        gi->serial = ++call->gpu->serials;
        gs_commit(call->st);
        *instance = gs_gi_handle(call->st, call->gpu, gi);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

static nvmlReturn_t check_create(const struct gs_call *call, unsigned int id, int *index)
{
    nvmlReturn_t result = gs_check_mig(call);

    *index = gs_profile_by_id(gs_board_of(call->gpu), id);
    if (result == NVML_SUCCESS && *index < 0)
        result = NVML_ERROR_INVALID_ARGUMENT;
    return result;
}

nvmlReturn_t nvmlDeviceCreateGpuInstance(nvmlDevice_t device, unsigned int profileId, nvmlGpuInstance_t *gpuInstance)
{
    int index, start;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, gpuInstance != NULL, GS_GPU_ONLY);
    result = check_create(&c, profileId, &index);
    if (result == NVML_SUCCESS) {
        start = gs_gi_choose(c.gpu, index);
        result = start < 0 ? NVML_ERROR_INSUFFICIENT_RESOURCES : create(&c, index, (unsigned int)start, gpuInstance);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceCreateGpuInstanceWithPlacement(nvmlDevice_t device, unsigned int profileId,
                                                      const nvmlGpuInstancePlacement_t *placement,
                                                      nvmlGpuInstance_t *gpuInstance)
{
    const struct gs_profile *profile;
    int index;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, gpuInstance != NULL && placement != NULL, GS_GPU_ONLY);
    result = check_create(&c, profileId, &index);
    if (result == NVML_SUCCESS) {
        profile = &gs_board_of(c.gpu)->profiles[index];
        /* The header's answer to a placement that the profile does not have; the real code is not verified. */
        if (!gs_gi_start_known(profile, placement->start) || placement->size != profile->slots)
            result = NVML_ERROR_INVALID_ARGUMENT;
        else if (!gs_gi_fits(c.gpu, index, placement->start))
            result = NVML_ERROR_INSUFFICIENT_RESOURCES;
        else
            result = create(&c, index, placement->start, gpuInstance);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGpuInstanceDestroy(nvmlGpuInstance_t gpuInstance)
{
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, 1, 0);
    result = gs_check_mig(&c);
    if (result == NVML_SUCCESS && (gs_ci_count(c.gi) || gs_instance_in_use(c.gpu, c.gi->id, -1)))
        result = NVML_ERROR_IN_USE;
    if (result == NVML_SUCCESS) {
        gs_begin(c.st, c.gpu);
        c.gi->used = 0;
        gs_commit(c.st);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetGpuInstances(nvmlDevice_t device, unsigned int profileId, nvmlGpuInstance_t *gpuInstances,
                                       unsigned int *count)
{
    int index;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, gpuInstances != NULL && count != NULL, GS_GPU_ONLY);
    result = check_create(&c, profileId, &index);
    if (result == NVML_SUCCESS) {
        *count = 0;
        for (int i = 0; i < GS_MAX_GI; i++) {
            if (c.gpu->gis[i].used && (int)c.gpu->gis[i].profile == index)
                gpuInstances[(*count)++] = gs_gi_handle(c.st, c.gpu, &c.gpu->gis[i]);
        }
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *gpuInstance)
{
    struct gs_gi *gi;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, gpuInstance != NULL, GS_GPU_ONLY);
    result = gs_check_mig(&c);
    gi = gs_gi_by_id(c.gpu, id);
    if (result == NVML_SUCCESS && !gi)
        result = NVML_ERROR_NOT_FOUND;
    if (result == NVML_SUCCESS)
        *gpuInstance = gs_gi_handle(c.st, c.gpu, gi);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t gpuInstance, nvmlGpuInstanceInfo_t *info)
{
    const struct gs_profile *profile;

    GS_ENTER_GI(c, gpuInstance, info != NULL, 0);
    profile = gs_profile_of(c.gpu, c.gi);
    *info = (nvmlGpuInstanceInfo_t){.device = gs_gpu_handle(c.st, c.gpu),
                                    .id = c.gi->id,
                                    .profileId = profile->id,
                                    .placement = {.start = c.gi->start, .size = profile->slots}};
    return gs_leave(&c, NVML_SUCCESS);
}
