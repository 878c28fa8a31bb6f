# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From wish and snapshot to a plan: what is done to each GPU, what is left alone, and why. Pure. PRIVATE."""

from __future__ import annotations

import dataclasses
import typing as t

from .._diff import Tracker
from .._errors import AccelError, BlockedError, BusyError
from .._holders.objects import Holders, StartHolder, StopHolder
from .._nvml.objects import Gpu, GpuFailure, Snapshot
from .._owners.objects import Busy
from .._owners.usage import Usage, usage_of
from .._select import failure_error, may_name_failure
from . import actions
from .compute import creations
from .instances import Changes, busy_error, by_place, change_to, destroy_all, guest_error, keep_all, spec_of
from .judge import ModeChange, change_mode, where_of
from .model import (
    CreateComputeInstance,
    CreateGpuInstance,
    DestroyComputeInstance,
    DestroyGpuInstance,
    GpuLayout,
    GpuPlan,
    GpuWish,
    MigPlan,
    NodeWish,
    Options,
    Step,
)
from .targets import GpuTarget, resolve_node

# A GPU on which one of these calls failed cannot be judged: what is not seen may be in use.
_NEEDED_CALLS = ("Mig", "GpuInstance", "ComputeInstance", "Process")

_NOBODY = Busy()
_NO_HOLDERS = Holders()
_DEFAULTS = Options()


def plan(
    wish: NodeWish,
    snapshot: Snapshot,
    busy: Busy = _NOBODY,
    holders: Holders = _NO_HOLDERS,
    options: Options = _DEFAULTS,
) -> MigPlan:
    """The plan for a node.

    Raises WishError where the wish is wrong or impossible for a GPU, before any GPU is judged. A busy or blocked GPU
    becomes the plan's `refusal` instead, so that the result still shows the rest.
    """
    targets, notes = resolve_node(wish, snapshot, options.headroom_percent)
    tracker = Tracker()
    for note in notes:
        tracker.note("wish", note)
    for failure in snapshot.failures:
        tracker.act("left_alone", f"GPU {failure.index}", f"gives no answer: {failure.message}", gpu=failure.uuid)
    lost = _lost(wish, snapshot)
    plans = []
    stop: t.List[str] = []
    for gpu in sorted(snapshot.gpus, key=lambda one: one.pci):
        planned, units = _plan_gpu(gpu, targets.get(gpu.uuid), busy, holders, options)
        plans.append(planned)
        stop.extend(units)
    return _whole(plans, list(dict.fromkeys(stop)), tracker, lost)


def _lost(wish: NodeWish, snapshot: Snapshot) -> t.List[AccelError]:
    """GPUs that the wish means but that gave no answer: their geometry cannot be said to be there."""
    found = []
    for failure in snapshot.failures:
        meant = [item.address for item in wish.gpus if _means(item, failure, snapshot.gpus)]
        if meant:
            found.append(failure_error(failure, f"{meant[-1]}: GPU {failure.index} is meant too but gives no answer"))
    return found


def _means(item: GpuWish, failure: GpuFailure, gpus: t.Sequence[Gpu]) -> bool:
    """Only `all` surely does: the model of a lost GPU is not known, and exact selectors have failed before."""
    if item.parted is not None:
        return not item.parted.filters and (item.parted.indexes is None or failure.index in item.parted.indexes)
    if item.selector is None or item.selector.kind != "all":
        return False
    return not any(may_name_failure(entry, failure, gpus) for entry in item.selector.exclude)


def _whole(
    plans: t.Sequence[GpuPlan], units: t.Sequence[str], tracker: Tracker, lost: t.Sequence[AccelError]
) -> MigPlan:
    """The node's plan: holders are stopped once before and started once after all GPUs."""
    refusal = _refusal([*lost, *(planned.refusal for planned in plans if planned.refusal is not None)])
    steps: t.List[Step] = [StopHolder(unit) for unit in units]
    told = tracker.actions
    told += [actions.holder("stop_holder", unit) for unit in units]
    for planned in plans:
        steps.extend(planned.steps)
        told.extend(planned.actions)
    steps.extend(StartHolder(unit) for unit in units)
    told += [actions.holder("start_holder", unit) for unit in units]
    return MigPlan(tuple(plans), tuple(steps), tuple(told), refusal)


def _refusal(refusals: t.Sequence[AccelError]) -> t.Optional[AccelError]:
    if len(refusals) < 2:
        return refusals[0] if refusals else None
    kind = type(refusals[0])
    return kind("\n".join(error.message for error in refusals), gpus=[error.facts.get("gpu") for error in refusals])


