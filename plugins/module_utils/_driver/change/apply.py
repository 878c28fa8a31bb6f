# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply a driver plan: journal, steps, verification; on failure what was there before again. PRIVATE to the collection.

Where even the old state could not be had, the error says what is missing, and the journal stays so that the next run
tries again. Success is never reported for what is not there.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._boot import boot_id
from ..._data.driver_system import FABRIC_MANAGER
from ..._errors import AccelError, VerifyError
from ..._settings.kept_devices import DeviceFiles
from .. import record
from ..decide.parameters import adjusted, differing
from ..decide.plan_names import kernels as kernels_of
from ..record import Journal
from ..steps import (
    ChangePackages,
    InsertModules,
    LoadModules,
    RebuildInitramfs,
    ReloadModules,
    SetUnit,
    Step,
)
from ..texts import initramfs
from ..words import words
from .apply_back import give_up, undo
from .apply_before import merged, recorded_of, remember
from .apply_download import download
from .apply_gpus import Gpus
from .apply_walk import Walker, WorkCameError
from .objects import Change, Done, TakenBack, told

if t.TYPE_CHECKING:
    from ..._packages.probe import Manager
    from ..._ports import Ports
    from ..model import Node

_MODULE = "/sys/module/nvidia"


def apply(change: Change, ports: Ports, manager: Manager) -> Done:
    """Does the change and verifies it. The facts of an AccelError are `step`, `restored`, `changed` and `cause`."""
    with DeviceFiles(ports) as devices:
        done = _apply(change, ports, manager, Gpus(ports, devices))
    return dataclasses.replace(
        done,
        reapplied=(*done.reapplied, *devices.told),
        lost=(*done.lost, *devices.lost),
        noted=(*done.noted, *devices.noted),
    )


def _apply(change: Change, ports: Ports, manager: Manager, gpus: Gpus) -> Done:
    reloads = change.of(ReloadModules)
    walker = Walker(ports, manager, _begin(change, ports), change.own_holds, change.defers)
    try:
        remember(change, walker)
        if reloads:
            gpus.take(reloads[0].stop)
        elif change.node.loaded is not None and change.of(ChangePackages):
            gpus.keep_geometry()  # once library and module differ nothing tells it any more, and a boot follows
        walker.walk(with_owed(change.steps, walker.journal.initramfs))
        walker.start_left()
        if _no_driver(change, ports):
            gpus.forget()
        else:
            gpus.back()
        if change.keep_geometry:
            gpus.keep_geometry()
        node, fresh = _verify(change, walker, gpus)
    except BaseException as error:
        end = give_up(error, walker, gpus)
        if change.defers and isinstance(end, WorkCameError):
            return told(Done(change.node, waits=str(end.facts["why"])), gpus)  # all is as it was, but for that
        if isinstance(end, AccelError) and change.earlier is not None:
            end.facts["changed"] = True  # what the interrupted run had left half-way is no longer there
        raise end from error
    known = record.read_state(ports.files)
    state = known if change.state is None else change.state
    if state:
        # A later look at the same image then needs not unpack it.
        state = {**state, "initramfs": initramfs.remember((node.running, node.next))}
        # What the driver makes of a parameter is no reason to reload it again at each run; what was dropped is gone.
        made = differing(change.parameters, node.live_parameters) if fresh else known.get("adjusted")
        state = {
            **{
                key: value
                for key, value in state.items()
                if key not in ("adjusted", "keys")
                and not (key in ("dropped", "unloaded") and fresh)
                and not (key == "unloaded" and any(step.again for step in change.of(InsertModules)))
            },
            **({"keys": known["keys"]} if known.get("keys") else {}),
            **({"adjusted": made} if made else {}),
        }
    record.write_state(ports.files, state)
    record.remove_journal(ports.files)
    if node.loaded is not None and change.of(LoadModules, ReloadModules, SetUnit):
        _check_fabric(node, gpus)
    done = Done(node, tuple(walker.told), reload=tuple(walker.reload), seconds=walker.seconds)
    return told(done, gpus)


