# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs that are coupled by NVLink and can only be reset together. Pure. PRIVATE to the collection.

Source: manual of nvidia-smi, option --gpu-reset. From Ampere on a GPU with NVLink is reset by itself; on Ampere boards
with NVSwitches fabric manager has to run for that, from Hopper on it need not. Before Ampere, and on Ampere boards with
NVSwitches while fabric manager does not run, all peers have to be named in the same command.
"""

from __future__ import annotations

import typing as t

from .._nvml.objects import Gpu, Snapshot

# Architectures before Ampere that have NVLink.
_TOGETHER = ("pascal", "volta", "turing")
_WITH_FABRIC_MANAGER = "ampere"
_SWITCHES = "NVSwitch"


def needs_fabric_manager(snapshot: Snapshot) -> bool:
    """Whether the answer depends on fabric manager."""
    return any(
        _architecture(gpu) == _WITH_FABRIC_MANAGER and _SWITCHES in _ends(gpu, snapshot) for gpu in snapshot.gpus
    )


def coupled(snapshot: Snapshot, fabric_manager: t.Optional[bool]) -> t.Dict[str, t.Tuple[Gpu, ...]]:
    """For each GPU that cannot be reset by itself, by UUID: all that are reset with it, itself included.

    NVML tells the far end of each link; all NVSwitches of a node count as one, for they make one fabric.
    """
    groups: t.List[t.Set[str]] = []
    for gpu in snapshot.gpus:
        if not _together(gpu, snapshot, fabric_manager):
            continue
        mine = {gpu.pci, *_ends(gpu, snapshot)}
        touching = [group for group in groups if group & mine]
        groups = [group for group in groups if group not in touching] + [mine.union(*touching)]
    found: t.Dict[str, t.Tuple[Gpu, ...]] = {}
    for group in groups:
        members = tuple(gpu for gpu in snapshot.gpus if gpu.pci in group)
        if len(members) > 1:
            found.update((gpu.uuid, members) for gpu in members)
    return found


def _together(gpu: Gpu, snapshot: Snapshot, fabric_manager: t.Optional[bool]) -> bool:
    architecture, ends = _architecture(gpu), _ends(gpu, snapshot)
    if architecture in _TOGETHER:
        return bool(ends)
    return architecture == _WITH_FABRIC_MANAGER and _SWITCHES in ends and not fabric_manager


def _ends(gpu: Gpu, snapshot: Snapshot) -> t.Set[str]:
    """PCI addresses of the GPUs at the far ends of the active links; what is no GPU of the node is an NVSwitch."""
    known = {other.pci for other in snapshot.gpus} | {failure.pci for failure in snapshot.failures if failure.pci}
    remotes = [link.get("remote_pci") for link in (gpu.health or {}).get("nvlinks") or () if link.get("active")]
    return {remote if remote in known else _SWITCHES for remote in remotes if remote}


def _architecture(gpu: Gpu) -> str:
    return (gpu.architecture or "").lower()
