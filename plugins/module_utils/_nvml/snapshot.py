# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at the whole node, taken in the session's child. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import AccelError, NotRootError, NvmlError
from . import health, mig, read, settings
from .address import optional_text, text
from .caller import Caller
from .objects import Gpu, GpuFailure, MigState, Snapshot
from .processes import running


def take(caller: Caller, subsets: t.Sequence[str], skip: t.Sequence[int]) -> Snapshot:
    """All GPUs but those with an index in `skip` (they hung before). What fails on one GPU does not hide the others."""
    gpus: t.List[Gpu] = []
    failures: t.List[GpuFailure] = []
    with caller.target(""):
        system = _system(caller)
    for index in range(caller("nvmlDeviceGetCount")):
        if index in skip:
            continue
        try:
            gpus.append(_gpu(caller, index, subsets))
        except (NotRootError, NvmlError) as error:
            failures.append(_failure(index, error, caller.uuid))
    return Snapshot(gpus=tuple(gpus), failures=tuple(failures), **system)


def _system(caller: Caller) -> t.Dict[str, t.Any]:
    cuda = caller.first("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion")
    return {
        "driver_version": text(caller("nvmlSystemGetDriverVersion")),
        "nvml_version": optional_text(caller.get("nvmlSystemGetNVMLVersion")),
        "cuda_version": read.cuda_version(caller.get(cuda) if cuda else None),
    }


def _gpu(caller: Caller, index: int, subsets: t.Sequence[str]) -> Gpu:
    with caller.target(f"index {index}", index):
        handle = caller("nvmlDeviceGetHandleByIndex", index)
        known = read.identity(caller, handle, index)
        processes, complete = running(caller, handle) if _wants(subsets, "processes", "mig") else ((), True)
        state = mig.state(caller, handle, processes) if "mig" in subsets else MigState()
        return Gpu(
            mig=state,
            processes=processes,
            processes_complete=complete,
            settings=settings.read(caller, handle) if "settings" in subsets else None,
            health=health.read(caller, handle) if "health" in subsets else None,
            failures=tuple(caller.failures),
            **known,
        )


def _failure(index: int, error: AccelError, uuid: t.Optional[str]) -> GpuFailure:
    """By PCI address and UUID where the GPU still told that much."""
    named = error.facts.get("gpu") or ""
    return GpuFailure(index, error.kind, error.message, pci=named if ":" in named else None, uuid=uuid)


def _wants(subsets: t.Sequence[str], *any_of: str) -> bool:
    return any(name in subsets for name in any_of)
