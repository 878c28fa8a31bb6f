# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A MIG change that failed: the old layout again, and the words for what happened. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t
from dataclasses import dataclass

from .._errors import (
    AccelError,
    ApplyError,
    BlockedError,
    BusyError,
    GpuHungError,
    GpuLostError,
    NotRootError,
    VerifyError,
)
from .._holders.objects import ResetGpu, ResetSet, StopHolder
from .._nvml.objects import Gpu, Snapshot
from . import journal, live, restarts, restore
from .execute import StepError, Walker, gpu_of, words
from .journal import GpuRecord, Record
from .model import GpuPlan, MigPlan, SetMigMode, Step

if t.TYPE_CHECKING:
    from .._nvml.session import NvmlSession

# Says what the wish still asks of the node as a snapshot shows it.
Replan = t.Callable[[Snapshot], MigPlan]

# A session that dies or hangs while the old layout is restored is opened again this often.
_ATTEMPTS = 3
# Errors that keep their class, because they tell the user what to do; all others become ApplyError.
_TELLING = (BusyError, BlockedError, GpuHungError, GpuLostError, NotRootError, VerifyError)


@dataclass(frozen=True)
class Change:
    """What `apply` needs. `back` are GPUs that an interrupted run left half-way and the wish says nothing about: they
    get their old layout. `stop` are units to be stopped if that changes a mode."""

    plan: MigPlan
    snapshot: Snapshot
    replan: Replan
    back: t.Tuple[GpuRecord, ...] = ()
    earlier: t.Optional[Record] = None
    stop: t.Tuple[str, ...] = ()

    @property
    def ours(self) -> t.Set[str]:
        """UUIDs of the GPUs that this change touches."""
        return {planned.uuid for planned in self.plan.gpus if planned.steps} | {entry.uuid for entry in self.back}

    @property
    def steps(self) -> t.Tuple[Step, ...]:
        back: t.List[Step] = []
        for record in self.back:
            gpu = self.snapshot.by_uuid(record.uuid)
            if gpu is not None:
                back += restore.steps_back(gpu, record.before)
        mode = any(isinstance(step, (SetMigMode, ResetGpu)) for step in back)
        stops = tuple(StopHolder(unit) for unit in self.stop) if mode else ()
        return (*stops, *self.plan.steps, *back)


def map_uuids(record: Record, snapshot: Snapshot) -> t.Iterator[t.Dict[str, t.Any]]:
    """What became of the MIG devices that stood before, for every GPU of the journal."""
    for entry in record.gpus:
        gpu = snapshot.by_uuid(entry.uuid)
        if gpu is not None:
            yield from live.uuid_map(gpu.uuid, entry.devices, live.devices_of(gpu))


@dataclass(frozen=True)
class Aftermath:
    """`missing`: one sentence for each GPU with neither the wanted nor the old layout."""

    missing: t.Tuple[str, ...]
    uuid_map: t.Tuple[t.Mapping[str, t.Any], ...]
    touched: bool
    complete: t.Tuple[str, ...]
    was_reset: t.Tuple[str, ...] = ()


