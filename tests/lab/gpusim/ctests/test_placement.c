/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The driver's own placement, instance numbers, engine limits.
 */
#include "check.h"

enum { NO_ROOM = -1 };

struct step {
    unsigned int profile;
    int start;       /* NO_ROOM = Insufficient Resources */
    unsigned int id; /* number of the instance */
};

static void walk(unsigned int index, const struct step *steps, int count)
{
    for (int i = 0; i < count; i++) {
        nvmlGpuInstance_t gi;
        nvmlGpuInstanceInfo_t info;
        nvmlReturn_t result = nvmlDeviceCreateGpuInstance(device(index), steps[i].profile, &gi);

        if (steps[i].start == NO_ROOM) {
            CHECK(result == NVML_ERROR_INSUFFICIENT_RESOURCES);
            continue;
        }
        CHECK(result == NVML_SUCCESS);
        CHECK_CALL(nvmlGpuInstanceGetInfo(gi, &info));
        CHECK((int)info.placement.start == steps[i].start);
        CHECK(info.id == steps[i].id);
    }
    clear(index);
}

#define WALK(index, ...)                                                                    \
    do {                                                                                    \
        const struct step steps[] = {__VA_ARGS__};                                          \
        walk(index, steps, (int)(sizeof(steps) / sizeof(steps[0])));                        \
    } while (0)

/* Every sequence that facts/mig.md 3.1 reports: A100 (GPU 0) and H100 (GPU 1). */
static void observed_sequences(void)
{
    WALK(0, {19, 6, 13}, {19, 4, 11}, {14, 0, 3}, {9, NO_ROOM, 0});
    WALK(0, {9, 4, 2}, {19, 0, 7}, {14, 2, 4}, {19, 1, 8});
    WALK(0, {19, 6, 13}, {14, 4, 5}, {5, 0, 1});
    WALK(0, {14, 4, 5}, {19, 6, 13}, {19, 0, 7}, {19, 1, 8}, {19, 2, 9}, {19, 3, 10});
    WALK(1, {9, 4, 2}, {14, 0, 3});
}

/* Fill the GPU with one profile; returns how many went in. */
static unsigned int fill(unsigned int index, unsigned int profile)
{
    nvmlGpuInstance_t gi;
    unsigned int count = 0, capacity;

    CHECK_CALL(nvmlDeviceGetGpuInstanceRemainingCapacity(device(index), profile, &capacity));
    while (nvmlDeviceCreateGpuInstance(device(index), profile, &gi) == NVML_SUCCESS)
        count++;
    CHECK(count == capacity);
    CHECK_CALL(nvmlDeviceGetGpuInstanceRemainingCapacity(device(index), profile, &capacity));
    CHECK(capacity == 0);
    clear(index);
    return count;
}

/* Each profile alone goes in as often as its table says, on every board with MIG. */
static void single_profiles(void)
{
    for (unsigned int g = 0; g < 5; g++) {
        const struct gs_board *board = NULL;
        char name[96];

        CHECK_CALL(nvmlDeviceGetName(device(g), name, sizeof(name)));
        for (int b = 0; b < gs_board_count; b++) {
            if (strcmp(gs_boards[b].name, name) == 0)
                board = &gs_boards[b];
        }
        CHECK(board != NULL);
        for (unsigned int p = 0; p < board->profile_count; p++)
            CHECK(fill(g, board->profiles[p].id) == board->profiles[p].max_instances);
    }
}

static nvmlReturn_t place(unsigned int index, unsigned int profile, unsigned int start, unsigned int size)
{
    nvmlGpuInstancePlacement_t placement = {.start = start, .size = size};
    nvmlGpuInstance_t gi;

    return nvmlDeviceCreateGpuInstanceWithPlacement(device(index), profile, &placement, &gi);
}

