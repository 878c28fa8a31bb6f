# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers of NVML and the words this collection uses for them. PRIVATE to the collection.

Source of every table: nvml.h with NVML_API_VERSION 13 (package nvidia-nvml-dev 13.x); the name of the C enum or of the
macro family stands beside each table. A number that is not listed becomes "unknown_<number>", so that a newer driver
never breaks a read.
"""

from __future__ import annotations

import typing as t

# nvmlReturn_t, without the prefix NVML_ERROR_
CODES: t.Dict[int, str] = {
    0: "SUCCESS",
    1: "UNINITIALIZED",
    2: "INVALID_ARGUMENT",
    3: "NOT_SUPPORTED",
    4: "NO_PERMISSION",
    5: "ALREADY_INITIALIZED",
    6: "NOT_FOUND",
    7: "INSUFFICIENT_SIZE",
    8: "INSUFFICIENT_POWER",
    9: "DRIVER_NOT_LOADED",
    10: "TIMEOUT",
    11: "IRQ_ISSUE",
    12: "LIBRARY_NOT_FOUND",
    13: "FUNCTION_NOT_FOUND",
    14: "CORRUPTED_INFOROM",
    15: "GPU_IS_LOST",
    16: "RESET_REQUIRED",
    17: "OPERATING_SYSTEM",
    18: "LIB_RM_VERSION_MISMATCH",
    19: "IN_USE",
    20: "MEMORY",
    21: "NO_DATA",
    22: "VGPU_ECC_NOT_SUPPORTED",
    23: "INSUFFICIENT_RESOURCES",
    24: "FREQ_NOT_SUPPORTED",
    25: "ARGUMENT_VERSION_MISMATCH",
    26: "DEPRECATED",
    27: "NOT_READY",
    28: "GPU_NOT_FOUND",
    29: "INVALID_STATE",
    30: "RESET_TYPE_NOT_SUPPORTED",
    999: "UNKNOWN",
}

# What each code means for a person (header comments of nvmlReturn_t in our words)
CODE_TEXTS: t.Dict[str, str] = {
    "INVALID_ARGUMENT": "an argument is not valid",
    "NOT_SUPPORTED": "this GPU or driver does not offer it",
    "NO_PERMISSION": "rights are missing",
    "NOT_FOUND": "no such object",
    "DRIVER_NOT_LOADED": "the NVIDIA driver is not loaded",
    "TIMEOUT": "the driver reported a timeout",
    "FUNCTION_NOT_FOUND": "this version of the library or of pynvml does not have the function",
    "CORRUPTED_INFOROM": "the InfoROM of the GPU is corrupted",
    "GPU_IS_LOST": "the GPU fell off the bus",
    "RESET_REQUIRED": "the GPU requires a reset",
    "OPERATING_SYSTEM": "the operating system or a control group blocked it",
    "LIB_RM_VERSION_MISMATCH": "library and loaded kernel module differ in version",
    "IN_USE": "the object is in use",
    "INSUFFICIENT_RESOURCES": "not enough free resources, or the place is taken",
    "UNKNOWN": "the driver gave no reason",
}

# NVML_DEVICE_ARCH_*
ARCHITECTURES: t.Dict[int, str] = {
    2: "kepler",
    3: "maxwell",
    4: "pascal",
    5: "volta",
    6: "turing",
    7: "ampere",
    8: "ada",
    9: "hopper",
    10: "blackwell",
    13: "rubin",
}

# NVML_GPU_VIRTUALIZATION_MODE_*
VIRTUALIZATION: t.Dict[int, str] = {0: "none", 1: "passthrough", 2: "vgpu", 3: "host_vgpu", 4: "host_vsga"}

# nvmlComputeMode_t
COMPUTE_MODES: t.Dict[int, str] = {0: "default", 1: "exclusive_thread", 2: "prohibited", 3: "exclusive_process"}

# NVML_GPU_RECOVERY_ACTION_*
RECOVERY_ACTIONS: t.Dict[int, str] = {
    0: "none",
    1: "gpu_reset",
    2: "node_reboot",
    3: "drain_p2p",
    4: "drain_and_reset",
    5: "recover_imex_domain",
    6: "bus_reset",
    7: "system_reboot",
}

# NVML_GPU_FABRIC_STATE_*
FABRIC_STATES: t.Dict[int, str] = {0: "not_supported", 1: "not_started", 2: "in_progress", 3: "completed"}

# NVML_GPU_FABRIC_HEALTH_SUMMARY_*
FABRIC_HEALTH: t.Dict[int, str] = {0: "not_supported", 1: "healthy", 2: "unhealthy", 3: "limited_capacity"}

# NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_* and _WIDTH_*: (name, shift, width). Value 1 means true, 2 false, 0 not supported.
FABRIC_HEALTH_FLAGS: t.Tuple[t.Tuple[str, int, int], ...] = (
    ("degraded_bandwidth", 0, 0x3),
    ("route_recovery", 2, 0x3),
    ("route_unhealthy", 4, 0x3),
    ("access_timeout_recovery", 6, 0x3),
)

# nvmlClocksEventReason* (nvmlClocksThrottleReason* before 535.54.03): bit, name
EVENT_REASONS: t.Tuple[t.Tuple[int, str], ...] = (
    (0x1, "gpu_idle"),
    (0x2, "application_clocks"),
    (0x4, "sw_power_cap"),
    (0x8, "hw_slowdown"),
    (0x10, "sync_boost"),
    (0x20, "sw_thermal_slowdown"),
    (0x40, "hw_thermal_slowdown"),
    (0x80, "hw_power_brake"),
    (0x100, "display_clocks"),
)

# NVML_GPU_INSTANCE_PROFILE_*: the attribute in a profile's name, for drivers too old to tell names.
PROFILE_ATTRIBUTES: t.Dict[int, str] = {
    0x7: "+me",
    0x8: "+me",
    0xA: "+gfx",
    0xB: "+gfx",
    0xC: "+gfx",
    0xD: "-me",
    0xE: "-me",
    0xF: "+me.all",
    0x10: "+me.all",
    0x11: "+gfx",
}

# nvmlTemperatureThresholds_t
TEMPERATURE_LIMITS: t.Tuple[t.Tuple[str, int], ...] = (
    ("shutdown", 0),
    ("slowdown", 1),
    ("memory_max", 2),
    ("gpu_max", 3),
)

# nvmlClockType_t
CLOCKS: t.Tuple[t.Tuple[str, int], ...] = (("graphics", 0), ("sm", 1), ("memory", 2), ("video", 3))

# nvmlNvLinkErrorCounter_t
NVLINK_ERRORS: t.Tuple[t.Tuple[str, int], ...] = (("replay", 0), ("recovery", 1), ("crc_flit", 2), ("crc_data", 3))

# nvmlMemoryLocation_t, the ones that data-centre boards report
MEMORY_LOCATIONS: t.Tuple[t.Tuple[str, int], ...] = (("dram", 2), ("sram", 7))

# NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, NVML_FI_DEV_TEMPERATURE_MEMORY (MEMORY_TEMP)
FIELD_RECOVERY_ACTION = 230
FIELD_MEMORY_TEMPERATURE = 82


def word(table: t.Mapping[int, str], number: int) -> str:
    """The collection's word for an NVML number."""
    return table.get(number, f"unknown_{number}")


def code_name(code: int) -> str:
    """NVML_ERROR_IN_USE without its prefix: "IN_USE"."""
    return CODES.get(code, f"CODE_{code}")


def event_reasons(mask: int) -> t.List[str]:
    """Names of all bits set in a clock event mask; bits without a name are given as "unknown_0x…"."""
    names = [name for bit, name in EVENT_REASONS if mask & bit]
    rest = mask & ~sum(bit for bit, _name in EVENT_REASONS)
    return names + ([f"unknown_{rest:#x}"] if rest else [])
