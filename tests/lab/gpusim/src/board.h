/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a board is. The table is generated from boards.yaml.
 */
#ifndef GS_BOARD_H
#define GS_BOARD_H

#include "nvml_api.h"

#define GS_MAX_PROFILES 12
#define GS_MAX_STARTS 8

/* Engines that GPU instances share out. */
enum gs_engine { GS_COPY, GS_DECODER, GS_ENCODER, GS_JPEG, GS_OFA, GS_ENGINES };

struct gs_profile {
    const char *name; /* "1g.10gb+me" */
    unsigned int id;  /* what every call but ProfileInfo takes */
    unsigned int profile_enum;
    unsigned int slices;
    unsigned int slots; /* memory slots it occupies */
    unsigned int mib;
    unsigned int start_count;
    unsigned int starts[GS_MAX_STARTS];
    unsigned int sm;
    unsigned int max_instances;
    unsigned int reported_count; /* what the driver says; wrong on A30 */
    unsigned int engines[GS_ENGINES];
};

struct gs_board {
    const char *key;
    const char *name;
    nvmlBrandType_t brand;
    unsigned int architecture;
    const char *architecture_name;
    int cc_major, cc_minor;
    unsigned int pci_device, pci_subsystem;
    const char *part_number;
    const char *vbios;
    unsigned int memory_mib, reserved_mib, bus_bits, bar1_mib;
    unsigned int sm, cores_per_sm;
    unsigned int power_default_w, power_min_w, power_max_w;
    unsigned int graphics_min, graphics_max, graphics_app, video_max;
    unsigned int memory_clock_count, memory_clocks[4]; /* highest first */
    unsigned int temperature_max, temperature_slowdown, temperature_shutdown, temperature_memory;
    unsigned int pcie_generation, pcie_width;
    unsigned int nvlinks, nvlink_version, nvlink_speed_mbps, fabric;
    unsigned int slots, compute_slices; /* both 0 where there is no MIG */
    unsigned int profile_count;
    struct gs_profile profiles[GS_MAX_PROFILES];
    const char *derived; /* names of the facts that no source gave */
};

extern const struct gs_board gs_boards[];
extern const int gs_board_count;

static inline int gs_board_has_mig(const struct gs_board *board)
{
    return board->slots != 0;
}

/* Ampere toggles MIG by a reset and keeps the mode in the InfoROM; Hopper and later do neither (mig.md 2.3). */
static inline int gs_board_mode_needs_reset(const struct gs_board *board)
{
    return board->architecture < NVML_DEVICE_ARCH_HOPPER;
}

#endif