# --- one GPU -------------------------------------------------------------------------------------------------------


def _plan_gpu(
    gpu: Gpu, target: t.Optional[GpuTarget], busy: Busy, holders: Holders, options: Options
) -> t.Tuple[GpuPlan, t.Tuple[str, ...]]:
    """The plan of one GPU and the units to be stopped for it."""
    before = GpuLayout(gpu.mig.current, gpu.mig.pending, tuple(spec_of(one) for one in by_place(gpu)))
    idle = GpuPlan(gpu.uuid, gpu.name, gpu.pci, before, before)
    if target is None:
        return actions.unwished(idle, gpu), ()
    usage = usage_of(gpu, busy, options.allow_destroy_allocated)
    mode, changes = _judge(gpu, target, usage, holders, options)
    refusal = mode.refusal or _instances_refused(gpu, target, changes, options)
    different = bool(mode.steps or mode.refusal or changes.any)
    lines = actions.Lines(gpu, target, usage, options.today)
    if not different:
        return lines.right(idle, changes), ()
    if options.apply == "next_boot" and not isinstance(refusal, BlockedError):
        return lines.next_boot(idle), ()
    if isinstance(refusal, BusyError) and options.when_busy == "defer":
        return lines.deferred(idle, refusal), ()
    if refusal is not None:
        return lines.refused(idle, refusal), ()
    after = GpuLayout(target.mig, target.mig, changes.layout)
    steps = _steps(gpu, mode, changes)
    told = lines.done(mode, changes)
    planned = dataclasses.replace(idle, after=after, steps=steps, actions=told, replan=target.unresolved)
    return planned, mode.stop


def _judge(
    gpu: Gpu, target: GpuTarget, usage: Usage, holders: Holders, options: Options
) -> t.Tuple[ModeChange, Changes]:
    where = where_of(target.address, gpu)
    mode = change_mode(gpu, target.mig, usage.gpu(), holders, where, options.apply == "now")
    if not gpu.mig.capable:
        return mode, Changes()
    if not target.mig:
        return mode, destroy_all(gpu, usage)
    if target.wanted is None:
        return mode, keep_all(gpu)
    return mode, change_to(gpu, target.wanted, usage)


def _instances_refused(gpu: Gpu, target: GpuTarget, changes: Changes, options: Options) -> t.Optional[AccelError]:
    where = where_of(target.address, gpu)
    if changes.any and gpu.virtualization == "vgpu":
        return guest_error(where, gpu.uuid)
    failed = [str(failure.get("call")) for failure in gpu.failures if _matters(str(failure.get("call")))]
    if changes.any and failed:
        problem = f"{', '.join(failed)} failed, so it is unknown what is in use"
        return BlockedError(f"{where}: {problem}; see the kernel log for this GPU and run again", gpu=gpu.uuid)
    if changes.hurt:
        return busy_error(changes, where, gpu.uuid, options.allow_destroy_allocated)
    return None


def _matters(call: str) -> bool:
    return any(word in call for word in _NEEDED_CALLS)


# --- steps ---------------------------------------------------------------------------------------------------------


def _steps(gpu: Gpu, mode: ModeChange, changes: Changes) -> t.Tuple[Step, ...]:
    """Destroy, then the mode, then create: slots are free before they are taken, and a reset loses nothing wanted."""
    steps: t.List[Step] = []
    for one in changes.destroyed:
        for inner in one.compute_instances:
            steps.append(DestroyComputeInstance(gpu.uuid, one.placement, inner.id, one.id))
        steps.append(DestroyGpuInstance(gpu.uuid, one.placement, one.id))
    for kept in changes.kept:
        for id_ in kept.mending.destroyed:
            steps.append(DestroyComputeInstance(gpu.uuid, kept.instance.placement, id_, kept.instance.id))
    steps.extend(mode.steps)
    for kept in changes.kept:
        for spec in kept.mending.created:
            steps.append(
                CreateComputeInstance(gpu.uuid, kept.instance.placement, spec.profile_id, spec.profile, spec.placement)
            )
    for created in changes.created:
        profile = created.wanted.profile
        steps.append(CreateGpuInstance(gpu.uuid, profile.id, profile.name, created.placement))
        steps.extend(creations(gpu.uuid, created.placement, created.wanted.compute, profile))
    return tuple(steps)
