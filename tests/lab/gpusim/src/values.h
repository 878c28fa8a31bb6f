/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * All plain numbers of a GPU, by name, so that reading, `set` and `show` share one list.
 *
 * GS_VALUES(row): row(ENUM, "name", scale, class). A value is kept as name * scale in a 64-bit integer (power is
 * written in watts and kept in milliwatts). GS_NONE means NOT_SUPPORTED. The class says when a value falls back to its
 * default: R = reading, at reboot or load; C = counter or finding, at reset; S = setting, at reset and load;
 * P = persistence mode, at load only (a GPU reset keeps it); I = kept in the InfoROM.
 */
#ifndef GS_VALUES_H
#define GS_VALUES_H

#include <stdint.h>

#define GS_NONE INT64_MIN

#define GS_VALUES(row)                                            \
    row(V_LOST, "lost", 1, 'C')                                   \
    row(V_HUNG, "hung", 1, 'C')                                   \
    row(V_REQUIRES_RESET, "requires_reset", 1, 'C')               \
    row(V_RECOVERY_ACTION, "recovery_action", 1, 'C')             \
    row(V_TEMPERATURE, "temperature", 1, 'R')                     \
    row(V_MEMORY_TEMPERATURE, "memory_temperature", 1, 'R')       \
    row(V_FAN, "fan", 1, 'R')                                     \
    row(V_POWER, "power", 1000, 'R')                              \
    row(V_ENERGY, "energy", 1000, 'R')                            \
    row(V_EXTERNAL_LIMIT, "external_power_limit", 1000, 'R')      \
    row(V_CLOCK_GRAPHICS, "clock_graphics", 1, 'R')               \
    row(V_CLOCK_SM, "clock_sm", 1, 'R')                           \
    row(V_CLOCK_MEMORY, "clock_memory", 1, 'R')                   \
    row(V_CLOCK_VIDEO, "clock_video", 1, 'R')                     \
    row(V_PSTATE, "pstate", 1, 'R')                               \
    row(V_THROTTLE, "throttle", 1, 'R')                           \
    row(V_VIOLATION_POWER, "violation.power", 1, 'C')             \
    row(V_VIOLATION_THERMAL, "violation.thermal", 1, 'C')         \
    row(V_VIOLATION_HW_THERMAL, "violation.hw_thermal", 1, 'C')   \
    row(V_VIOLATION_POWER_BRAKE, "violation.power_brake", 1, 'C') \
    row(V_VIOLATION_SYNC_BOOST, "violation.sync_boost", 1, 'C')   \
    row(V_UTILIZATION, "utilization", 1, 'R')                     \
    row(V_UTILIZATION_MEMORY, "utilization_memory", 1, 'R')       \
    row(V_UTILIZATION_ENCODER, "utilization_encoder", 1, 'R')     \
    row(V_UTILIZATION_DECODER, "utilization_decoder", 1, 'R')     \
    row(V_UTILIZATION_JPEG, "utilization_jpeg", 1, 'R')           \
    row(V_UTILIZATION_OFA, "utilization_ofa", 1, 'R')             \
    row(V_MEMORY_USED, "memory_used", 1, 'R')                     \
    row(V_PCIE_GENERATION, "pcie.generation", 1, 'R')             \
    row(V_PCIE_WIDTH, "pcie.width", 1, 'R')                       \
    row(V_PCIE_TX, "pcie.tx", 1, 'R')                             \
    row(V_PCIE_RX, "pcie.rx", 1, 'R')                             \
    row(V_PCIE_REPLAY, "pcie.replay", 1, 'C')                     \
    row(V_PCIE_CORRECTABLE, "pcie.correctable", 1, 'C')           \
    row(V_PCIE_NON_FATAL, "pcie.non_fatal", 1, 'C')               \
    row(V_PCIE_FATAL, "pcie.fatal", 1, 'C')                       \
    row(V_NUMA_NODE, "numa_node", 1, 'I')                         \
    row(V_ECC_VOL_SRAM_COR, "ecc.volatile.sram.corrected", 1, 'C')        \
    row(V_ECC_VOL_SRAM_PARITY, "ecc.volatile.sram.parity", 1, 'C')        \
    row(V_ECC_VOL_SRAM_SECDED, "ecc.volatile.sram.secded", 1, 'C')        \
    row(V_ECC_VOL_DRAM_COR, "ecc.volatile.dram.corrected", 1, 'C')        \
    row(V_ECC_VOL_DRAM_UNC, "ecc.volatile.dram.uncorrected", 1, 'C')      \
    row(V_ECC_AGG_SRAM_COR, "ecc.aggregate.sram.corrected", 1, 'I')       \
    row(V_ECC_AGG_SRAM_PARITY, "ecc.aggregate.sram.parity", 1, 'I')       \
    row(V_ECC_AGG_SRAM_SECDED, "ecc.aggregate.sram.secded", 1, 'I')       \
    row(V_ECC_AGG_DRAM_COR, "ecc.aggregate.dram.corrected", 1, 'I')       \
    row(V_ECC_AGG_DRAM_UNC, "ecc.aggregate.dram.uncorrected", 1, 'I')     \
    row(V_ECC_SRAM_THRESHOLD, "ecc.sram_threshold_exceeded", 1, 'I')      \
    row(V_RETIRED_SBE, "retired.single_bit", 1, 'I')              \
    row(V_RETIRED_DBE, "retired.double_bit", 1, 'I')              \
    row(V_RETIRED_PENDING, "retired.pending", 1, 'C')             \
    row(V_REMAP_COR, "remap.correctable", 1, 'I')                 \
    row(V_REMAP_UNC, "remap.uncorrectable", 1, 'I')               \
    row(V_REMAP_PENDING, "remap.pending", 1, 'C')                 \
    row(V_REMAP_FAILURE, "remap.failure", 1, 'I')                 \
    row(V_REMAP_MAX, "remap.histogram.max", 1, 'I')               \
    row(V_REMAP_HIGH, "remap.histogram.high", 1, 'I')             \
    row(V_REMAP_PARTIAL, "remap.histogram.partial", 1, 'I')       \
    row(V_REMAP_LOW, "remap.histogram.low", 1, 'I')               \
    row(V_REMAP_NONE, "remap.histogram.none", 1, 'I')             \
    row(V_REPAIR_CHANNEL, "repair.channel_pending", 1, 'C')       \
    row(V_REPAIR_TPC, "repair.tpc_pending", 1, 'C')               \
    row(V_FABRIC_STATE, "fabric.state", 1, 'R')                   \
    row(V_FABRIC_STATUS, "fabric.status", 1, 'R')                 \
    row(V_FABRIC_CLIQUE, "fabric.clique", 1, 'R')                 \
    row(V_FABRIC_HEALTH_MASK, "fabric.health_mask", 1, 'R')       \
    row(V_FABRIC_HEALTH_SUMMARY, "fabric.health_summary", 1, 'R') \
    row(V_PERSISTENCE, "persistence_mode", 1, 'P')                \
    row(V_COMPUTE_MODE, "compute_mode", 1, 'S')                   \
    row(V_POWER_LIMIT, "power_limit", 1000, 'S')                  \
    row(V_POWER_STEP, "power_limit_step", 1000, 'I')              \
    row(V_APP_GRAPHICS, "application_clock_graphics", 1, 'S')     \
    row(V_APP_MEMORY, "application_clock_memory", 1, 'S')         \
    row(V_LOCK_GPU_MIN, "locked_gpu_clock_min", 1, 'S')           \
    row(V_LOCK_GPU_MAX, "locked_gpu_clock_max", 1, 'S')           \
    row(V_LOCK_MEMORY_MIN, "locked_memory_clock_min", 1, 'S')     \
    row(V_LOCK_MEMORY_MAX, "locked_memory_clock_max", 1, 'S')     \
    row(V_AUTO_BOOST, "auto_boost", 1, 'S')                       \
    row(V_AUTO_BOOST_DEFAULT, "auto_boost_default", 1, 'S')       \
    row(V_RESTRICT_APP_CLOCKS, "restrict_application_clocks", 1, 'S') \
    row(V_ACCOUNTING, "accounting_mode", 1, 'S')                  \
    row(V_ECC_CURRENT, "ecc_current", 1, 'I')                     \
    row(V_ECC_PENDING, "ecc_pending", 1, 'I')

#define GS_ENUM_ROW(id, name, scale, class) id,
enum gs_value { GS_VALUES(GS_ENUM_ROW) V_COUNT };
#undef GS_ENUM_ROW

struct gs_value_info {
    const char *name;
    int64_t scale;
    char class;
};

extern const struct gs_value_info gs_value_infos[V_COUNT];

/* Index of a value by name, -1 if there is none. */
int gs_value_find(const char *name);

#endif