def note_devices(walker: Walker, uuid_map: t.Sequence[t.Any]) -> None:
    """Lets later runs see which units still name the devices of before. To be called before holders are started again,
    so that they are not among them, and before the journal goes, so that a killed run cannot forget it."""
    if walker.moved or uuid_map:
        restarts.remember(walker.ports.files, time.monotonic_ns() // 1000)


def give_up(error: BaseException, change: Change, record: Record, walker: Walker) -> BaseException:
    """Restores what is half-way, starts the holders, and words the failure."""
    after = give_back(change, record, walker)
    note_devices(walker, after.uuid_map)
    late = walker.start_holders(record.holders)
    if late and not after.missing:
        journal.write(walker.ports.files, dataclasses.replace(record, gpus=(), holders=tuple(late)))
    elif not after.missing:
        journal.remove(walker.ports.files)
    if isinstance(error, OSError):
        error = AccelError(str(error))
    if not isinstance(error, (StepError, AccelError)):
        return error
    return _worded(error, change, after, tuple(late.values()))


def give_back(change: Change, record: Record, walker: Walker) -> Aftermath:
    """Brings every GPU of the journal that is not as wished back to its old layout."""
    ports, session = walker.ports, walker.session
    why = ""
    for _attempt in range(_ATTEMPTS):
        try:
            session.release()
            snapshot = session.snapshot()
            todo = _todo(change, record, snapshot, walker)
            if not any(todo.values()):
                break
            back = Walker(ports, session, snapshot)
            why = _walk_all(back, todo)
            walker.done += back.done
            walker.stopped += [unit for unit in back.stopped if unit not in walker.stopped]
        except AccelError as failure:
            why = failure.message
    return _look(change, record, session, walker, why)


def _todo(change: Change, record: Record, snapshot: Snapshot, walker: Walker) -> t.Dict[str, t.Tuple[Step, ...]]:
    """Steps back by GPU; none for GPUs that reached what was wished."""
    complete = _complete(change, snapshot, walker)
    found: t.Dict[str, t.Tuple[Step, ...]] = {}
    for entry in record.gpus:
        gpu = snapshot.by_uuid(entry.uuid)
        if gpu is not None and entry.uuid in change.ours and entry.uuid not in complete:
            found[entry.uuid] = restore.steps_back(gpu, entry.before)
    return found


def _complete(change: Change, snapshot: Snapshot, walker: Walker) -> t.Set[str]:
    try:
        owed = change.replan(snapshot)
    except AccelError:
        return set()
    found = set()
    for planned in owed.gpus:
        gpu, first = snapshot.by_uuid(planned.uuid), change.plan.by_uuid(planned.uuid)
        wished = planned.refusal is None and not planned.deferred and not planned.steps
        if gpu is not None and wished and first is not None and first.steps and _has_its_reset(first, walker):
            found.add(planned.uuid)
    return found


def _has_its_reset(planned: GpuPlan, walker: Walker) -> bool:
    """No reset was wished for itself, or it was done."""
    return planned.uuid in walker.was_reset or not any(isinstance(step, ResetSet) for step in planned.steps)


def _walk_all(walker: Walker, todo: t.Mapping[str, t.Sequence[Step]]) -> str:
    """Every step is tried: what can be restored is, whatever else fails. The answer is the first failure."""
    first = ""
    for steps in todo.values():
        for step in steps:
            try:
                walker.walk([step])
            except StepError as failure:
                first = first or f"{words(step)}: {failure.cause.message}"
                if isinstance(failure.cause, GpuHungError):
                    break
    return first


def _look(change: Change, record: Record, session: NvmlSession, walker: Walker, why: str) -> Aftermath:
    snapshot = None
    for _attempt in range(_ATTEMPTS):
        with contextlib.suppress(AccelError):
            snapshot = session.snapshot()
            break
    if snapshot is None:
        names = tuple(f"{entry.uuid}: nothing is known about it ({why})" for entry in record.gpus)
        return Aftermath(names, (), walker.done > 0, (), tuple(walker.was_reset))
    complete = _complete(change, snapshot, walker)
    missing = []
    for entry in record.gpus:
        gpu = snapshot.by_uuid(entry.uuid)
        if entry.uuid not in change.ours:
            continue
        if gpu is None:
            missing.append(f"{entry.uuid} gives no answer any more")
        elif entry.uuid not in complete and not restore.same(live.layout_of(gpu), entry.before):
            missing.append(f"{entry.uuid} lacks {_lacks(gpu, entry)} ({why or 'cause unknown'})")
    uuid_map, done = tuple(map_uuids(record, snapshot)), tuple(sorted(complete))
    return Aftermath(tuple(missing), uuid_map, walker.done > 0, done, tuple(walker.was_reset))


def _lacks(gpu: Gpu, entry: GpuRecord) -> str:
    found = live.layout_of(gpu)
    gone = [str(spec) for spec in entry.before.layout if spec not in found.layout]
    more = [str(spec) for spec in found.layout if spec not in entry.before.layout]
    words_ = [f"its mode ({entry.before.lines()[0]})"] if found.lines()[0] != entry.before.lines()[0] else []
    words_ += gone
    return ", ".join(words_ or ["nothing"]) + (f" and has instead {', '.join(more)}" if more else "")


def _worded(
    error: t.Union[StepError, AccelError], change: Change, after: Aftermath, late: t.Sequence[str]
) -> AccelError:
    cause = error.cause if isinstance(error, StepError) else error
    what = cause.message
    facts: t.Dict[str, t.Any] = {**cause.facts, "cause": cause.kind, "step": "verification"}
    if isinstance(error, StepError):
        facts["step"] = words(error.step)
        what = f"{_named(change, gpu_of(error.step))}{facts['step']} failed: {cause.message}"
    if after.missing:
        end = f"NOT restored: {'; '.join(after.missing)}; the next run in this boot tries again"
    elif after.touched:
        end = "the old layout is back" + (", with new MIG UUIDs (see uuid_map)" if after.uuid_map else "")
    else:
        end = "nothing was changed"
    if after.complete:
        end += f"; as wished already: {', '.join(after.complete)}"
    only_reset = [uuid for uuid in after.was_reset if uuid not in after.complete]
    if only_reset:
        end += f"; reset already: {', '.join(only_reset)}"
    changed = bool(after.missing or after.complete or only_reset)
    facts.update(restored=not after.missing, changed=changed, uuid_map=list(after.uuid_map))
    kind = type(cause) if isinstance(cause, _TELLING) else ApplyError
    return kind("; ".join([what, end, *late]), **facts)


def _named(change: Change, uuid: t.Optional[str]) -> str:
    gpu = change.snapshot.by_uuid(uuid) if uuid else None
    return f"{gpu.uuid} ({gpu.name}): " if gpu else ""
