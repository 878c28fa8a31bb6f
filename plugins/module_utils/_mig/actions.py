# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `actions` of a plan: a line for everything done and for everything left alone, with the reason. PRIVATE."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._data.architectures import architecture
from .._diff import Tracker
from .._errors import AccelError
from .._holders.objects import ResetGpu
from .._nvml.objects import Gpu
from .._owners.usage import Usage
from .instances import Changes, Kept, makes_room_for, spec_of
from .judge import ModeChange
from .model import OR_DEFER, Action, GpuPlan, SetMigMode
from .targets import GpuTarget

SETTINGS = "persistence, power limit, compute mode, application clocks, auto boost, accounting, access to device files"
_WORD = {True: "on", False: "off", None: "unknown"}


def holder(action: str, unit: str) -> Action:
    tracker = Tracker()
    tracker.act(action, unit, "holds GPUs open whose MIG mode changes")
    return tracker.actions[0]


def unwished(idle: GpuPlan, gpu: Gpu) -> GpuPlan:
    """A GPU that no item means. A pending mode there is nobody's wish, so it is told."""
    tracker = Tracker()
    tracker.act("left_alone", "GPU", "no item of the wish means it", gpu=gpu.uuid)
    if _is_pending(gpu):
        tracker.note(
            f"mig {_WORD[gpu.mig.pending]} pending",
            "nobody wished this mode; a reset or reboot would bring it, declare mig to complete it or take it back",
            gpu=gpu.uuid,
        )
    return dataclasses.replace(idle, actions=tuple(tracker.actions), reset_required=_owes_reset(gpu))


def _is_pending(gpu: Gpu) -> bool:
    return gpu.mig.capable and gpu.mig.pending != gpu.mig.current


def _owes_reset(gpu: Gpu) -> bool:
    """A mode waits in the card for the reset that would bring it."""
    return _is_pending(gpu) and architecture(gpu.architecture).mode_needs_reset


