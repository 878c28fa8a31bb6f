/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Defaults, and what a reset, a reboot and an unload of the driver take away.
 */
#include "mig.h"

#include <string.h>

static int64_t clock_default(const struct gs_board *board, enum gs_value value)
{
    switch (value) {
    case V_CLOCK_GRAPHICS:
    case V_CLOCK_SM:
        return board->graphics_min;
    case V_CLOCK_MEMORY:
        return board->memory_clocks[0];
    case V_CLOCK_VIDEO:
        return board->video_max * 3 / 4;
    case V_APP_GRAPHICS:
        /* Deprecated and refused on Blackwell (derived from the header's word "deprecated" since 13.0). */
        return board->architecture >= NVML_DEVICE_ARCH_BLACKWELL ? GS_NONE : (int64_t)board->graphics_app;
    case V_APP_MEMORY:
        return board->architecture >= NVML_DEVICE_ARCH_BLACKWELL ? GS_NONE : (int64_t)board->memory_clocks[0];
    default:
        return 0;
    }
}

static int is_remap(enum gs_value value)
{
    return value >= V_REMAP_COR && value <= V_REMAP_NONE;
}

static int is_retired(enum gs_value value)
{
    return value >= V_RETIRED_SBE && value <= V_RETIRED_PENDING;
}

/* Values that this board does not have: passive cooling, no memory sensor, remapping or retirement by architecture. */
static int is_missing(const struct gs_board *board, enum gs_value value)
{
    int remaps = board->architecture >= NVML_DEVICE_ARCH_AMPERE;

    switch (value) {
    case V_FAN:
    case V_EXTERNAL_LIMIT:
    case V_AUTO_BOOST:
    case V_AUTO_BOOST_DEFAULT:
        return 1;
    case V_MEMORY_TEMPERATURE:
        return board->temperature_memory == 0;
    case V_REPAIR_CHANNEL:
    case V_REPAIR_TPC:
        return board->architecture < NVML_DEVICE_ARCH_HOPPER;
    default:
        return (is_remap(value) && !remaps) || (is_retired(value) && remaps);
    }
}

static int64_t reading_default(const struct gs_state *st, const struct gs_gpu *gpu, enum gs_value value)
{
    const struct gs_board *board = gs_board_of(gpu);
    int64_t index = gpu - st->gpus;

    switch (value) {
    case V_TEMPERATURE:
        return 31 + index % 5;
    case V_MEMORY_TEMPERATURE:
        return 34 + index % 5;
    case V_POWER:
        return (int64_t)board->power_default_w * 1000 * 13 / 100;
    case V_POWER_LIMIT:
        return (int64_t)board->power_default_w * 1000;
    case V_PCIE_GENERATION:
        return board->pcie_generation;
    case V_PCIE_WIDTH:
        return board->pcie_width;
    case V_NUMA_NODE:
        return st->gpu_count > 1 ? index * 2 / st->gpu_count : 0;
    case V_REMAP_MAX:
        return board->memory_mib / 64; /* all banks have all spare rows; the number of banks is derived */
    case V_FABRIC_STATE:
        return board->fabric ? NVML_GPU_FABRIC_STATE_COMPLETED : NVML_GPU_FABRIC_STATE_NOT_SUPPORTED;
    case V_FABRIC_HEALTH_SUMMARY:
        return board->fabric ? NVML_GPU_FABRIC_HEALTH_SUMMARY_HEALTHY : NVML_GPU_FABRIC_HEALTH_SUMMARY_NOT_SUPPORTED;
    case V_THROTTLE: /* the bit "GPU idle" */
    case V_RESTRICT_APP_CLOCKS:
    case V_ECC_CURRENT:
    case V_ECC_PENDING:
        return 1;
    default:
        return clock_default(board, value);
    }
}

void gs_defaults(struct gs_state *st, struct gs_gpu *gpu, const char *classes)
{
    const struct gs_board *board = gs_board_of(gpu);

    for (int v = 0; v < V_COUNT; v++) {
        if (strchr(classes, gs_value_infos[v].class))
            gpu->values[v] = is_missing(board, (enum gs_value)v) ? GS_NONE : reading_default(st, gpu, (enum gs_value)v);
    }
    if (!strchr(classes, 'R'))
        return;
    for (unsigned int i = 0; i < board->nvlinks; i++)
        gpu->links[i] = (struct gs_link){.state = 1, .speed_mbps = board->nvlink_speed_mbps};
}

/* A pending row remapping is done by the reset; aggregate counters, histogram and failure stay in the InfoROM. What
 * needs a reboot of the node is not cured by a reset. */
void gs_reset_gpu(struct gs_state *st, struct gs_gpu *gpu)
{
    int64_t action = gpu->values[V_RECOVERY_ACTION];

    gs_defaults(st, gpu, "CS");
    if (action == NVML_GPU_RECOVERY_ACTION_NODE_REBOOT)
        gpu->values[V_RECOVERY_ACTION] = action;
    gpu->values[V_ECC_CURRENT] = gpu->values[V_ECC_PENDING];
    gpu->mig_current = gpu->mig_pending;
    memset(gpu->gis, 0, sizeof(gpu->gis));
    gpu->resets++;
}

int gs_guest_without_reset(const struct gs_state *st)
{
    return st->virt != GS_VIRT_NONE && !st->guest_reset;
}

static void power_cycle(struct gs_state *st, struct gs_gpu *gpu)
{
    gs_begin(st, gpu);
    memset(gpu->processes, 0, sizeof(gpu->processes));
    gs_reset_gpu(st, gpu);
    gs_defaults(st, gpu, "RCSP");
    gpu->generation++;
    if (!gs_board_mode_needs_reset(gs_board_of(gpu)))
        gpu->mig_current = gpu->mig_pending = NVML_DEVICE_MIG_DISABLE;
    gs_commit(st);
}

void gs_reboot(struct gs_state *st)
{
    for (uint32_t i = 0; i < st->gpu_count; i++)
        power_cycle(st, &st->gpus[i]);
    memcpy(st->kernel_driver, st->driver, sizeof(st->kernel_driver));
    st->loaded = 1;
    st->boot_count++;
}

void gs_unload(struct gs_state *st)
{
    for (uint32_t i = 0; i < st->gpu_count; i++)
        power_cycle(st, &st->gpus[i]);
    st->loaded = 0;
}
