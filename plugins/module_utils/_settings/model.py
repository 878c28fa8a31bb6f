# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words of declared GPU settings: the wish, what is remembered, steps, plans. PRIVATE to the collection.

Everything is immutable and made of plain values. A GPU is named by its UUID, a setting by the key of the wish.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from .._errors import AccelError
from .._select import Selector

DEFAULT = "default"
COMPUTE_MODES = (DEFAULT, "exclusive_process", "prohibited")

# In the order of setting: persistence keeps the driver from dropping the others, and application clocks may switch auto
# boost off (nvml.h), so that comes after them.
SETTINGS = (
    "persistence_mode",
    "ecc",
    "power_limit",
    "compute_mode",
    "application_clocks",
    "auto_boost",
    "locked_clocks",
    "locked_memory_clocks",
    "accounting_mode",
)
# NVML reads them not back: what was set is remembered, see memory.py.
LOCKED = ("locked_clocks", "locked_memory_clocks")
# For these the GPU's own clocks are asked.
CLOCKS = ("application_clocks", *LOCKED)

# True, 350.0, "default", {"graphics": 1410, "memory": 1593}, {"min": 1200, "max": 1410}
Value = t.Any
Action = t.Dict[str, t.Any]

# --- the wish ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One item of a list. `lenient`: a setting that a GPU lacks, or that has another owner, is left alone."""

    address: str
    selector: Selector
    values: t.Mapping[str, Value]
    layer: int = 0
    lenient: bool = False
    reason: t.Optional[str] = None
    until: t.Optional[datetime.date] = None

    @property
    def told(self) -> str:
        """How reasons name the item."""
        return self.address if self.reason is None else f"{self.address} ({self.reason})"


@dataclass(frozen=True)
class Wished:
    """What rules one setting of one GPU."""

    value: Value
    item: Item


# --- the node ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remembered:
    """What was wished when a setting was last set, and what the GPU made of it (None where it does not tell)."""

    wished: Value
    found: Value = None


# By GPU UUID and setting. It holds what was set in this boot and since this load of the driver.
Memory = t.Mapping[str, t.Mapping[str, Remembered]]


@dataclass(frozen=True)
class Clocks:
    """`steps` are the graphics clocks by memory clock, both in MHz; `graphics` and `memory` are the clocks now."""

    steps: t.Mapping[int, t.Tuple[int, ...]] = field(default_factory=dict)
    graphics: t.Optional[int] = None
    memory: t.Optional[int] = None

    @property
    def all_graphics(self) -> t.Tuple[int, ...]:
        return tuple(sorted({clock for clocks in self.steps.values() for clock in clocks}))

    @property
    def all_memory(self) -> t.Tuple[int, ...]:
        return tuple(sorted(self.steps))


@dataclass(frozen=True)
class Others:
    """Who else owns a setting (live_node rule 15). `mps` are reasons by GPU UUID why MPS owns its compute mode,
    `persistenced` is the path of its unit, "" where it is not in service."""

    mps: t.Mapping[str, str] = field(default_factory=dict)
    persistenced: str = ""


# --- plans ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """`value` is what is given to the port, None for its call that takes a setting back to the default. `wished` and
    `sure` are for the memory: with `sure` false NVML does not read the setting back."""

    gpu: str
    setting: str
    value: Value
    wished: Value
    sure: bool = True


@dataclass(frozen=True)
class GpuPlan:
    """What happens to one GPU and why. `before` and `after` are the lines of the difference. `settled` are settings
    that are as wished, or will be."""

    uuid: str
    name: str
    pci: str
    steps: t.Tuple[Step, ...] = ()
    before: t.Tuple[str, ...] = ()
    after: t.Tuple[str, ...] = ()
    actions: t.Tuple[Action, ...] = ()
    refusal: t.Optional[AccelError] = None
    deferred: bool = False
    reset_required: bool = False
    settled: t.Tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How the difference names this GPU; sorts by PCI address."""
        return f"{self.pci} {self.name} {self.uuid}"


def said(setting: str, value: Value) -> str:
    """A setting with its value, for a person: "power_limit 350 W"."""
    return f"{setting} {worded(setting, value)}"


def worded(setting: str, value: Value) -> str:
    """A value for a person."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "on" if value else "off"
    if setting == "power_limit" and value != DEFAULT:
        return f"{value:g} W"
    if isinstance(value, dict):
        return ", ".join(f"{key} {clock} MHz" for key, clock in sorted(value.items(), reverse=True))
    return str(value)
