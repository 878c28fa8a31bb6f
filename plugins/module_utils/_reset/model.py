# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words of a GPU reset: the wish, what was read, what happens to each GPU, the plan. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._errors import AccelError
from .._holders.objects import Holders, ResetMember
from .._mig.decide import Plan as MigDecision
from .._mig.decide import Wish as MigWish
from .._mig.journal import Record
from .._mig.model import Action, GpuLayout, Step
from .._nvml.objects import Gpu, Snapshot
from .._owners.managers import Manager
from .._owners.objects import Busy, Claim
from .._select import Selector
from .._settings.decide import Wish as SettingsWish


@dataclass(frozen=True)
class Wish:
    """The parsed options. when_busy: refuse | defer."""

    selector: Selector
    when_busy: str = "refuse"
    allow_reset_allocated: bool = False
    takeover: bool = False
    lock_timeout: float = 300.0


@dataclass(frozen=True)
class State:
    """What was read.

    `silent_claims` and `strangers` are about GPUs without an answer: allocations that may be on one of them, and open
    device nodes that belong to no GPU which answers. `fabric_manager` None: nobody asked. `geometry` is the stored MIG
    wish of the node, None where there is none or `geometry_problem` says why it cannot be used; `settings` is that for
    settings.
    """

    snapshot: t.Optional[Snapshot]
    busy: Busy = field(default_factory=Busy)
    holders: Holders = field(default_factory=Holders)
    silent_claims: t.Tuple[Claim, ...] = ()
    strangers: t.Tuple[str, ...] = ()
    managers: t.Tuple[Manager, ...] = ()
    fabric_manager: t.Optional[bool] = None
    record: t.Optional[Record] = None
    geometry: t.Optional[MigWish] = None
    geometry_problem: str = ""
    settings: t.Optional[SettingsWish] = None
    root: bool = True
    missing_driver: str = ""


@dataclass(frozen=True)
class Target:
    """A GPU that is meant. `gpu` is None where it gives no answer; then `problem` says what NVML said, and `uuid` and
    `pci` may be empty."""

    index: int
    uuid: str
    pci: str
    name: str
    gpu: t.Optional[Gpu] = None
    problem: str = ""

    @property
    def member(self) -> ResetMember:
        return ResetMember(self.uuid, self.pci, silent=self.gpu is None)

    def __str__(self) -> str:
        return f"{self.uuid or f'GPU {self.index}'}, {self.name or self.pci or 'no answer'}"


@dataclass(frozen=True)
class Geometry:
    """What MIG geometry stands after the reset. `by_wish`: as the stored wish says, else as it was found. `after` is
    None where it is not known before the GPU answers again. `mode` is the pending mode that the reset must find."""

    after: t.Optional[GpuLayout]
    by_wish: bool = False
    mode: t.Optional[bool] = None
    notes: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class GpuReset:
    """What happens to one GPU that is meant: it is reset, or `deferred` or `refusal` says why not."""

    target: Target
    geometry: Geometry = field(default_factory=lambda: Geometry(None))
    set_: t.Tuple[str, ...] = ()  # PCI addresses of the GPUs that are reset with it, itself included
    given_up: t.Tuple[Claim, ...] = ()
    deferred: str = ""
    refusal: t.Optional[AccelError] = None

    @property
    def acts(self) -> bool:
        return not self.deferred and self.refusal is None

    @property
    def key(self) -> str:
        """How the difference names this GPU; sorts by PCI address."""
        return f"{self.target.pci} {self.target.name} {self.target.uuid}".replace("  ", " ")


@dataclass(frozen=True)
class Plan:
    """The single source of `changed`, `diff`, `actions` and of the steps. `settling` is about an interrupted run."""

    wish: Wish
    state: State
    resets: t.Tuple[GpuReset, ...] = ()
    steps: t.Tuple[Step, ...] = ()
    settling: t.Optional[MigDecision] = None
    told: t.Tuple[Action, ...] = ()
    refusal: t.Optional[AccelError] = None

    @property
    def acting(self) -> t.Tuple[GpuReset, ...]:
        return tuple(one for one in self.resets if one.acts)

    @property
    def settles(self) -> bool:
        return self.settling is not None and self.settling.touches

    @property
    def changed(self) -> bool:
        return bool(self.acting) or self.settles or bool(self.state.missing_driver)

    @property
    def diff(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        sides: t.Dict[str, t.Dict[str, t.Any]] = {"before": {}, "after": {}}
        for one in self.acting if self.refusal is None else ():
            sides["before"][one.key] = _before(one.target)
            layout = one.geometry.after
            sides["after"][one.key] = ["reset", *(layout.lines() if layout else ["MIG is known when it answers again"])]
        return sides

    @property
    def actions(self) -> t.List[Action]:
        return [*(self.settling.extra if self.settling else ()), *self.told]

    def result(self) -> t.Dict[str, t.Any]:
        """What is known before anything is done: `gpus_reset` are those that are reset."""
        return {
            "gpus_reset": [] if self.refusal else [one.target.uuid for one in self.acting],
            "deferred": [one.target.uuid for one in self.resets if one.deferred],
            "uuid_map": [],
            "settings_reapplied": [],
            "reboot_required": False,
        }


def _before(target: Target) -> t.List[str]:
    from_health = (target.gpu.health or {}).get("recovery_action") if target.gpu else None
    lines = [f"recovery action {from_health}"] if from_health not in (None, "none") else []
    if target.gpu is None:
        return ["no answer"]
    mig = target.gpu.mig
    count = len(mig.instances)
    words = "no MIG" if not mig.capable else f"mig {'on' if mig.current else 'off'}, {count} GPU instances"
    return [*lines, words]
