# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MIG layouts across a reload of the driver or a reboot. PRIVATE to the collection.

They are written down beside the journal before the modules go and created again after they came, by a later run too
where this one dies or the node boots in between. Nothing here makes a change of the driver fail: what does not come
back is told, stays written down, and the next run tries again.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._boot import boot_id
from ..._errors import AccelError, DriverMissingError
from ..._holders.objects import StopHolder
from ..._holders.probe import probe as probe_holders
from ..._mig import journal as mig_journal
from ..._mig import restarts, restore
from ..._mig.execute import StepError, Walker, words
from ..._mig.live import layout_of
from ..._mig.model import SetMigMode, Step
from ..._nvml.objects import Gpu, Snapshot
from ..._settings.probe_load import driver_load
from ..decide import geometry
from ..decide.geometry import Kept
from ..record import FOLDER

if t.TYPE_CHECKING:
    from ..._nvml.session import NvmlSession
    from ..._ports import Ports

PATH = f"{FOLDER}/geometry.json"
VERSION = 1
SUBSETS = ("identity", "mig")


class Geometry:
    """`told` are sentences for what was created again, `lost` for layouts that were not. The
    others are about what a change of the mode had taken away: settings, as KeptSettings has them, and units that do not
    run again."""

    def __init__(self, ports: Ports, session: NvmlSession) -> None:
        self._ports = ports
        self._session = session
        self.told: t.List[str] = []
        self.lost: t.List[str] = []
        self.reapplied: t.List[str] = []
        self.missing: t.List[str] = []
        self.noted: t.List[str] = []

    def keep(self, snapshot: Snapshot) -> None:
        write(self._ports, geometry.found(owed(self._ports), snapshot, _load(self._ports)))

    def back(self) -> None:
        """Where the driver does not answer, it is left for the run that loads it. Where it does and the modules stayed,
        nothing is owed: a later load must not bring back what somebody has changed until then."""
        if not self._ports.files.exists(PATH):
            return
        try:
            snapshot = self._session.snapshot(SUBSETS)
        except DriverMissingError:
            return
        except AccelError as error:
            self.lost.append(f"the MIG layout that was found could not be created again: {error.message}")
            return
        left = [one for one in owed(self._ports) if not self._back(one, snapshot)]
        write(self._ports, [dataclasses.replace(one, load="") for one in left])
        self._session.release()

    def _back(self, kept: Kept, snapshot: Snapshot) -> bool:
        """Whether nothing is owed any more."""
        gpu = snapshot.by_uuid(kept.uuid)
        why = "it gives no answer"
        if gpu is not None:
            steps = geometry.lacking(kept, gpu)
            if not steps:
                return True
            why = self._walk(gpu, snapshot, steps) or self._differs(kept)
            if not why:
                self.told.append(f"{kept.uuid}: {kept}, as it was before the modules were loaded anew")
                return True
        self.lost.append(
            f"{kept.uuid}: the MIG layout {kept} could not be created again ({why}); the next run tries it"
        )
        return False

    def _walk(self, gpu: Gpu, snapshot: Snapshot, steps: t.Sequence[Step]) -> str:
        """Why it failed; empty: it did not. A mode changes only while nobody holds the GPU."""
        walker = Walker(self._ports, self._session, snapshot)
        stops: t.Tuple[Step, ...] = ()
        if any(isinstance(step, SetMigMode) for step in steps):
            stops = tuple(StopHolder(unit) for unit in probe_holders(self._ports, snapshot).stops(gpu.uuid))
        why = ""
        try:
            walker.walk((*stops, *steps))
        except StepError as error:
            why = f"{words(error.step)}: {error.cause.message}"
        restarts.remember(self._ports.files, time.monotonic_ns() // 1000)
        late = walker.start_holders()
        self.reapplied += walker.settings.told
        self.missing += walker.settings.lost
        self.noted += [*walker.settings.noted, *late.values()]
        return why

    def _differs(self, kept: Kept) -> str:
        try:
            gpu = self._session.snapshot(SUBSETS).by_uuid(kept.uuid)
        except AccelError as error:
            return error.message
        wanted = dataclasses.replace(kept.layout, mode=True, pending=True)
        return "" if gpu is not None and restore.same(layout_of(gpu), wanted) else "it has another one now"


def look(ports: Ports, reloads: bool) -> t.Tuple[Kept, ...]:
    """What comes back in this run: what is there now, where the modules are reloaded, and what is still owed. The
    driver is asked only where there may be something."""
    kept = owed(ports)
    if not kept and not reloads:
        return ()
    try:
        with ports.open_nvml() as session:
            snapshot = session.snapshot(SUBSETS)
    except AccelError:
        return kept if reloads else ()
    if reloads:
        return geometry.found(kept, snapshot, "")
    there = ((one, snapshot.by_uuid(one.uuid)) for one in kept)
    return tuple(one for one, gpu in there if gpu is None or geometry.lacking(one, gpu))


def owed(ports: Ports) -> t.Tuple[Kept, ...]:
    """What was written down and is gone: the modules are not those of then."""
    document = ports.files.read_json(PATH)
    if document is None:
        return ()
    try:
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}, this collection knows {VERSION}")
        gpus = [Kept(one["uuid"], mig_journal.layout_from(one["layout"]), one["load"]) for one in document["gpus"]]
    except (KeyError, TypeError, ValueError) as error:
        remedy = "compare the MIG instances with what they should be by hand, then remove the file"
        raise AccelError(f"{PATH} was not written by accel.gpu ({error!r}); {remedy}", path=PATH) from error
    load = _load(ports)
    return tuple(one for one in gpus if not one.load or one.load != load)


def write(ports: Ports, kept: t.Sequence[Kept]) -> None:
    if kept:
        ports.files.write_json(
            PATH, {"version": VERSION, "gpus": [dataclasses.asdict(one) for one in kept]}, mode=0o600
        )
    else:
        ports.files.remove(PATH)


def _load(ports: Ports) -> str:
    """Empty where no module shows itself."""
    load = driver_load(ports.root)
    return f"{boot_id(ports.files)} {load}" if load else ""
