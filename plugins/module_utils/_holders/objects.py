# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who keeps GPUs open without being work, and what is done about it. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._data.holders import FABRIC_SECONDS
from .._nvml.objects import Gpu


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

    def stops(self, uuid: str) -> t.Tuple[str, ...]:
        """Units to be stopped before this GPU is reset, in their order."""
        return tuple(dict.fromkeys(holder.unit for holder in self.known if holder.unit and holder.holds(uuid)))

    def in_the_way(self, uuid: str) -> t.Tuple[Holder, ...]:
        """Those that are not known to be safe to stop."""
        found = [holder for holder in self.unknown if holder.holds(uuid)]
        return (*found, *(holder for holder in self.known if holder.unit is None and holder.holds(uuid)))


def fabric_state(gpu: Gpu) -> t.Optional[str]:
    """As in a snapshot with health: "completed", "in_progress", ...; None where the GPU is in no NVSwitch fabric."""
    told = (gpu.health or {}).get("fabric")
    return str(told["state"]) if told else None


def not_in_fabric(gpu: Gpu) -> str:
    """What is wrong with a GPU that the fabric does not take up, and what helps."""
    return (
        f"GPU {gpu.pci} ({gpu.uuid}): its NVLink fabric state is {fabric_state(gpu)} and not completed after "
        f"{FABRIC_SECONDS:g} s, and CUDA fails on it until then (error 802); see journalctl -u "
        "nvidia-fabricmanager.service, keep the node out of service and reboot it where that tells nothing to mend"
    )


@dataclass(frozen=True)
class StopHolder:
    unit: str


@dataclass(frozen=True)
class StartHolder:
    unit: str


@dataclass(frozen=True)
class ResetGpu:
    """A reset that completes another change, such as that of the MIG mode; not done where it turns out needless."""

    gpu: str
    pci: str


@dataclass(frozen=True)
class ResetMember:
    """`silent`: the GPU gives no answer before the reset, so nothing is read from it."""

    uuid: str
    pci: str
    silent: bool = False


@dataclass(frozen=True)
class ResetSet:
    """A reset that is wished for itself: GPUs that are reset in one command, usually one GPU."""

    members: t.Tuple[ResetMember, ...]

    @property
    def gpu(self) -> str:
        """Whom messages name."""
        return self.members[0].uuid
