# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From value objects to the result of gpu_info. Pure. PRIVATE to the collection.

One function per documented key; the fragment accel.gpu.gpu_info has the same keys in the same order.
"""

from __future__ import annotations

import typing as t

from .._nvml.objects import (
    ComputeInstance,
    Gpu,
    GpuFailure,
    GpuInstance,
    GpuInstanceProfile,
    MigState,
    Placement,
    Process,
)
from .._owners.objects import Owners
from .objects import Driver, PciGpu, State

Answer = t.Dict[str, t.Any]


def answer_driver(driver: Driver) -> Answer:
    return {
        "state": driver.state,
        "version": driver.version,
        "cuda_version": driver.cuda_version,
        "nvml_version": driver.nvml_version,
        "module_version": driver.module_version,
        "message": driver.message,
    }


def answer_pci(gpu: PciGpu) -> Answer:
    return {"pci": gpu.pci, "device_id": gpu.device_id, "kernel_driver": gpu.kernel_driver}


def answer_failures(failures: t.Sequence[GpuFailure]) -> t.List[Answer]:
    return [
        {
            "gpu_index": failure.index,
            "pci": failure.pci,
            "uuid": failure.uuid,
            "kind": failure.kind,
            "message": failure.message,
        }
        for failure in failures
    ]


def answer_owners(owners: Owners) -> t.List[Answer]:
    return [{"name": owner.name, "asked": owner.asked, "why": owner.why} for owner in owners.present]


def answer_gpu(gpu: Gpu, subsets: t.Sequence[str], state: State) -> Answer:
    """Always the identity; one key for each further subset."""
    result = _identity(gpu)
    if "mig" in subsets:
        result["mig"] = None if gpu.index in state.without_mig else answer_mig(gpu.mig)
    if "processes" in subsets:
        result["processes"] = [_process(gpu, process, state) for process in gpu.processes]
        result["processes_complete"] = gpu.processes_complete
    if "allocations" in subsets:
        result["allocations"] = _allocations(gpu, state)
    if "settings" in subsets:
        result["settings"] = gpu.settings
    if "health" in subsets:
        result["health"] = gpu.health
    result["failures"] = [dict(failure) for failure in gpu.failures]
    return result


def _identity(gpu: Gpu) -> Answer:
    return {
        "uuid": gpu.uuid,
        "gpu_index": gpu.index,
        "name": gpu.name,
        "pci": gpu.pci,
        "device_id": gpu.device_id,
        "subsystem_id": gpu.subsystem_id,
        "minor": gpu.minor,
        "serial": gpu.serial,
        "part_number": gpu.part_number,
        "vbios": gpu.vbios,
        "numa_node": gpu.numa_node,
        "architecture": gpu.architecture,
        "compute_capability": gpu.compute_capability,
        "memory_mib": gpu.memory_mib,
        "memory_used_mib": gpu.memory_used_mib,
        "virtualization": gpu.virtualization,
    }


def answer_mig(state: MigState) -> Answer:
    return {
        "capable": state.capable,
        "current": state.current,
        "pending": state.pending,
        "max_devices": state.max_devices,
        "profiles": [_profile(profile) for profile in state.profiles],
        "instances": [_gpu_instance(instance) for instance in state.instances],
    }


def _profile(profile: GpuInstanceProfile) -> Answer:
    return {
        "profile": profile.name,
        "profile_id": profile.id,
        "slices": profile.slices,
        "memory_mib": profile.memory_mib,
        "sms": profile.sms,
        "placements": [_placement(placement) for placement in profile.placements],
    }


def _gpu_instance(instance: GpuInstance) -> Answer:
    return {
        "gpu_instance_id": instance.id,
        "profile": instance.profile,
        "profile_id": instance.profile_id,
        "placement": _placement(instance.placement),
        "compute_instances": [_compute_instance(compute) for compute in instance.compute_instances],
    }


def _compute_instance(instance: ComputeInstance) -> Answer:
    return {
        "compute_instance_id": instance.id,
        "profile": instance.profile,
        "profile_id": instance.profile_id,
        "placement": None if instance.placement is None else _placement(instance.placement),
        "uuid": instance.uuid,
    }


def _placement(placement: Placement) -> Answer:
    return {"start": placement.start, "size": placement.size}


def _process(gpu: Gpu, process: Process, state: State) -> Answer:
    owner = state.process_owners.get(process.pid)
    return {
        "pid": process.pid,
        "kind": process.kind,
        "name": process.name,
        "user": owner.user if owner else None,
        "command": owner.command if owner else None,
        "memory_mib": process.memory_mib,
        "mig_uuid": _mig_uuid(gpu, process),
    }


def _mig_uuid(gpu: Gpu, process: Process) -> t.Optional[str]:
    for instance in gpu.mig.instances:
        for compute in instance.compute_instances:
            if (instance.id, compute.id) == (process.gpu_instance_id, process.compute_instance_id):
                return compute.uuid
    return None


def _allocations(gpu: Gpu, state: State) -> t.List[Answer]:
    """Claims on the GPU itself and on each of its MIG devices. A claim on the whole GPU is shown once."""
    whole = state.allocations.get(gpu.uuid, ())
    found = [_allocation(gpu.uuid, claim, state) for claim in whole]
    for instance in gpu.mig.instances:
        for compute in instance.compute_instances:
            claims = state.allocations.get(compute.uuid or "", ())
            found += [_allocation(compute.uuid, claim, state) for claim in claims if claim not in whole]
    return found


def _allocation(device: t.Optional[str], claim: t.Any, state: State) -> Answer:
    owner = state.process_owners.get(claim.pid) if claim.pid is not None else None
    return {
        "owner": claim.owner,
        "device": device,
        "pid": claim.pid,
        "user": owner.user if owner else None,
        "command": owner.command if owner else None,
    }