def take_back(journal: Journal, ports: Ports, manager: Manager) -> TakenBack:
    """Undoes an interrupted run, where there is nothing to go on with."""
    with DeviceFiles(ports) as devices:
        gpus = Gpus(ports, devices)
        if journal.before.modules:
            gpus.take(())
        after = undo(journal, ports, manager)
        devices.unfinished = bool(after.missing)
        gpus.back()
    warnings = (*after.missing, *gpus.lost, *devices.lost, *gpus.layouts_lost, *gpus.noted, *devices.noted)
    return TakenBack(after, (*gpus.told, *devices.told), tuple(gpus.geometry), warnings)


def _no_driver(change: Change, ports: Ports) -> bool:
    """Nothing of ours is left, and no module: nobody has settings that could be brought back."""
    return change.state == {} and not ports.files.exists(_MODULE)


def fetch(change: Change, ports: Ports, manager: Manager) -> Done:
    """Only what the change will need; what an interrupted run left waits for the change itself."""
    kernels = [one.release for one in kernels_of(change.node) if one.headers]
    seconds = download(change.steps, ports, manager, change.own_holds, kernels)
    return Done(change.again()[0], seconds=seconds)


def _begin(change: Change, ports: Ports) -> Journal:
    """The journal. Of an interrupted run it keeps what that run found: the half-way state is no way back."""
    before = recorded_of(change, ports)
    journal = Journal(boot_id(ports.files), record.BEFORE, before, back=not change.remembers)
    if change.earlier is not None:
        before = merged(change.earlier.before, journal.before)
        if not change.remembers and change.run is None:
            # A way back that dies is still the way back from that change.
            before = dataclasses.replace(before, run=change.earlier.before.run)
        same_boot = change.earlier.boot_id == journal.boot_id
        units = change.earlier.units if same_boot else ()
        journal = dataclasses.replace(
            journal,
            phase=change.earlier.phase,
            before=before,
            initramfs=change.earlier.initramfs,
            units=units,
            back=change.earlier.back,
        )
    record.write_journal(ports.files, journal)
    if change.state is not None:
        # Before the first package: a run that dies must not forget what it put there.
        record.write_state(ports.files, record.united(record.read_state(ports.files), change.state))
    return journal


def with_owed(steps: t.Sequence[Step], kernels: t.Sequence[str]) -> t.Tuple[Step, ...]:
    """The steps, and in its place the initramfs that an interrupted run left undone. Pure."""
    planned = [step.kernel for step in steps if isinstance(step, RebuildInitramfs)]
    owed = [RebuildInitramfs(kernel) for kernel in kernels if kernel not in planned]
    late = (SetUnit, LoadModules, ReloadModules)
    place = next((number for number, step in enumerate(steps) if isinstance(step, late)), len(steps))
    return (*steps[:place], *owed, *steps[place:])


def _verify(change: Change, walker: Walker, gpus: Gpus) -> t.Tuple[Node, bool]:
    """The node, and whether its modules were loaded by this change."""
    node, left = change.again()
    loads = [step for step in change.of(LoadModules, ReloadModules) if not isinstance(step, ReloadModules) or step.load]
    fresh = bool(loads) and not walker.reload and not _not_loaded(node)
    if fresh:
        walker.told += adjusted(differing(change.parameters, node.live_parameters))
    left = [step for step in left if not ((walker.reload or fresh) and isinstance(step, ReloadModules))]
    problem = _missing(left)
    if not problem and loads and not walker.reload:
        problem = _not_loaded(node) or "; ".join(gpus.silent(node.gpus))
    if problem:
        raise VerifyError(
            f"all steps succeeded, yet {problem}; see the package manager's log and journalctl -k, run again, report "
            "it if it stays",
            wanted=change.node.library,
            found=node.library,
        )
    return node, fresh


def _check_fabric(node: Node, gpus: Gpus) -> None:
    """The change stands, whatever the fabric says, for the cause may be one of hardware; but it is no success."""
    manager = node.units.get(FABRIC_MANAGER)
    late = gpus.late(bool(node.switches or node.nvlink5) and manager is not None and manager.active)
    if late:
        raise VerifyError("\n".join(late), step="NVLink fabric", restored=False, changed=True)


def _missing(left: t.Sequence[Step]) -> str:
    return f"the wish still asks for {words(left[0])}" if left else ""


def _not_loaded(node: Node) -> str:
    if node.loaded is None:
        return "no NVIDIA module is loaded"
    if node.library is not None and node.loaded.version != node.library:
        return f"the loaded module is {node.loaded.version} and the library {node.library}"
    return ""
