/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where GPU instances go: memory slots, compute slices, engines, and the driver's own choice.
 *
 * The driver does not take the first free slot. Every sequence observed on real boards (mig.md 3.1) is reproduced by
 * this rule: of the free placements take the one that leaves most placements of all profiles possible; on equal terms
 * the lowest start. ctests/test_placement.c holds the sequences. For boards without an observed sequence the rule is
 * an assumption.
 */
#include "mig.h"

static int overlaps(unsigned int a_start, unsigned int a_size, unsigned int b_start, unsigned int b_size)
{
    return a_start < b_start + b_size && b_start < a_start + a_size;
}

static int slots_free(const struct gs_gpu *gpu, unsigned int start, unsigned int size)
{
    for (int i = 0; i < GS_MAX_GI; i++) {
        const struct gs_gi *gi = &gpu->gis[i];

        if (gi->used && overlaps(start, size, gi->start, gs_profile_of(gpu, gi)->slots))
            return 0;
    }
    return 1;
}

static int is_no_me(const struct gs_profile *profile)
{
    return profile->profile_enum == NVML_GPU_INSTANCE_PROFILE_1_SLICE_NO_ME ||
           profile->profile_enum == NVML_GPU_INSTANCE_PROFILE_2_SLICE_NO_ME;
}

static int is_all_me(const struct gs_profile *profile)
{
    return profile->profile_enum == NVML_GPU_INSTANCE_PROFILE_1_SLICE_ALL_ME ||
           profile->profile_enum == NVML_GPU_INSTANCE_PROFILE_2_SLICE_ALL_ME;
}

/* The engines of the whole GPU are those of the profile that takes all of it. */
static const struct gs_profile *full_profile(const struct gs_board *board)
{
    for (unsigned int i = 0; i < board->profile_count; i++) {
        if (board->profiles[i].slots == board->slots)
            return &board->profiles[i];
    }
    return &board->profiles[0];
}

/* Everything but the memory slots: how many instances of this profile may still come (0 .. max_instances). */
static unsigned int engine_capacity(const struct gs_gpu *gpu, int index)
{
    const struct gs_board *board = gs_board_of(gpu);
    const struct gs_profile *profile = &board->profiles[index], *full = full_profile(board);
    unsigned int left[GS_ENGINES], slices = board->compute_slices, capacity = profile->max_instances;

    for (int e = 0; e < GS_ENGINES; e++)
        left[e] = full->engines[e];
    for (int i = 0; i < GS_MAX_GI; i++) {
        const struct gs_profile *other = gpu->gis[i].used ? gs_profile_of(gpu, &gpu->gis[i]) : NULL;

        if (!other)
            continue;
        /* nvml.h: an ALL_ME instance prevents all but NO_ME profiles. */
        if ((is_all_me(other) && !is_no_me(profile)) || (is_all_me(profile) && !is_no_me(other)))
            return 0;
        slices -= other->slices;
        if (other == profile && capacity)
            capacity--;
        for (int e = 0; e < GS_ENGINES; e++)
            left[e] -= other->engines[e];
    }
    if (capacity > slices / profile->slices)
        capacity = slices / profile->slices;
    for (int e = 0; e < GS_ENGINES; e++) {
        if (profile->engines[e] && capacity > left[e] / profile->engines[e])
            capacity = left[e] / profile->engines[e];
    }
    return capacity;
}

int gs_gi_start_known(const struct gs_profile *profile, unsigned int start)
{
    for (unsigned int i = 0; i < profile->start_count; i++) {
        if (profile->starts[i] == start)
            return 1;
    }
    return 0;
}

int gs_gi_fits(const struct gs_gpu *gpu, int profile, unsigned int start)
{
    return slots_free(gpu, start, gs_board_of(gpu)->profiles[profile].slots) && engine_capacity(gpu, profile) > 0;
}

/* Placements of all profiles that stay free when start..start+size is taken. */
static unsigned int placements_left(const struct gs_gpu *gpu, unsigned int start, unsigned int size)
{
    const struct gs_board *board = gs_board_of(gpu);
    unsigned int left = 0;

    for (unsigned int p = 0; p < board->profile_count; p++) {
        const struct gs_profile *profile = &board->profiles[p];

        for (unsigned int i = 0; i < profile->start_count; i++) {
            left += slots_free(gpu, profile->starts[i], profile->slots) &&
                    !overlaps(profile->starts[i], profile->slots, start, size);
        }
    }
    return left;
}

int gs_gi_choose(const struct gs_gpu *gpu, int index)
{
    const struct gs_profile *profile = &gs_board_of(gpu)->profiles[index];
    unsigned int best = 0;
    int chosen = -1;

    if (engine_capacity(gpu, index) == 0)
        return -1;
    for (unsigned int i = 0; i < profile->start_count; i++) {
        unsigned int start = profile->starts[i], left;

        if (!slots_free(gpu, start, profile->slots))
            continue;
        left = placements_left(gpu, start, profile->slots);
        if (chosen < 0 || left > best) {
            best = left;
            chosen = (int)start;
        }
    }
    return chosen;
}

/* Most instances of the profile that still go in. Equal intervals: taking the lowest free start each time is best. */
unsigned int gs_gi_capacity(const struct gs_gpu *gpu, int index)
{
    const struct gs_profile *profile = &gs_board_of(gpu)->profiles[index];
    unsigned int limit = engine_capacity(gpu, index), count = 0, next = 0;

    for (unsigned int i = 0; i < profile->start_count && count < limit; i++) {
        unsigned int start = profile->starts[i];

        if (start >= next && slots_free(gpu, start, profile->slots)) {
            count++;
            next = start + profile->slots;
        }
    }
    return count;
}
