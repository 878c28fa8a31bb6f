# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a GPU: on the GPU itself or, with MIG on, on its instances."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nvsmi.binding import MIB, NO_INSTANCE, nv, value

READERS = (
    ("C", "nvmlDeviceGetComputeRunningProcesses"),
    ("G", "nvmlDeviceGetGraphicsRunningProcesses"),
    ("M+C", "nvmlDeviceGetMPSComputeRunningProcesses"),
)


@dataclass
class Process:
    """One process; `gi` and `ci` are None outside MIG, `memory_mib` is None where NVML does not know it."""

    pid: int
    kind: str
    name: str
    memory_mib: t.Optional[int]
    gi: t.Optional[int]
    ci: t.Optional[int]


def of(handle: t.Any, kinds: t.Sequence[str] = ("C", "G", "M+C")) -> t.List[Process]:
    """The processes of one GPU in the order of NVML's lists."""
    found = []
    for kind, reader in READERS:
        if kind in kinds:
            for raw in value(getattr(nv, reader), handle) or []:
                found.append(_process(kind, raw))
    return found


def _process(kind: str, raw: t.Any) -> Process:
    return Process(
        raw.pid,
        kind,
        value(nv.nvmlSystemGetProcessName, raw.pid) or "[Not Found]",
        None if raw.usedGpuMemory is None else raw.usedGpuMemory // MIB,
        _instance(raw.gpuInstanceId),
        _instance(raw.computeInstanceId),
    )


def _instance(number: int) -> t.Optional[int]:
    return None if number == NO_INSTANCE else number
