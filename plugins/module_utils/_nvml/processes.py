# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that NVML names on a GPU. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .address import optional_text
from .caller import Caller
from .objects import Process

# Kind and NVML function; the forms end in _v3, _v2 or nothing, newest first.
KINDS = (
    ("compute", "nvmlDeviceGetComputeRunningProcesses"),
    ("graphics", "nvmlDeviceGetGraphicsRunningProcesses"),
    ("mps", "nvmlDeviceGetMPSComputeRunningProcesses"),
)
FORMS = ("_v3", "_v2", "")
# NVML's "not in an instance" and "no figure".
NO_INSTANCE = 0xFFFFFFFF
NO_MEMORY = 0xFFFFFFFFFFFFFFFF


def running(caller: Caller, handle: t.Any) -> t.Tuple[t.Tuple[Process, ...], bool]:
    """(processes by PID, whether the lists are complete). One that could not be read makes the GPU count as busy."""
    found: t.List[Process] = []
    complete = True
    names: t.Dict[int, t.Optional[str]] = {}
    for kind, function in KINDS:
        before = len(caller.failures)
        for info in _newest(caller, function, handle):
            pid = int(info.pid)
            if pid not in names:
                names[pid] = optional_text(_process_name(caller, pid))
            found.append(_process(info, kind, names[pid]))
        complete = complete and len(caller.failures) == before
    return tuple(sorted(found, key=lambda process: (process.pid, process.kind))), complete


def _newest(caller: Caller, function: str, handle: t.Any) -> t.Iterable[t.Any]:
    """The list from the newest form that both pynvml and the library have."""
    for form in FORMS:
        if not hasattr(caller.pynvml, function + form):
            continue
        failed = len(caller.failures)
        answer = caller.get(function + form, handle)
        if answer is not None or len(caller.failures) > failed:
            return answer or ()
    return ()


def _process(info: t.Any, kind: str, name: t.Optional[str]) -> Process:
    memory = getattr(info, "usedGpuMemory", None)
    return Process(
        pid=int(info.pid),
        kind=kind,
        name=name,
        memory_mib=None if memory is None or memory == NO_MEMORY else int(memory) >> 20,
        gpu_instance_id=_instance(info, "gpuInstanceId"),
        compute_instance_id=_instance(info, "computeInstanceId"),
    )


def _process_name(caller: Caller, pid: int) -> t.Any:
    # A process that has just ended is no failure of the GPU.
    before = list(caller.failures)
    name = caller.get("nvmlSystemGetProcessName", pid)
    caller.failures[:] = before
    return name


def _instance(info: t.Any, field: str) -> t.Optional[int]:
    number = getattr(info, field, None)
    return None if number is None or number == NO_INSTANCE else int(number)
