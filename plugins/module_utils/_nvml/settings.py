# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of one GPU with their allowed ranges. PRIVATE to the collection.

Plain values with fixed keys; power in watts, clocks in MHz, None where the GPU does not offer it. NVML has no call that
reads locked clocks back, so they do not appear.
"""

from __future__ import annotations

import typing as t

from .._data.nvml_names import COMPUTE_MODES, word
from .address import by_uuid
from .caller import Caller

GRAPHICS, MEMORY = 0, 2


def read(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    """All settings; shape as RETURN of gpu_info, key gpus[].settings."""
    mode = caller.get("nvmlDeviceGetComputeMode", handle)
    return {
        "persistence_mode": _flag(caller.get("nvmlDeviceGetPersistenceMode", handle)),
        "compute_mode": None if mode is None else word(COMPUTE_MODES, mode),
        "power_limit": _power_limit(caller, handle),
        "application_clocks": _application_clocks(caller, handle),
        "supported_clocks": _supported_clocks(caller, handle),
        "ecc": _ecc(caller, handle),
        "auto_boost": _auto_boost(caller, handle),
        "accounting_mode": _flag(caller.get("nvmlDeviceGetAccountingMode", handle)),
    }


def _power_limit(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    limits = caller.get("nvmlDeviceGetPowerManagementLimitConstraints", handle) or (None, None)
    return {
        "current": watts(caller.get("nvmlDeviceGetPowerManagementLimit", handle)),
        "enforced": watts(caller.get("nvmlDeviceGetEnforcedPowerLimit", handle)),
        "default": watts(caller.get("nvmlDeviceGetPowerManagementDefaultLimit", handle)),
        "min": watts(limits[0]),
        "max": watts(limits[1]),
    }


def _application_clocks(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    return {
        "graphics": caller.get("nvmlDeviceGetApplicationsClock", handle, GRAPHICS),
        "memory": caller.get("nvmlDeviceGetApplicationsClock", handle, MEMORY),
        "default_graphics": caller.get("nvmlDeviceGetDefaultApplicationsClock", handle, GRAPHICS),
        "default_memory": caller.get("nvmlDeviceGetDefaultApplicationsClock", handle, MEMORY),
    }


def _supported_clocks(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    """Memory clocks as a list (they are few), graphics clocks of the highest memory clock as a range."""
    memory = sorted(caller.get("nvmlDeviceGetSupportedMemoryClocks", handle) or ())
    graphics = caller.get("nvmlDeviceGetSupportedGraphicsClocks", handle, memory[-1]) if memory else None
    return {
        "memory": memory,
        "graphics_min": min(graphics) if graphics else None,
        "graphics_max": max(graphics) if graphics else None,
    }


def clocks_of(caller: Caller, uuid: str, pci: t.Optional[str]) -> t.Dict[str, t.Any]:
    """{"steps": {memory clock: (graphics clocks, ...)}, "graphics": clock now, "memory": clock now}.

    A failed read raises, for it must not look like a clock that the GPU does not have."""
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        memory = caller.offered("nvmlDeviceGetSupportedMemoryClocks", handle) or ()
        steps = {
            clock: tuple(sorted(caller.offered("nvmlDeviceGetSupportedGraphicsClocks", handle, clock) or ()))
            for clock in sorted(memory)
        }
        now = [caller.offered("nvmlDeviceGetClockInfo", handle, kind) for kind in (GRAPHICS, MEMORY)]
    return {"steps": steps, "graphics": now[0], "memory": now[1]}


def _ecc(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    modes = caller.get("nvmlDeviceGetEccMode", handle) or (None, None)
    default = caller.get("nvmlDeviceGetDefaultEccMode", handle)
    return {
        "current": _flag(modes[0]),
        "pending": _flag(modes[1]),
        # pynvml answers a list of one
        "default": _flag(default[0] if isinstance(default, (list, tuple)) else default),
    }


def _auto_boost(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    pair = caller.get("nvmlDeviceGetAutoBoostedClocksEnabled", handle) or (None, None)
    return {"current": _flag(pair[0]), "default": _flag(pair[1])}


def watts(milliwatts: t.Optional[int]) -> t.Optional[float]:
    """Watts of NVML's milliwatts."""
    return None if milliwatts is None else round(milliwatts / 1000, 3)


def _flag(number: t.Optional[int]) -> t.Optional[bool]:
    return None if number is None else bool(number)
