# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that every module with NVML has. PRIVATE to the collection. Documented in the fragment accel.gpu.nvml."""

from __future__ import annotations

import typing as t

from .._errors import WishError

NVML_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {
    "nvml_binding": {"type": "str", "no_log": True},
    "nvml_deadline": {"type": "float", "default": 30.0},
}

# What a host declares (fleet variables accel_gpu_expected and accel_gpu_exceptions).
EXPECTED_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {
    "expected": {
        "type": "dict",
        "options": {
            "count": {"type": "int"},
            "model": {"type": "str"},
            "nvlinks": {"type": "int"},
            "compute_nics": {"type": "int"},
            "gbps": {"type": "float"},
        },
    },
    "exceptions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "gpu": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["missing"], "required": True},
            "reason": {"type": "str", "required": True},
            "until": {"type": "str", "required": True},
        },
    },
}


def deadline(params: t.Mapping[str, t.Any]) -> float:
    """Seconds for each NVML call. Raises WishError."""
    seconds = float(params.get("nvml_deadline", 30.0))
    if not 0 < seconds < 86400:
        raise WishError(f"nvml_deadline: {seconds:g} is not a number of seconds above 0 and below 86400; 30 is usual")
    return seconds
