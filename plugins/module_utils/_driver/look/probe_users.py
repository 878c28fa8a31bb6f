# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's own answer and who works on the GPUs. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ..._data.driver_system import DISPLAY, DISPLAY_ALIAS, STOPPABLE
from ..._errors import (
    AccelError,
    BindingWantedError,
    DriverMismatchError,
    DriverMissingError,
    GpuHungError,
    GpuLostError,
    NotRootError,
    NvmlError,
)
from ..._holders.probe import lasting, openers
from ..._nvml.objects import GpuFailure, Snapshot
from ..._owners.objects import Owners
from ..._owners.probe import probe as probe_owners
from ..._owners.usage import busy
from ..._ports import Ports
from ..model import Busy
from .probe_files import resolve

SUBSETS = ("identity", "mig", "processes")


class Answer(t.NamedTuple):
    """`state` and `why` as Node.nvml_state and Node.nvml."""

    state: str
    why: str = ""
    snapshot: t.Optional[Snapshot] = None
    fabric: t.Optional[str] = None
    owners: Owners = Owners()

    @property
    def mps_clients(self) -> bool:
        return any(one.owner.startswith("MPS daemon") for one in self.owners.allocations)


def ask(ports: Ports, library: t.Optional[str], module: t.Optional[str], with_fabric: bool) -> Answer:
    """The driver, where library and module are there and agree (else its answer is known), and the owners of work."""
    if library is None:
        answer = Answer("missing", "the NVIDIA library libnvidia-ml.so.1 is not on this node")
    elif module is None:
        answer = Answer("not_loaded", "the kernel module nvidia is not loaded")
    elif module != library:
        text = f"libnvidia-ml.so.1 is version {library} but the loaded kernel module is version {module}"
        answer = Answer("mismatch", text)
    else:
        answer = _ask_nvml(ports, with_fabric)
    return answer._replace(owners=probe_owners(ports))


def _ask_nvml(ports: Ports, with_fabric: bool) -> Answer:
    """One session under its deadline. Only BindingWantedError goes up: with a binding there may be an answer."""
    # The fabric stands among the health readings, which cost many calls; so only where there is one.
    subsets = (*SUBSETS, "health") if with_fabric else SUBSETS
    try:
        with ports.open_nvml() as session:
            snapshot = session.snapshot(subsets)
    except BindingWantedError:
        raise
    except (DriverMissingError, DriverMismatchError, NotRootError, NvmlError) as error:
        return Answer(_state(error), error.message)
    return Answer("answers", "; ".join(one.message for one in snapshot.failures), snapshot, fabric_state(snapshot))


def _state(error: AccelError) -> str:
    if isinstance(error, DriverMissingError):
        return str(error.facts.get("state", "missing"))
    if isinstance(error, DriverMismatchError):
        return "mismatch"
    return "hung" if isinstance(error, GpuHungError) else "failed"


def fabric_state(snapshot: Snapshot) -> t.Optional[str]:
    """Of the whole node: completed only where every GPU of the fabric says so."""
    told = [(gpu.health or {}).get("fabric") for gpu in snapshot.gpus]
    states = [str(one["state"]) for one in told if one]
    return next((state for state in states if state != "completed"), states[0] if states else None)


def busy_gpus(answer: Answer) -> t.Tuple[Busy, ...]:
    """Rule 1 of the live-node rules. Without an answer of the driver the owners' words count for the whole node."""
    if answer.snapshot is None:
        return tuple(_of_owners(answer.owners))
    named = {gpu.uuid: f"GPU {gpu.pci} ({gpu.uuid})" for gpu in answer.snapshot.gpus}
    found = [
        Busy(named[uuid], str(claim), claim.has_process)
        for uuid, claims in busy(answer.snapshot, answer.owners).items()
        for claim in claims
    ]
    silent = [one for one in answer.snapshot.failures if _may_work(one, answer.owners)]
    found += [Busy(f"GPU {one.pci or one.index}", f"it gives no answer ({one.message})", True) for one in silent]
    return tuple(found)


def _may_work(failure: GpuFailure, owners: Owners) -> bool:
    """A GPU that gives no answer may be at work. One that is lost runs nothing any more: whoever had it keeps its
    device open and is found there, or is known to an owner."""
    return failure.kind != GpuLostError.kind or bool(owners.allocations or owners.silent)


def _of_owners(owners: Owners) -> t.Iterator[Busy]:
    for owner in owners.silent:
        yield Busy("all GPUs", f"{owner.name} (could not be asked: {owner.why})", True)
    for one in owners.allocations:
        yield Busy("all GPUs" if one.device == "all" else one.device, one.owner, one.pid is not None)


def open_devices(
    ports: Ports, snapshot: t.Optional[Snapshot], never: t.AbstractSet[str] = frozenset()
) -> t.Tuple[t.Tuple[str, t.Optional[str], int], ...]:
    """Processes that keep device nodes open, the work that NVML names left out: (name, stoppable unit, PID). `never`
    are units that may not be stopped now. Who belongs to no unit that may be stopped is told only where he stays: a
    monitor opens a GPU for a moment."""
    working = set(_workers(snapshot)) if snapshot else frozenset()
    # A process stands in the unit's own name, such as lightdm.service.
    alias = resolve(ports.files, DISPLAY_ALIAS)
    own = {os.path.basename(alias): DISPLAY} if alias else {}
    may = {unit: unit for unit in STOPPABLE if unit not in never}
    seen = [
        (one.name, may.get(own.get(one.unit or "", one.unit or "")), one.pid)
        for one in openers(ports.root, working, modules=True)
    ]
    stay = lasting(
        [pid for _name, unit, pid in seen if unit is None],
        lambda: [one.pid for one in openers(ports.root, working, modules=True)],
    )
    return tuple(one for one in seen if one[1] is not None or one[2] in stay)


def _workers(snapshot: Snapshot) -> t.Iterator[int]:
    for gpu in snapshot.gpus:
        computes = [compute for instance in gpu.mig.instances for compute in instance.compute_instances]
        for process in (*gpu.processes, *(one for compute in computes for one in compute.processes)):
            yield process.pid
