# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a reset did what it is for. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import VerifyError
from .._holders.objects import not_in_fabric
from .._nvml.objects import Gpu, Snapshot
from .model import GpuReset

# Actions of the driver that a reset is the answer to (nvmlDeviceGetFieldValues, NVML_FI_DEV_GET_GPU_RECOVERY_ACTION).
_BY_RESET = ("gpu_reset", "drain_and_reset", "bus_reset")
_BY_REBOOT = ("node_reboot", "system_reboot")


def verify(resets: t.Sequence[GpuReset], seen: Snapshot, late: t.Sequence[Gpu] = ()) -> None:
    """Every GPU answers, its driver asks for no reset any more, and the NVLink fabric has it: `late` are those that it
    did not take up in time. Geometry and modes were verified by the walk."""
    problems = [not_in_fabric(gpu) for gpu in late]
    for one in resets:
        gpu = seen.by_uuid(one.target.uuid)
        if gpu is None:
            problems.append(f"{one.target}: the GPU was reset and gives no answer; drain the node and reboot it")
        elif _action(gpu) in _BY_RESET:
            what = f"its driver still asks for {_action(gpu)}"
            problems.append(f"{one.target}: the GPU was reset, yet {what}; drain the node and reboot it")
    if problems:
        raise VerifyError("\n".join(problems), changed=True, step="verification", restored=False)


def reboot_required(resets: t.Sequence[GpuReset], seen: Snapshot) -> bool:
    return any(gpu is not None and _action(gpu) in _BY_REBOOT for gpu in _seen(resets, seen))


def warnings(resets: t.Sequence[GpuReset], seen: Snapshot) -> t.Tuple[str, ...]:
    return tuple(
        f"{gpu.uuid} ({gpu.name}): its driver asks for {_action(gpu)}, which a reset does not replace"
        for gpu in _seen(resets, seen)
        if gpu is not None and _action(gpu) in _BY_REBOOT
    )


def _seen(resets: t.Sequence[GpuReset], seen: Snapshot) -> t.List[t.Optional[Gpu]]:
    return [seen.by_uuid(one.target.uuid) for one in resets]


def _action(gpu: Gpu) -> t.Optional[str]:
    action: t.Optional[str] = (gpu.health or {}).get("recovery_action")
    return action