class Lines:
    """Writes the actions of one GPU that has a wish."""

    def __init__(self, gpu: Gpu, target: GpuTarget, usage: Usage, today: t.Optional[datetime.date]) -> None:
        self.gpu = gpu
        self.target = target
        self.usage = usage
        self.tracker = Tracker()
        self.wish = target.address if target.reason is None else f"{target.address} ({target.reason})"
        for note in target.notes:
            self._note("wish", note)
        # An exception that outlived its date is told, not undone.
        if target.until is not None and today is not None and today > target.until:
            self._note("wish", f"{target.address} was meant until {target.until}, which has passed")

    def right(self, idle: GpuPlan, changes: Changes) -> GpuPlan:
        if not self.gpu.mig.capable:
            self._act("keep", "GPU", f"has no MIG, as {self.wish} wishes")
        elif self.target.mig and self.target.wanted is None:
            self._act("keep", "mig on", f"is as {self.wish} wishes; it says nothing about instances")
        else:
            found = ", ".join(str(spec) for spec in changes.layout) or "no instances"
            self._act("keep", f"mig {_WORD[self.gpu.mig.current]}, {found}", f"is as {self.wish} wishes")
        return dataclasses.replace(idle, actions=self._done())

    def next_boot(self, idle: GpuPlan) -> GpuPlan:
        self._act("deferred", "GPU", f"{self.wish} is brought at the next boot, as mig_apply: next_boot asks")
        return dataclasses.replace(idle, actions=self._done(), deferred=True, reboot_required=True)

    def deferred(self, idle: GpuPlan, why: AccelError) -> GpuPlan:
        self._act("deferred", "GPU", why.message.replace(OR_DEFER, ""))
        return dataclasses.replace(idle, actions=self._done(), deferred=True, reset_required=_owes_reset(self.gpu))

    def refused(self, idle: GpuPlan, why: AccelError) -> GpuPlan:
        self._act("refused", "GPU", why.message)
        return dataclasses.replace(idle, actions=self._done(), refusal=why, reset_required=_owes_reset(self.gpu))

    def done(self, mode: ModeChange, changes: Changes) -> t.Tuple[Action, ...]:
        """In the order of the steps; what stays comes last."""
        self._destroyed(changes)
        for step in mode.steps:
            if isinstance(step, SetMigMode):
                self._act("set_mig_mode", f"mig {_WORD[step.enabled]}", f"{mode.reason}: {self.wish}")
            elif isinstance(step, ResetGpu):
                self._reset(step)
        for kept in changes.kept:
            for spec in kept.mending.created:
                self._inside("create_compute_instance", spec, kept, f"wished by {self.wish}")
        for created in changes.created:
            where = f"{created.wanted.profile.name} at {created.placement}"
            self._act("create_gpu_instance", where, f"wished by {created.wanted.address}")
            for spec in created.spec.compute:
                self._act(
                    "create_compute_instance", f"{spec.profile} in {where}", self._default(created.wanted.compute)
                )
        for kept in changes.kept:
            self._kept(kept)
        if self.target.unresolved:
            self._act("deferred", "instances", "the driver lists profiles only when MIG is on; planned again then")
        return self._done()

    def _reset(self, step: ResetGpu) -> None:
        self._act("reset_gpu", step.pci, f"the mode of {self.gpu.architecture} GPUs changes by a reset")
        self._act("reapply_settings", SETTINGS, "those that the reset takes away are set again as they are before it")
        reason = "the reset opens them and NVML reads none back; those that role gpu_settings set come back, no others"
        self._note("locked clocks", reason)

    def _destroyed(self, changes: Changes) -> None:
        for one in changes.destroyed:
            where = f"{one.profile} at {one.placement}"
            need = makes_room_for(one, changes.created)
            reason = f"not wished by {self.wish}"
            if need is not None:
                reason = f"makes room for {need.wanted.profile.name} at {need.placement}"
            elif not self.target.mig:
                reason = f"{self.wish} wishes MIG off"
            for inner in one.compute_instances:
                self._act("destroy_compute_instance", f"{inner.profile} in {where}", reason, uuid=inner.uuid)
            self._act("destroy_gpu_instance", where, reason)
            self._overridden(one.id, where)
        for kept in changes.kept:
            for inner in kept.instance.compute_instances:
                if inner.id in kept.mending.destroyed:
                    reason = f"{self.wish} wishes other compute instances here"
                    self._inside("destroy_compute_instance", inner, kept, reason, uuid=inner.uuid)

    def _overridden(self, instance: int, where: str) -> None:
        for owner in self.usage.overridden_by(instance):
            self._note(where, f"was allocated to {owner} without a process; allow_destroy_allocated lets it go")

    def _inside(self, action: str, spec: t.Any, kept: Kept, reason: str, **facts: t.Any) -> None:
        where = f"{kept.instance.profile} at {kept.instance.placement}"
        self._act(action, f"{spec.profile} in {where}", reason, **facts)

    def _kept(self, kept: Kept) -> None:
        claims = self.usage.instance(kept.instance)
        users = f", in use by {', '.join(map(str, claims))}" if claims else ""
        source = kept.wanted.address if kept.wanted else self.wish
        wished = "says nothing about instances" if kept.wanted is None else "wishes it"
        mended = "; mended inside" if kept.mending.destroyed or kept.mending.created else ""
        self._act("keep", str(spec_of(kept.instance)), f"{source} {wished}{users}{mended}")

    def _default(self, wish: t.Any) -> str:
        return "the default: it spans the GPU instance" if wish is None else f"wished by {self.wish}"

    def _act(self, action: str, what: str, reason: str, **facts: t.Any) -> None:
        self.tracker.act(action, what, reason, gpu=self.gpu.uuid, **facts)

    def _note(self, what: str, reason: str) -> None:
        self.tracker.note(what, reason, gpu=self.gpu.uuid)

    def _done(self) -> t.Tuple[Action, ...]:
        return tuple(self.tracker.actions)
