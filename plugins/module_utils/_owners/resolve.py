# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the owners' words for devices to the UUIDs of a snapshot. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .._nvml.objects import Gpu, Snapshot
from .objects import Allocation, Owners

_CAP = re.compile(r"^cap:gpu(\d+)/gi(\d+)(?:/ci(\d+))?$")
_PLACE = re.compile(r"^place:gpu(\d+)/(\d+)/(\d+)$")


def resolve(owners: Owners, snapshot: Snapshot) -> t.Dict[str, t.Tuple[Allocation, ...]]:
    """Allocations by GPU UUID and MIG UUID.

    A claim on a whole GPU is listed under the GPU and under each of its MIG devices; a claim on a MIG device only
    there. What matches nothing (a stale UUID of a destroyed instance) claims nothing.
    """
    found: t.Dict[str, t.List[Allocation]] = {}
    for allocation in owners.allocations:
        for uuid in _devices(allocation.device, snapshot):
            found.setdefault(uuid, []).append(allocation)
    return {uuid: tuple(claims) for uuid, claims in found.items()}


def unmatched(owners: Owners, snapshot: Snapshot) -> t.Tuple[Allocation, ...]:
    """Allocations that may be on a GPU without an answer: of all GPUs, or of none that answers."""
    return tuple(one for one in owners.allocations if one.device == "all" or not _devices(one.device, snapshot))


def _devices(device: str, snapshot: Snapshot) -> t.List[str]:
    if device == "all":
        return [uuid for gpu in snapshot.gpus for uuid in _whole(gpu)]
    if device.startswith("minor:"):
        return [uuid for gpu in snapshot.gpus if gpu.minor == int(device[6:]) for uuid in _whole(gpu)]
    if device.startswith("pci:"):
        return [uuid for gpu in snapshot.gpus if gpu.pci == device[4:].lower() for uuid in _whole(gpu)]
    if device.startswith("cap:"):
        return _by_capability(device, snapshot)
    if device.startswith("place:"):
        return _by_place(device, snapshot)
    return _by_uuid(device, snapshot)


def _whole(gpu: Gpu) -> t.List[str]:
    return [gpu.uuid] + _mig_uuids(gpu)


def _mig_uuids(gpu: Gpu, gpu_instance: t.Optional[int] = None, compute: t.Optional[int] = None) -> t.List[str]:
    return [
        instance.uuid
        for parent in gpu.mig.instances
        if gpu_instance in (None, parent.id)
        for instance in parent.compute_instances
        if compute in (None, instance.id) and instance.uuid
    ]


def _by_uuid(device: str, snapshot: Snapshot) -> t.List[str]:
    for gpu in snapshot.gpus:
        if gpu.uuid == device:
            return _whole(gpu)
        if device in _mig_uuids(gpu):
            return [device]
    return []


def _by_capability(device: str, snapshot: Snapshot) -> t.List[str]:
    match = _CAP.match(device)
    if not match:
        return _devices("all", snapshot)
    minor, parent, compute = (None if word is None else int(word) for word in match.groups())
    return [uuid for gpu in snapshot.gpus if gpu.minor == minor for uuid in _mig_uuids(gpu, parent, compute)]


def _by_place(device: str, snapshot: Snapshot) -> t.List[str]:
    match = _PLACE.match(device)
    if not match:
        return _devices("all", snapshot)
    minor, profile, start = (int(word) for word in match.groups())
    return [
        uuid
        for gpu in snapshot.gpus
        if gpu.minor == minor
        for parent in gpu.mig.instances
        if parent.profile_id == profile and parent.placement.start == start
        for uuid in _mig_uuids(gpu, parent.id)
    ]
