# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who keeps GPUs open without being work, and what is done about it. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """Somebody who keeps a GPU open without being work. `unit` is set where stopping it is known to be safe.
    `devices` are GPU UUIDs; empty means that it may hold any GPU."""

    name: str
    unit: t.Optional[str] = None
    pid: t.Optional[int] = None
    devices: t.Tuple[str, ...] = ()

    def holds(self, uuid: str) -> bool:
        return not self.devices or uuid in self.devices

    def __str__(self) -> str:
        return self.name if self.pid is None else f"{self.name} (PID {self.pid})"


@dataclass(frozen=True)
class Holders:
    """`reset_reachable` None means that nobody looked."""

    known: t.Tuple[Holder, ...] = ()
    unknown: t.Tuple[Holder, ...] = ()
    reset_reachable: t.Optional[bool] = None


@dataclass(frozen=True)
class StopHolder:
    unit: str


@dataclass(frozen=True)
class StartHolder:
    unit: str


@dataclass(frozen=True)
class ResetGpu:
    gpu: str
    pci: str
