# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply a MIG plan: journal, steps, verification; on failure the old layout again. PRIVATE to the collection.

After this every GPU has its wanted or its old layout. Where even the old one could not be had, the error says exactly
what is missing, and the journal stays so that the next run of this boot tries again.
"""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from .._boot import boot_id
from .._errors import ApplyError, VerifyError
from .._holders.objects import StopHolder
from .._nvml.objects import Snapshot
from .._settings.kept_devices import DeviceFiles
from . import journal, live, restore
from .apply_back import Change, give_up, map_uuids, note_devices
from .execute import Walker, gpu_of, words
from .journal import GpuRecord, Record
from .model import GpuLayout, GpuPlan, MigPlan

if t.TYPE_CHECKING:
    from .._ports import Ports

_REPLANS = 2


@dataclass(frozen=True)
class Done:
    """The node afterwards. `owed` is a fresh plan: what is still required or deferred. `reapplied` and `lost` are
    sentences about settings that fell back with a reset: those that are set again, and all others."""

    snapshot: Snapshot
    owed: MigPlan
    uuid_map: t.Tuple[t.Mapping[str, t.Any], ...] = ()
    reapplied: t.Tuple[str, ...] = ()
    lost: t.Tuple[str, ...] = ()


def apply(change: Change, ports: Ports) -> Done:
    """Does the change and verifies it. The facts of an AccelError are `step`, `restored`, `cause` and `uuid_map`."""
    record = _record(change, ports)
    journal.write(ports.files, record)
    # Before the journal goes: a run that dies is one whose journal is there.
    with DeviceFiles(ports) as devices, ports.open_nvml() as session:
        session.know(change.snapshot)
        walker = Walker(ports, session, change.snapshot)
        try:
            done = _do(change, record, walker)
        except BaseException as error:
            raise give_up(error, change, record, walker) from error
        note_devices(walker, done.uuid_map)
        late = walker.start_holders(record.holders)
    _settle(change, record, done.snapshot, tuple(late), ports)
    told = (*walker.settings.told, *devices.told)
    lost = (*walker.settings.lost, *walker.settings.noted, *devices.lost, *devices.noted)
    if late:
        remedy = "the geometry is as wished; see journalctl -u for the unit and start it"
        message = "; ".join([*late.values(), remedy, *lost])
        raise ApplyError(message, step="starting units", restored=False, changed=True, cause="apply")
    return dataclasses.replace(done, reapplied=told, lost=lost)


def _settle(change: Change, record: Record, seen: Snapshot, late: t.Sequence[str], ports: Ports) -> None:
    """What is still owed stays in the journal: units that did not start, GPUs that had to be left half-way."""
    owed = []
    for entry in record.gpus:
        gpu = seen.by_uuid(entry.uuid)
        if entry.uuid not in change.ours and (gpu is None or restore.half_way(gpu, entry.before, entry.after)):
            owed.append(entry)
    if owed or late:
        journal.write(ports.files, dataclasses.replace(record, gpus=tuple(owed), holders=tuple(late)))
    else:
        journal.remove(ports.files)


def _record(change: Change, ports: Ports) -> Record:
    """The journal: of GPUs that an interrupted run left half-way it keeps what that run found."""
    earlier = change.earlier
    gpus = {record.uuid: record for record in (earlier.gpus if earlier else ())}
    for planned in change.plan.gpus:
        gpu = change.snapshot.by_uuid(planned.uuid)
        if not planned.steps or gpu is None:
            continue
        old = gpus.get(gpu.uuid)
        before = old.before if old else live.layout_of(gpu)
        devices = old.devices if old else live.devices_of(gpu)
        gpus[gpu.uuid] = GpuRecord(gpu.uuid, gpu.name, gpu.pci, before, planned.after, devices)
    stops = [step.unit for step in change.steps if isinstance(step, StopHolder)]
    holders = [*(earlier.holders if earlier else ()), *stops]
    return Record(boot_id(ports.files), journal.now(), tuple(gpus.values()), tuple(dict.fromkeys(holders)))


def _do(change: Change, record: Record, walker: Walker) -> Done:
    walker.walk(change.steps)
    snapshot = walker.session.snapshot()
    owed = change.replan(snapshot)
    wanted = {planned.uuid: planned.after for planned in change.plan.gpus if planned.steps}
    for _round in range(_REPLANS):
        again = [planned for planned in change.plan.gpus if planned.replan]
        wanted.update((planned.uuid, planned.after) for planned in owed.gpus if planned.uuid in _uuids(again))
        if again and owed.refusal:
            raise owed.refusal  # the instances cannot be planned any more: MIG without them is not what was wished
        if not again or not owed.changed:
            break
        # The driver listed no profiles before MIG was on, so the instances are planned only now.
        ours = _uuids(again)
        walker = Walker(walker.ports, walker.session, snapshot)
        walker.walk([step for step in owed.steps if gpu_of(step) in ours])
        snapshot = walker.session.snapshot()
        owed = change.replan(snapshot)
    _verify(change, wanted, snapshot, owed)
    return Done(snapshot, owed, tuple(map_uuids(record, snapshot)))


def _uuids(plans: t.Sequence[GpuPlan]) -> t.Set[str]:
    return {planned.uuid for planned in plans}


def _verify(change: Change, wanted: t.Mapping[str, GpuLayout], snapshot: Snapshot, owed: MigPlan) -> None:
    for uuid, after in wanted.items():
        gpu = snapshot.by_uuid(uuid)
        problem = live.difference(gpu, after)
        planned = owed.by_uuid(uuid)
        if not problem and planned is not None and planned.steps:
            problem = f"the wish still asks for {words(planned.steps[0])}"
        if problem:
            raise VerifyError(
                f"{uuid}: the calls succeeded, yet {problem}; see the kernel log, run again, report it if it stays",
                wanted=after.lines(),
                found=live.layout_of(gpu).lines() if gpu else [],
            )
    for record in change.back:
        gpu = snapshot.by_uuid(record.uuid)
        if gpu is None or not restore.same(live.layout_of(gpu), record.before):
            found = live.layout_of(gpu).lines() if gpu else []
            raise VerifyError(f"{record.uuid}: the old layout is not back", wanted=record.before.lines(), found=found)
