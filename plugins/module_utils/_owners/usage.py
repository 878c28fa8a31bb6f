# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses which part of a GPU: processes that NVML names, claims of the node's owners. Pure. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._nvml.objects import Gpu, GpuInstance, Process, Snapshot
from .objects import Busy, Claim, Owners
from .resolve import resolve

Claims = t.Tuple[Claim, ...]

# Owners whose allocation is running work; the others only reserve.
_WORKING = ("MPS daemon", "vGPU")


@dataclass
class Usage:
    """Claims on the whole GPU, on GPU instances (by id) and on compute instances (by both ids).

    `overridden` holds allocations without a process that the user allowed to be destroyed, by GPU instance (None: the
    whole GPU); they lock nothing.
    """

    whole: t.List[Claim] = field(default_factory=list)
    instances: t.Dict[int, t.List[Claim]] = field(default_factory=dict)
    computes: t.Dict[t.Tuple[int, int], t.List[Claim]] = field(default_factory=dict)
    overridden: t.Dict[t.Optional[int], t.List[Claim]] = field(default_factory=dict)

    def gpu(self) -> Claims:
        """Everyone on this GPU."""
        parts = list(self.instances.values()) + list(self.computes.values())
        return _unique(self.whole + [claim for part in parts for claim in part])

    def instance(self, one: GpuInstance) -> Claims:
        """Everyone whom destroying this GPU instance would hurt."""
        inner = [claim for ids, claims in self.computes.items() if ids[0] == one.id for claim in claims]
        return _unique(self.whole + self.instances.get(one.id, []) + inner)

    def compute(self, instance: int, compute: int) -> Claims:
        """Everyone whom destroying this compute instance would hurt."""
        inner = self.computes.get((instance, compute), [])
        return _unique(self.whole + self.instances.get(instance, []) + inner)

    def overridden_by(self, instance: int) -> Claims:
        """Whose allocations are given up with this GPU instance."""
        return _unique(self.overridden.get(None, []) + self.overridden.get(instance, []))

    def busy_computes(self, one: GpuInstance) -> t.FrozenSet[int]:
        return frozenset(inner.id for inner in one.compute_instances if self.compute(one.id, inner.id))


def _unique(claims: t.Iterable[Claim]) -> Claims:
    return tuple(dict.fromkeys(claims))


def usage_of(gpu: Gpu, busy: Busy, allow_destroy_allocated: bool) -> Usage:
    """All users of one GPU. Owners that could not be asked count as users of the whole GPU and cannot be overridden."""
    usage = Usage(whole=list(busy.unknown))
    if not gpu.processes_complete:
        usage.whole.append(Claim("processes", "that NVML refused to list", True))
    for process in gpu.processes:
        _add_process(usage, process, process.gpu_instance_id, process.compute_instance_id)
    for instance in gpu.mig.instances:
        for compute in instance.compute_instances:
            for process in compute.processes:
                _add_process(usage, process, instance.id, compute.id)
            claims = busy.by_device.get(compute.uuid, ()) if compute.uuid else ()
            place = usage.computes.setdefault((instance.id, compute.id), [])
            place.extend(_binding(claims, allow_destroy_allocated, usage, instance.id))
    usage.whole.extend(_binding(busy.by_device.get(gpu.uuid, ()), allow_destroy_allocated, usage, None))
    return usage


def _binding(
    claims: t.Iterable[Claim], allow_destroy_allocated: bool, usage: Usage, instance: t.Optional[int]
) -> t.List[Claim]:
    if not allow_destroy_allocated:
        return list(claims)
    usage.overridden.setdefault(instance, []).extend(claim for claim in claims if not claim.has_process)
    return [claim for claim in claims if claim.has_process]


def _add_process(usage: Usage, process: Process, instance: t.Optional[int], compute: t.Optional[int]) -> None:
    name = "" if process.name is None else f" ({process.name})"
    claim = Claim("process", f"{process.pid}{name}", True, process.pid)
    if instance is None:
        usage.whole.append(claim)
    elif compute is None:
        usage.instances.setdefault(instance, []).append(claim)
    else:
        usage.computes.setdefault((instance, compute), []).append(claim)


def busy_of(owners: Owners, snapshot: Snapshot) -> Busy:
    """Allocations in the planner's words. An owner that could not be asked makes the whole node busy (rule 1)."""
    by_device: t.Dict[str, t.Tuple[Claim, ...]] = {}
    for uuid, allocations in resolve(owners, snapshot).items():
        by_device[uuid] = tuple(
            Claim(one.owner, "", has_process=one.owner.startswith(_WORKING), pid=one.pid) for one in allocations
        )
    unknown = tuple(Claim(owner.name, f"(could not be asked: {owner.why})", True) for owner in owners.silent)
    return Busy(by_device, unknown)


def busy(snapshot: Snapshot, owners: Owners) -> t.Dict[str, Claims]:
    """Everyone on each GPU that is busy, its MIG devices included, by GPU UUID. For those who act on whole GPUs.

    A claim whose `has_process` is false is an allocation without a process: a person may give it up, where an option
    says so. Every other one never ends by our hand (live_node rule 2).
    """
    claims = busy_of(owners, snapshot)
    found = {gpu.uuid: usage_of(gpu, claims, allow_destroy_allocated=False).gpu() for gpu in snapshot.gpus}
    return {uuid: users for uuid, users in found.items() if users}
