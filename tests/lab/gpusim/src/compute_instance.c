/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Compute instances: create, destroy, list.
 */
#include "mig.h"

#include <stdio.h>
#include <string.h>

struct gs_ci *gs_ci_by_id(struct gs_gi *gi, unsigned int id)
{
    for (int i = 0; i < GS_MAX_CI; i++) {
        if (gi->cis[i].used && gi->cis[i].id == id)
            return &gi->cis[i];
    }
    return NULL;
}

unsigned int gs_ci_count(const struct gs_gi *gi)
{
    unsigned int count = 0;

    for (int i = 0; i < GS_MAX_CI; i++)
        count += gi->cis[i].used;
    return count;
}

/* MIG devices are numbered over the whole GPU; a new one takes the lowest number that is free. */
static unsigned int free_mig_index(const struct gs_gpu *gpu)
{
    uint64_t taken = 0;
    unsigned int index = 0;

    for (int i = 0; i < GS_MAX_GI; i++) {
        for (int j = 0; gpu->gis[i].used && j < GS_MAX_CI; j++) {
            if (gpu->gis[i].cis[j].used)
                taken |= 1ULL << gpu->gis[i].cis[j].mig_index;
        }
    }
    while (taken >> index & 1)
        index++;
    return index;
}

static unsigned int free_id(struct gs_gi *gi)
{
    unsigned int id = 0;

    while (gs_ci_by_id(gi, id))
        id++;
    return id;
}

/* A recreated instance has another UUID: the serial is part of the seed (mig.md 3.4). */
static void name_ci(const struct gs_gpu *gpu, const struct gs_gi *gi, struct gs_ci *ci)
{
    char seed[128];

    snprintf(seed, sizeof(seed), "%s/%u/%u/%u", gpu->uuid, gi->id, ci->id, ci->serial);
    gs_name_uuid(ci->uuid, sizeof(ci->uuid), "MIG", seed);
}