static void explicit_placement(void)
{
    CHECK_CALL(place(0, 9, 0, 4));
    CHECK(place(0, 9, 0, 4) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK(place(0, 14, 2, 2) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK(place(0, 9, 2, 4) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(place(0, 9, 4, 3) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(place(0, 77, 0, 1) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(place(0, 19, 5, 1));
    CHECK(place(0, 14, 4, 2) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    clear(0);
}

/* +me once; +me.all leaves room for -me only; media engines of the whole GPU are never exceeded. */
static void engines(void)
{
    CHECK_CALL(place(0, 20, 0, 1));
    CHECK(place(0, 20, 1, 1) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK_CALL(place(0, 19, 1, 1));
    clear(0);
    CHECK_CALL(place(3, 21, 0, 1)); /* A30: 1g.6gb+me and 2g.12gb+me share the one OFA */
    CHECK(place(3, 6, 2, 2) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK_CALL(place(3, 5, 2, 2));
    clear(3);
    CHECK_CALL(place(4, 65, 0, 3)); /* RTX PRO 6000: 1g.24gb+me.all */
    CHECK(place(4, 14, 3, 3) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK(place(4, 5, 6, 6) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK_CALL(place(4, 67, 3, 3));
    CHECK_CALL(place(4, 66, 6, 6));
    clear(4);
    CHECK_CALL(place(4, 14, 0, 3));
    CHECK(place(4, 65, 3, 3) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    clear(4);
}

/* Two 1g at 3 and 6 block every 2g of the 12-slot board (mig.md 3.3); numbers follow the same heap. */
static void twelve_slots(void)
{
    unsigned int capacity;
    nvmlGpuInstance_t gi;

    CHECK_CALL(place(4, 14, 3, 3));
    CHECK_CALL(place(4, 14, 6, 3));
    CHECK_CALL(nvmlDeviceGetGpuInstanceRemainingCapacity(device(4), 5, &capacity));
    CHECK(capacity == 0);
    CHECK_CALL(nvmlDeviceGetGpuInstanceById(device(4), 4, &gi));
    CHECK_CALL(nvmlDeviceGetGpuInstanceById(device(4), 5, &gi));
    CHECK(nvmlDeviceGetGpuInstanceById(device(4), 3, &gi) == NVML_ERROR_NOT_FOUND);
    clear(4);
}

/* Layouts that can follow from here: at each start either nothing or one of the profiles that fit. */
static unsigned int layouts(struct gs_gpu *gpu, unsigned int from, const char *names, int instances)
{
    const struct gs_board *board = gs_board_of(gpu);
    unsigned int count;

    if (from == board->slots)
        return 1;
    count = layouts(gpu, from + 1, names, instances);
    for (unsigned int p = 0; p < board->profile_count; p++) {
        struct gs_gi *gi = &gpu->gis[instances];

        if (!strstr(names, board->profiles[p].name) || !gs_gi_start_known(&board->profiles[p], from) ||
            !gs_gi_fits(gpu, (int)p, from))
            continue;
        *gi = (struct gs_gi){.used = 1, .profile = p, .start = from};
        count += layouts(gpu, from + board->profiles[p].slots, names, instances + 1);
        gi->used = 0;
    }
    return count;
}

/* The numbers of layouts that an exhaustive enumeration found (mig.md 3.2): the limits are neither tighter nor looser. */
static void number_of_layouts(void)
{
    static const struct {
        const char *board, *names;
        unsigned int count;
    } grids[] = {
        {"a100-40gb", "1g.5gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", 298},
        {"h100-80gb-sxm5", "1g.10gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", 298},
        {"h200-141gb", "1g.18gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb", 298},
        {"b200-180gb", "1g.23gb 2g.45gb 3g.90gb 4g.90gb 7g.180gb", 298},
        {"a100-40gb", "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", 2319},
        {"h100-80gb-sxm5", "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", 2319},
        {"a30-24gb", "1g.6gb 2g.12gb 4g.24gb", 26},
        {"rtx-pro-6000-blackwell-96gb", "1g.24gb 2g.48gb 4g.96gb", 26},
    };
    static struct gs_gpu gpu;

    for (size_t i = 0; i < sizeof(grids) / sizeof(grids[0]); i++) {
        for (gpu.board = 0; strcmp(gs_boards[gpu.board].key, grids[i].board) != 0;)
            gpu.board++;
        CHECK(layouts(&gpu, 0, grids[i].names, 0) == grids[i].count);
    }
}

int main(void)
{
    start("init a100-40gb,h100-80gb-sxm5,b200-180gb,a30-24gb,rtx-pro-6000-blackwell-96gb");
    for (unsigned int i = 0; i < 5; i++)
        mig_device(i);
    observed_sequences();
    single_profiles();
    explicit_placement();
    engines();
    twelve_slots();
    number_of_layouts();
    return finish("placement");
}
