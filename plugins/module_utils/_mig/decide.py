# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the MIG resident does about a node: the plan of the wish, an interrupted run before it, the wish file.

Pure. PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import _wishes
from .._diff import Tracker
from .._errors import AccelError, MissingGpuError, NotRootError
from .._expected import Expected, KnownFault, missing
from .._holders.objects import Holders, ResetGpu, StopHolder
from .._nvml.objects import Gpu, Snapshot
from .._owners import managers
from .._owners.managers import Manager
from .._owners.objects import Busy, Claim
from .._owners.usage import usage_of
from . import live, restarts, restore
from .journal import GpuRecord, Record
from .model import (
    Action,
    DestroyComputeInstance,
    DestroyGpuInstance,
    GpuPlan,
    MigPlan,
    NodeWish,
    Options,
    SetMigMode,
    Step,
)
from .plan import plan as plan_node
from .restarts import Notified
from .targets import GpuTarget, resolve

WISH_FILE = _wishes.path_of("mig")
_FORGOTTEN = "MIG is off on every GPU, nothing is to be brought back at boot"


@dataclass(frozen=True)
class Wish:
    """The parsed options. `document` is the wish file that `persist` asks for, None without it; with `removes` it is
    there only as long as MIG is still on somewhere. `notify` are units that name MIG devices."""

    node: NodeWish
    options: Options
    takeover: bool = False
    lock_timeout: float = 300.0
    expected: t.Optional[Expected] = None
    faults: t.Tuple[KnownFault, ...] = ()
    document: t.Optional[t.Mapping[str, t.Any]] = None
    removes: bool = False
    notify: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What was read. `snapshot` None: no driver answers yet and `missing_driver` says why (check mode only)."""

    snapshot: t.Optional[Snapshot]
    busy: Busy = field(default_factory=Busy)
    holders: Holders = field(default_factory=Holders)
    managers: t.Tuple[Manager, ...] = ()
    record: t.Optional[Record] = None
    stored: t.Any = None
    notified: Notified = field(default_factory=Notified)
    root: bool = True
    missing_driver: str = ""


@dataclass(frozen=True)
class Plan:
    """The whole plan. `back` are GPUs of the interrupted run `record` that get their old layout.

    `settles`: something of that run can be settled now. What only waits for running work does not count as a change.
    """

    wish: Wish
    state: State
    mig: MigPlan
    refusal: t.Optional[AccelError] = None
    back: t.Tuple[GpuRecord, ...] = ()
    record: t.Optional[Record] = None
    settles: bool = False
    write_wish: bool = False
    remove_wish: bool = False
    extra: t.Tuple[Action, ...] = ()

    @property
    def touches(self) -> bool:
        """Something of the node's GPUs or services would be changed."""
        return bool(self.mig.steps or self.back or self.settles)

    @property
    def changed(self) -> bool:
        return self.touches or self.stores or bool(self.state.missing_driver)

    @property
    def stores(self) -> bool:
        """The wish file would be changed."""
        return self.write_wish or self.remove_wish

    @property
    def steps(self) -> t.List[Step]:
        """All that is done to GPUs and services, the way back of an interrupted run included."""
        back: t.List[Step] = []
        for entry in self.back:
            gpu = self.state.snapshot.by_uuid(entry.uuid) if self.state.snapshot else None
            back += restore.steps_back(gpu, entry.before) if gpu else ()
        if any(map(_is_mode, back)):
            back += [StopHolder(holder.unit) for holder in self.state.holders.known if holder.unit]
        return [*self.mig.steps, *back]

    @property
    def restarts(self) -> t.List[str]:
        """Units whose restart is owed afterwards."""
        if self.refusal is not None:
            return restarts.required(self.state.notified)
        return restarts.required(self.state.notified, self.steps, self._moved())

    def _moved(self) -> bool:
        """An interrupted run has changed MIG devices."""
        for entry in self.record.gpus if self.record else ():
            gpu = self.state.snapshot.by_uuid(entry.uuid) if self.state.snapshot else None
            if gpu is not None and live.uuid_map(entry.uuid, entry.devices, live.devices_of(gpu)):
                return True
        return False

    @property
    def diff(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        sides: t.Dict[str, t.Dict[str, t.Any]] = {"before": {}, "after": {}}
        if self.refusal is None:  # else nothing of the wish is done
            for side, found in self.mig.diff.items():
                sides[side].update(found)
        for entry in self.back:
            gpu = self.state.snapshot.by_uuid(entry.uuid) if self.state.snapshot else None
            key = f"{entry.pci} {entry.name} {entry.uuid}"
            sides["before"][key] = live.layout_of(gpu).lines() if gpu else []
            sides["after"][key] = entry.before.lines()
        if self.stores and self.refusal is None:
            sides["before"][WISH_FILE] = self.state.stored
            sides["after"][WISH_FILE] = self.wish.document if self.write_wish else None
        return sides

    @property
    def actions(self) -> t.List[Action]:
        return [*self.extra, *self.mig.actions]

    def result(self) -> t.Dict[str, t.Any]:
        gpus = self.state.snapshot.gpus if self.state.snapshot else ()
        summaries = [live.summary(gpu) for gpu in gpus]
        return {"gpus": summaries, "uuid_map": [], "restart_required": self.restarts, **self.mig.result()}


def decide(wish: Wish, state: State) -> Plan:
    """The plan for what was read. Wrong wishes become its refusal, for an interrupted run is settled all the same."""
    if state.snapshot is None:
        write_wish, remove_wish = _storing(wish, state, MigPlan())
        tracker = Tracker()
        if state.missing_driver:  # otherwise nothing is wished of a node that has nothing
            tracker.act("deferred", "MIG geometry", f"needs gpu_driver: {state.missing_driver}")
        _wishes.tell(tracker, WISH_FILE, write_wish, remove_wish, _FORGOTTEN)
        extra = tuple(tracker.actions)
        return Plan(wish, state, MigPlan(), write_wish=write_wish, remove_wish=remove_wish, extra=extra)
    mig, refusal = _planned(wish, state, state.snapshot)
    write_wish, remove_wish = _storing(wish, state, mig)
    back, left = _back(wish, state, mig, refusal)
    settles = _settles(state.record, left)
    denied = bool(mig.steps or back or settles or write_wish or remove_wish)
    if refusal is not None:
        denied = refusal.kind == NotRootError.kind
    if denied and not state.root:
        refusal = NotRootError("changing MIG needs root, this runs as another user; set become: true")
    tracker = Tracker()
    _tell_interrupted(tracker, state.record if settles else None, back, left)
    if refusal is None:
        _wishes.tell(tracker, WISH_FILE, write_wish, remove_wish, _FORGOTTEN)
    extra = tuple(tracker.actions)
    return Plan(wish, state, mig, refusal, back, state.record, settles, write_wish, remove_wish, extra)


def _storing(wish: Wish, state: State, mig: MigPlan) -> t.Tuple[bool, bool]:
    """Whether the wish file is written, and whether it is removed."""
    left = any(gpu.deferred or gpu.reset_required or gpu.reboot_required for gpu in mig.gpus)
    if wish.removes and not left:
        return False, state.stored is not None
    return wish.document is not None and wish.document != state.stored, False


def replan(wish: Wish, state: State, snapshot: Snapshot) -> MigPlan:
    """What the wish still asks of the node, with the owners and holders that were read."""
    return plan_node(wish.node, snapshot, state.busy, state.holders, wish.options)


def changes_mode(plan: Plan) -> bool:
    """Holders matter only then."""
    return any(map(_is_mode, plan.steps))


def _is_mode(step: Step) -> bool:
    return isinstance(step, (SetMigMode, ResetGpu))


def hurts_owners(plan: Plan) -> bool:
    """Owners of allocations matter only where something goes."""
    gone = (DestroyGpuInstance, DestroyComputeInstance, SetMigMode, ResetGpu)
    return bool(plan.back) or any(isinstance(step, gone) for step in plan.mig.steps)


def _planned(wish: Wish, state: State, snapshot: Snapshot) -> t.Tuple[MigPlan, t.Optional[AccelError]]:
    """The plan and why it may not be applied. What makes the whole host wrong comes first."""
    if wish.expected is not None:
        silent = [failure.message for failure in snapshot.failures]
        sentence = missing(wish.expected, wish.faults, [(gpu.uuid, gpu.name) for gpu in snapshot.gpus], silent)
        if sentence:
            return MigPlan(), MissingGpuError(sentence)
    foreign = None if wish.takeover or not wish.node.gpus else _foreign(state.managers)
    if foreign is not None:
        return MigPlan(), foreign
    try:
        mig = replan(wish, state, snapshot)
    except AccelError as error:
        return MigPlan(), error
    return mig, mig.refusal


def _foreign(found: t.Sequence[Manager]) -> t.Optional[AccelError]:
    return managers.refusal(found, "the MIG geometry", "declare the geometry there")


# --- an interrupted run --------------------------------------------------------------------------------------------


def _back(
    wish: Wish, state: State, mig: MigPlan, refusal: t.Optional[AccelError]
) -> t.Tuple[t.Tuple[GpuRecord, ...], t.Tuple[t.Tuple[str, str], ...]]:
    """GPUs of the journal that are half-way and that this plan will not finish; and (UUID, why) of those left so."""
    if state.record is None or state.snapshot is None:
        return (), ()
    wished: t.Mapping[str, GpuTarget] = {}
    if refusal is None:
        wished = resolve(wish.node, state.snapshot, wish.options.headroom_percent)
    back, left = [], []
    for entry in state.record.gpus:
        gpu, planned = state.snapshot.by_uuid(entry.uuid), mig.by_uuid(entry.uuid)
        if gpu is None:
            left.append((entry.uuid, "it gives no answer"))
            continue
        if not restore.half_way(gpu, entry.before, entry.after):
            continue
        if planned is not None and not planned.deferred and _finishes(wished.get(entry.uuid), planned):
            continue
        users = _users(gpu, entry, state.busy)
        if users:
            left.append((entry.uuid, f"it is in use by {users}"))
        else:
            back.append(entry)
    return tuple(back), tuple(left)


def _finishes(target: t.Optional[GpuTarget], planned: GpuPlan) -> bool:
    """Does the wish say what becomes of the instances? One that only wants MIG on leaves them to the old layout."""
    if target is None:
        return False
    return bool(planned.steps) or not target.mig or target.wanted is not None or target.unresolved


def _settles(record: t.Optional[Record], left: t.Sequence[t.Tuple[str, str]]) -> bool:
    """Is there more in the journal than GPUs that have to be left as they are?"""
    if record is None:
        return False
    return bool(record.holders) or not record.gpus or len(left) < len(record.gpus)


def _users(gpu: Gpu, entry: GpuRecord, busy: Busy) -> str:
    """Who would be hurt by the way back."""
    usage = usage_of(gpu, busy, allow_destroy_allocated=False)
    steps = restore.steps_back(gpu, entry.before)
    if any(map(_is_mode, steps)):
        return ", ".join(map(str, usage.gpu()))
    claims: t.List[Claim] = []
    for step in steps:
        if isinstance(step, DestroyComputeInstance):
            claims += usage.compute(step.gi_id, step.compute_id)
        elif isinstance(step, DestroyGpuInstance):
            claims += [claim for one in gpu.mig.instances if one.id == step.gi_id for claim in usage.instance(one)]
    return ", ".join(dict.fromkeys(map(str, claims)))


def _tell_interrupted(
    tracker: Tracker,
    record: t.Optional[Record],
    back: t.Sequence[GpuRecord],
    left: t.Sequence[t.Tuple[str, str]],
) -> None:
    if record is not None:
        tracker.act("finish_interrupted", "journal", f"a run of {record.since} was interrupted before it was done")
        for unit in reversed(record.holders):
            tracker.act("start_holder", unit, "the interrupted run may have left it stopped")
    for entry in back:
        reason = "the interrupted run left this GPU half-way, and this run does not change it"
        tracker.act("restore_layout", "; ".join(entry.before.lines()), reason, gpu=entry.uuid)
    for uuid, why in left:
        tracker.act("left_alone", "GPU", f"an interrupted run left this GPU half-way, yet {why}", gpu=uuid)
