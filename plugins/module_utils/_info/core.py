# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core of gpu_info: parse, read, answer. PRIVATE to the collection.

A node without driver, with a hanging or lost GPU is an answer, not an error; only a declared GPU that is missing fails.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import (
    AccelError,
    BindingWantedError,
    DriverMismatchError,
    DriverMissingError,
    GpuHungError,
    GpuLostError,
    MissingGpuError,
    NotRootError,
    NvmlError,
)
from .._expected import parse_exceptions, parse_expected
from .._mig.document import export_node
from .._nvml.objects import Gpu, Snapshot
from .._nvml.session import NvmlSession
from .._owners.objects import Owners
from .._owners.probe import probe as probe_owners
from .._owners.resolve import resolve
from .._ports import Ports
from .._select import GPU_KINDS, match, parse_selector
from . import probe
from .expected import judge
from .objects import SUBSETS, Driver, State, Wish
from .output import answer_driver, answer_failures, answer_gpu, answer_owners, answer_pci

# What the NVML port reads for each subset. Allocations are told by MIG UUID, so they need the instances.
PORT_SUBSETS = {"allocations": ("mig",), "processes": ("mig", "processes")}


def parse(params: t.Mapping[str, t.Any]) -> Wish:
    """Checks the options. Raises WishError."""
    # Suboptions that were not given are None.
    expected = {key: value for key, value in (params.get("expected") or {}).items() if value is not None}
    return Wish(
        subsets=tuple(name for name in SUBSETS if name == "identity" or name in params["subsets"]),
        selector=parse_selector(params["gpus"], "gpus", kinds=GPU_KINDS),
        expected=parse_expected(expected, "expected") if expected else None,
        nvlinks=expected.get("nvlinks"),
        faults=parse_exceptions(params.get("exceptions"), "exceptions"),
    )


def read(wish: Wish, ports: Ports) -> State:
    """One NVML session, then the owners of what it found. Raises BindingWantedError and NotRootError only."""
    driver, snapshot = _look(wish, ports)
    owners: t.Optional[Owners] = None
    allocations = {}
    if "allocations" in wish.subsets:
        owners = probe_owners(ports)
        allocations = resolve(owners, snapshot) if snapshot is not None else {}
    pids = {process.pid for gpu in (snapshot.gpus if snapshot else ()) for process in gpu.processes}
    pids |= {claim.pid for claims in allocations.values() for claim in claims if claim.pid is not None}
    return State(
        driver=driver,
        today=probe.today(),
        pci_gpus=probe.pci_gpus(ports.files),
        snapshot=snapshot,
        process_owners=probe.process_owners(ports.files, pids),
        owners=owners,
        allocations=allocations,
    )


def answer(wish: Wish, state: State, result: t.Dict[str, t.Any]) -> None:
    """Fills the result; shape in the fragment accel.gpu.gpu_info. Raises WishError for a selector that matches nothing,
    MissingGpuError where a declared GPU is missing."""
    snapshot = state.snapshot
    result["driver"] = answer_driver(state.driver)
    result["pci_gpus"] = [answer_pci(gpu) for gpu in state.pci_gpus]
    result["failures"] = answer_failures(snapshot.failures if snapshot else ())
    result["gpus"] = [answer_gpu(gpu, wish.subsets, state) for gpu in _selected(wish, snapshot)]
    if "mig" in wish.subsets:
        # A layout that leaves a GPU out would be restored as if that were right.
        result["mig_layout"] = export_node(snapshot) if snapshot and not state.without_mig else None
    if state.owners is not None:
        result["owners"] = answer_owners(state.owners)
    if wish.expected is not None:
        _compare(wish, state, result)


def _look(wish: Wish, ports: Ports) -> t.Tuple[Driver, t.Optional[Snapshot]]:
    module = probe.module_version(ports.files)
    try:
        with ports.open_nvml() as session:
            snapshot = _snapshot(session, _port_subsets(wish.subsets))
    except BindingWantedError:
        raise
    except (DriverMissingError, DriverMismatchError, NvmlError) as error:
        return Driver(_state(error), module_version=module, message=error.message), None
    return (
        Driver(
            "loaded",
            version=snapshot.driver_version,
            nvml_version=snapshot.nvml_version,
            cuda_version=snapshot.cuda_version,
            module_version=module,
        ),
        snapshot,
    )


def _snapshot(session: NvmlSession, subsets: t.Tuple[str, ...]) -> Snapshot:
    """Where only root may see MIG, the rest is read without it: the port itself gives no half-read GPU away."""
    snapshot = session.snapshot(subsets)
    forbidden = {failure.index: failure for failure in snapshot.failures if failure.kind == NotRootError.kind}
    if not forbidden or "mig" not in subsets:
        return snapshot
    bare = session.snapshot([name for name in subsets if name != "mig"])
    rest = tuple(gpu for gpu in bare.gpus if gpu.index in forbidden)
    gpus = sorted(snapshot.gpus + rest, key=lambda gpu: gpu.index)
    return dataclasses.replace(snapshot, gpus=tuple(gpus))


def _state(error: AccelError) -> str:
    if isinstance(error, DriverMissingError):
        return str(error.facts.get("state", "missing"))
    if isinstance(error, DriverMismatchError):
        return "mismatch"
    return "hung" if isinstance(error, GpuHungError) else "failed"


def _port_subsets(subsets: t.Iterable[str]) -> t.Tuple[str, ...]:
    return tuple(sorted({name for subset in subsets for name in PORT_SUBSETS.get(subset, (subset,))}))


def _selected(wish: Wish, snapshot: t.Optional[Snapshot]) -> t.Tuple[Gpu, ...]:
    if snapshot is None:
        return ()
    try:
        return match(wish.selector, snapshot.gpus, snapshot.failures)
    except (GpuHungError, GpuLostError):
        # The chosen GPU is there and dead: `failures` answers for it.
        return ()


def _compare(wish: Wish, state: State, result: t.Dict[str, t.Any]) -> None:
    verdict = judge(wish, state)
    result["expected"] = verdict.answer
    result["warnings"] = list(verdict.warnings)
    if verdict.missing is not None:
        raise MissingGpuError(verdict.missing)