static nvmlReturn_t create(struct gs_call *call, unsigned int profile_enum, const struct gs_ci_profile *profile,
                           unsigned int start, nvmlComputeInstance_t *instance)
{
    unsigned int id = free_id(call->gi), mig_index = free_mig_index(call->gpu);

    for (int i = 0; i < GS_MAX_CI; i++) {
        struct gs_ci *ci = &call->gi->cis[i];

        if (ci->used)
            continue;
        gs_begin(call->st, call->gpu);
        *ci = (struct gs_ci){.used = 1, .id = id, .serial = ++call->gpu->serials, .profile_enum = profile_enum,
                             .start = start, .size = profile->slices, .mig_index = mig_index};
        name_ci(call->gpu, call->gi, ci);
        gs_commit(call->st);
        *instance = gs_ci_handle(call->st, call->gpu, call->gi, ci);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

static nvmlReturn_t check_create(const struct gs_call *call, unsigned int profile_enum, struct gs_ci_profile *profile)
{
    if (gs_check_mig(call) != NVML_SUCCESS)
        return NVML_ERROR_NOT_SUPPORTED;
    if (profile_enum >= NVML_COMPUTE_INSTANCE_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    return gs_ci_profile(call->gpu, call->gi, profile_enum, profile) ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t create_anywhere(struct gs_call *call, unsigned int profile_enum,
                                    const struct gs_ci_profile *profile, nvmlComputeInstance_t *instance)
{
    for (unsigned int i = 0; i < profile->start_count; i++) {
        if (gs_ci_fits(call->gi, profile->starts[i], profile->slices))
            return create(call, profile_enum, profile, profile->starts[i], instance);
    }
    return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

nvmlReturn_t nvmlGpuInstanceCreateComputeInstance(nvmlGpuInstance_t gpuInstance, unsigned int profileId,
                                                  nvmlComputeInstance_t *computeInstance)
{
    struct gs_ci_profile profile;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, computeInstance != NULL, 0);
    result = check_create(&c, profileId, &profile);
    if (result == NVML_SUCCESS)
        result = create_anywhere(&c, profileId, &profile, computeInstance);
    return gs_leave(&c, result);
}

static int start_known(const struct gs_ci_profile *profile, unsigned int start)
{
    for (unsigned int i = 0; i < profile->start_count; i++) {
        if (profile->starts[i] == start)
            return 1;
    }
    return 0;
}

nvmlReturn_t nvmlGpuInstanceCreateComputeInstanceWithPlacement(nvmlGpuInstance_t gpuInstance, unsigned int profileId,
                                                               const nvmlComputeInstancePlacement_t *placement,
                                                               nvmlComputeInstance_t *computeInstance)
{
    struct gs_ci_profile profile;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, computeInstance != NULL && placement != NULL, 0);
    result = check_create(&c, profileId, &profile);
    if (result == NVML_SUCCESS) {
        if (!start_known(&profile, placement->start) || placement->size != profile.slices)
            result = NVML_ERROR_INVALID_ARGUMENT;
        else if (!gs_ci_fits(c.gi, placement->start, profile.slices))
            result = NVML_ERROR_INSUFFICIENT_RESOURCES;
        else
            result = create(&c, profileId, &profile, placement->start, computeInstance);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlComputeInstanceDestroy(nvmlComputeInstance_t computeInstance)
{
    nvmlReturn_t result;

    GS_ENTER_CI(c, computeInstance, 1, 0);
    result = gs_check_mig(&c);
    if (result == NVML_SUCCESS && gs_instance_in_use(c.gpu, c.gi->id, (int)c.ci->id))
        result = NVML_ERROR_IN_USE;
    if (result == NVML_SUCCESS) {
        gs_begin(c.st, c.gpu);
        c.ci->used = 0;
        gs_commit(c.st);
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstances(nvmlGpuInstance_t gpuInstance, unsigned int profileId,
                                                nvmlComputeInstance_t *computeInstances, unsigned int *count)
{
    struct gs_ci_profile profile;
    nvmlReturn_t result;

    GS_ENTER_GI(c, gpuInstance, computeInstances != NULL && count != NULL, 0);
    result = check_create(&c, profileId, &profile);
    if (result == NVML_SUCCESS) {
        *count = 0;
        for (int i = 0; i < GS_MAX_CI; i++) {
            if (c.gi->cis[i].used && c.gi->cis[i].profile_enum == profileId)
                computeInstances[(*count)++] = gs_ci_handle(c.st, c.gpu, c.gi, &c.gi->cis[i]);
        }
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(nvmlGpuInstance_t gpuInstance, unsigned int id,
                                                   nvmlComputeInstance_t *computeInstance)
{
    struct gs_ci *ci;

    GS_ENTER_GI(c, gpuInstance, computeInstance != NULL, 0);
    ci = gs_ci_by_id(c.gi, id);
    if (ci)
        *computeInstance = gs_ci_handle(c.st, c.gpu, c.gi, ci);
    return gs_leave(&c, ci ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND);
}

/* The first version gives the GPU as device, the second the MIG device. */
static void fill_info(const struct gs_call *call, nvmlDevice_t device, nvmlComputeInstanceInfo_t *info)
{
    *info = (nvmlComputeInstanceInfo_t){.device = device,
                                        .gpuInstance = gs_gi_handle(call->st, call->gpu, call->gi),
                                        .id = call->ci->id,
                                        .profileId = call->ci->profile_enum,
                                        .placement = {.start = call->ci->start, .size = call->ci->size}};
}

nvmlReturn_t nvmlComputeInstanceGetInfo(nvmlComputeInstance_t computeInstance, nvmlComputeInstanceInfo_t *info)
{
    GS_ENTER_CI(c, computeInstance, info != NULL, 0);
    fill_info(&c, gs_gpu_handle(c.st, c.gpu), info);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlComputeInstanceGetInfo_v2(nvmlComputeInstance_t computeInstance, nvmlComputeInstanceInfo_t *info)
{
    GS_ENTER_CI(c, computeInstance, info != NULL, 0);
    fill_info(&c, gs_mig_handle(c.st, c.gpu, c.gi, c.ci), info);
    return gs_leave(&c, NVML_SUCCESS);
}
