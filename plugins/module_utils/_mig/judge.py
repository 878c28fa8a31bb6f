# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether and how the MIG mode of one GPU can be changed (live_node rules 12 and 13). PRIVATE to the collection.

A mode change is begun only if it can be completed: the GPU can be reset where its architecture asks for that, nobody
works on it, and everybody who holds it open is known and can be stopped.
"""

from __future__ import annotations

import typing as t

from .._data.architectures import architecture
from .._errors import AccelError, BlockedError, BusyError
from .._holders.objects import Holders, ResetGpu
from .._nvml.objects import Gpu
from .._owners.objects import Claim
from .._select import label
from .model import OR_DEFER, SetMigMode, Step

_WORD = {True: "on", False: "off"}


class ModeChange(t.NamedTuple):
    """`steps` in their order; `stop` the units to be stopped before and started after; `reason` for the actions."""

    steps: t.Tuple[Step, ...] = ()
    stop: t.Tuple[str, ...] = ()
    reason: str = ""
    refusal: t.Optional[AccelError] = None


def change_mode(
    gpu: Gpu, wanted: bool, claims: t.Sequence[Claim], holders: Holders, where: str, in_place: bool = True
) -> ModeChange:
    """The way to the wanted mode. `claims` are all users of the GPU.

    With `in_place` false only what no drain or boot can mend refuses: the change is for the next boot.
    """
    mig = gpu.mig
    if mig.current is None or (mig.current == wanted and mig.pending == wanted):
        return ModeChange()
    if mig.current == wanted:
        return ModeChange((SetMigMode(gpu.uuid, wanted),), reason=f"takes back the pending mode {_WORD[not wanted]}")
    resets = architecture(gpu.architecture).mode_needs_reset
    refusal = _guest(gpu, resets, wanted, where)
    if refusal is None and in_place:
        refusal = _not_now(gpu, resets, wanted, claims, holders, where)
    if refusal is not None:
        return ModeChange(refusal=refusal)
    steps: t.List[Step] = []
    # A mode that waits for its reset is in the card already; elsewhere asking again is what completes it.
    if not (resets and mig.pending == wanted):
        steps.append(SetMigMode(gpu.uuid, wanted))
    if resets:
        steps.append(ResetGpu(gpu.uuid, gpu.pci))
    reason = "completes the pending mode" if mig.pending == wanted else "mode differs from the wish"
    return ModeChange(tuple(steps), holders.stops(gpu.uuid), reason)


def _guest(gpu: Gpu, resets: bool, wanted: bool, where: str) -> t.Optional[AccelError]:
    """Virtual machines in which the mode cannot be completed (NVML facts, dra-driver-nvidia-gpu#883 and #1018)."""
    if gpu.virtualization == "vgpu":
        why = "it is a vGPU, whose MIG mode belongs to the hypervisor; change it there"
    elif gpu.virtualization == "passthrough" and resets:
        why = (
            f"the mode of {gpu.architecture} GPUs needs a reset, which a virtual machine cannot do, and asking for it "
            "could strand the GPU; set the mode on the host before the machine starts"
        )
    else:
        return None
    return BlockedError(f"{where}: MIG cannot be switched {_WORD[wanted]}: {why}", gpu=gpu.uuid)


def _not_now(
    gpu: Gpu, resets: bool, wanted: bool, claims: t.Sequence[Claim], holders: Holders, where: str
) -> t.Optional[AccelError]:
    begin = f"{where}: MIG cannot be switched {_WORD[wanted]} now"
    if resets and holders.reset_reachable is False:
        return BlockedError(
            f"{begin}: {gpu.architecture} GPUs need a reset for it, and nvidia-smi, which does it, "
            "cannot be run on this node; install it or give mig_apply: next_boot",
            gpu=gpu.uuid,
        )
    if claims:
        return BusyError(
            f"{begin}: the GPU is in use by {', '.join(map(str, claims))}; drain it first{OR_DEFER}",
            gpu=gpu.uuid,
            owners=[str(claim) for claim in claims],
        )
    return _held(gpu, holders, begin)


def _held(gpu: Gpu, holders: Holders, begin: str) -> t.Optional[AccelError]:
    in_the_way = holders.in_the_way(gpu.uuid)
    if not in_the_way:
        return None
    return BlockedError(
        f"{begin}: it is held open by {', '.join(map(str, in_the_way))}, which is not known to be safe to stop; "
        "stop it and run again, or give mig_apply: next_boot",
        gpu=gpu.uuid,
        holders=[holder.name for holder in in_the_way],
    )


def where_of(address: str, gpu: Gpu) -> str:
    """How messages name the item and the GPU."""
    return f"{address} ({label(gpu)})"
