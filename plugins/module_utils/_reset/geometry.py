# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What MIG geometry a GPU has after its reset, which takes all instances away. Pure. PRIVATE to the collection.

The stored wish of the node decides, if it says something else than what is there; otherwise the layout comes back as it
was found, to the last placement.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import AccelError
from .._holders.objects import Holders
from .._mig import restore
from .._mig.decide import Wish as MigWish
from .._mig.journal import Record
from .._mig.live import layout_of
from .._mig.model import GpuLayout, GpuPlan, MigPlan, Options, SetMigMode, Step
from .._mig.plan import plan as plan_node
from .._mig.targets import resolve
from .._nvml.objects import Gpu, MigState, Snapshot
from .._owners.objects import Busy
from .model import Geometry, GpuReset


def geometry(gpu: Gpu, snapshot: Snapshot, wish: t.Optional[MigWish], record: t.Optional[Record]) -> Geometry:
    """For a GPU that answers."""
    found = _found(gpu, record)
    if found.mode is None:
        return Geometry(found)
    kept = GpuLayout(found.mode, found.mode, found.layout)
    if wish is None or wish.options.apply == "next_boot":
        return Geometry(kept, mode=found.mode)
    try:
        return _wished(gpu, snapshot, wish, kept)
    except AccelError as error:
        note = f"the stored wish cannot be made ({error.message}); the layout that was found comes back"
        return Geometry(kept, mode=found.mode, notes=(note,))


def _found(gpu: Gpu, record: t.Optional[Record]) -> GpuLayout:
    """What is there, or what an interrupted run found before it left the GPU half-way."""
    entry = record.by_uuid(gpu.uuid) if record else None
    if entry is not None and restore.half_way(gpu, entry.before, entry.after):
        return entry.before
    return layout_of(gpu)


def _wished(gpu: Gpu, snapshot: Snapshot, wish: MigWish, kept: GpuLayout) -> Geometry:
    if gpu.uuid not in resolve(wish.node, snapshot, wish.options.headroom_percent):
        return Geometry(kept, mode=kept.mode)
    now = _of_wish(wish, snapshot, gpu.uuid)
    if now is None or not now.steps:
        return Geometry(kept, mode=kept.mode)  # as wished: then at the very places that it had
    after = now.after
    # Planned again as if the reset had been: instances are gone, and the mode is the one that is set before it.
    reset = dataclasses.replace(gpu, mig=_emptied(gpu.mig, after.mode))
    gpus = tuple(reset if other.uuid == gpu.uuid else other for other in snapshot.gpus)
    then = _of_wish(wish, dataclasses.replace(snapshot, gpus=gpus), gpu.uuid)
    return Geometry(after if then is None else then.after, by_wish=True, mode=after.mode)


def _emptied(mig: MigState, mode: t.Optional[bool]) -> MigState:
    return dataclasses.replace(mig, current=mode, pending=mode, instances=())


def _of_wish(wish: MigWish, snapshot: Snapshot, uuid: str) -> t.Optional[GpuPlan]:
    """The plan of one GPU. Nobody works on it and nobody holds it: that was judged for its reset."""
    options = Options(headroom_percent=wish.options.headroom_percent, today=wish.options.today)
    planned = plan_node(wish.node, snapshot, Busy(), Holders(), options).by_uuid(uuid)
    if planned is not None and planned.refusal is not None:
        raise planned.refusal
    return planned


def before_reset(one: GpuReset) -> t.List[Step]:
    """Instances go in order, for the driver refuses where one is in use after all; a pending mode is what the reset
    brings, so it is made the one that is meant."""
    gpu, mode = one.target.gpu, one.geometry.mode
    if gpu is None or mode is None:
        return []
    steps: t.List[Step] = []
    for instance in gpu.mig.instances:
        steps += restore.remove(gpu.uuid, instance)
    if gpu.mig.pending != mode:
        steps.append(SetMigMode(gpu.uuid, mode))
    return steps


def after_reset(resets: t.Sequence[GpuReset], snapshot: Snapshot, wish: t.Optional[MigWish]) -> MigPlan:
    """What the GPUs that were reset still lack of their geometry."""
    plans = []
    for one in resets:
        gpu = snapshot.by_uuid(one.target.uuid)
        if gpu is not None:
            plans.append(_lacking(one, gpu, snapshot, wish))
    return MigPlan(tuple(plans), tuple(step for planned in plans for step in planned.steps))


def _lacking(one: GpuReset, gpu: Gpu, snapshot: Snapshot, wish: t.Optional[MigWish]) -> GpuPlan:
    live = layout_of(gpu)
    if one.geometry.after is None or (one.geometry.by_wish and not restore.same(live, one.geometry.after)):
        planned = _by_wish(gpu, snapshot, wish)
        if planned is not None:
            return planned
    after = one.geometry.after or live
    return GpuPlan(gpu.uuid, gpu.name, gpu.pci, live, after, steps=restore.steps_back(gpu, after))


def _by_wish(gpu: Gpu, snapshot: Snapshot, wish: t.Optional[MigWish]) -> t.Optional[GpuPlan]:
    if wish is None:
        return None
    try:
        if gpu.uuid not in resolve(wish.node, snapshot, wish.options.headroom_percent):
            return None
        return _of_wish(wish, snapshot, gpu.uuid)
    except AccelError:
        return None  # told already where it was planned; the layout that was found is what is left
