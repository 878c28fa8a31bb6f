# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a live GPU has, in the words of the wish. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._nvml.objects import Gpu
from .model import LOCKED, Remembered, Value

# Of the wished value; hardware works in steps of its own.
_ROUNDING = 0.02


def values(gpu: Gpu, remembered: t.Mapping[str, Remembered]) -> t.Dict[str, Value]:
    """By setting; None where the GPU does not offer it. ECC is what it will be after the next reset. Locked clocks are
    what is remembered."""
    settings = gpu.settings or {}
    clocks = settings.get("application_clocks") or {}
    pair = {name: clocks.get(name) for name in ("graphics", "memory")}
    found = {
        "persistence_mode": settings.get("persistence_mode"),
        "ecc": (settings.get("ecc") or {}).get("pending"),
        "power_limit": (settings.get("power_limit") or {}).get("current"),
        "compute_mode": settings.get("compute_mode"),
        "application_clocks": None if None in pair.values() else pair,
        "auto_boost": (settings.get("auto_boost") or {}).get("current"),
        "accounting_mode": settings.get("accounting_mode"),
    }
    return {**found, **{name: remembered[name].wished if name in remembered else None for name in LOCKED}}


def summary(gpu: Gpu, remembered: t.Mapping[str, Remembered]) -> t.Dict[str, t.Any]:
    """One GPU of a module result."""
    return {"uuid": gpu.uuid, "name": gpu.name, "pci": gpu.pci, "settings": values(gpu, remembered)}


def item(gpu: Gpu, remembered: t.Mapping[str, Remembered]) -> t.Dict[str, t.Any]:
    """An item of the wish that asks for what is there."""
    found = values(gpu, remembered)
    return {"gpus": {"uuid": gpu.uuid}, **{name: value for name, value in found.items() if value is not None}}


def near(wished: Value, found: Value) -> bool:
    """Whether the hardware made of a value what hardware does to values."""
    if isinstance(wished, dict) and isinstance(found, dict):
        return all(near(wished[name], found.get(name)) for name in wished)
    if isinstance(wished, list) and isinstance(found, list) and len(wished) == len(found):
        return all(near(*pair) for pair in zip(wished, found))
    numbers = [one for one in (wished, found) if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if len(numbers) < 2:
        return bool(wished == found)
    return abs(numbers[0] - numbers[1]) <= _ROUNDING * abs(numbers[0])
