# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MIG as NVML shows it. PRIVATE to the collection.

Call order and traps: NVIDIA's nvml.h and the sources named in facts/mig.md (2.1, 2.7). Profile *enums* are arguments of
ProfileInfo calls only, everything else takes the profile *id*.
"""

from __future__ import annotations

import ctypes
import typing as t

from .._data.nvml_names import PROFILE_ATTRIBUTES
from .._errors import NvmlError
from .address import by_uuid, text
from .caller import Caller
from .objects import (
    ComputeInstance,
    ComputeInstanceProfile,
    GpuInstance,
    GpuInstanceProfile,
    MigState,
    Placement,
    Process,
)
from .processes import running

# A bound for the walk over profile enums, should a driver never say INVALID_ARGUMENT.
ENUM_LIMIT = 64
# An instance that goes while it is read answers so (facts/mig.md, 2.2); it is looked at this often.
_VANISHED = ("NOT_FOUND", "INVALID_ARGUMENT")
_LOOKS = 3
# NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED, the only one there is.
SHARED_ENGINES = 0


def state_of(caller: Caller, uuid: str, pci: t.Optional[str]) -> MigState:
    """MigState of one GPU with the processes of its instances."""
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        return state(caller, handle, running(caller, handle)[0])


def compute_profiles_of(
    caller: Caller, uuid: str, pci: t.Optional[str], gi_id: int
) -> t.Tuple[ComputeInstanceProfile, ...]:
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        return compute_profiles(caller, caller("nvmlDeviceGetGpuInstanceById", handle, gi_id))


def state(caller: Caller, handle: t.Any, processes: t.Sequence[Process] = ()) -> MigState:
    """MigState of a GPU; empty where the board has no MIG."""
    modes = caller.offered("nvmlDeviceGetMigMode", handle)
    if modes is None:
        return MigState()
    current, pending = bool(modes[0]), bool(modes[1])
    profiles = gpu_profiles(caller, handle)
    instances = _seen_whole(caller, handle, profiles, processes) if current else ()
    return MigState(
        current=current,
        pending=pending,
        max_devices=caller.get("nvmlDeviceGetMaxMigDeviceCount", handle) or 0,
        profiles=profiles,
        instances=instances,
    )


def _seen_whole(
    caller: Caller, handle: t.Any, profiles: t.Sequence[GpuInstanceProfile], processes: t.Sequence[Process]
) -> t.Tuple[GpuInstance, ...]:
    """The instances, read again where somebody destroyed one between its listing and the look at it."""
    for _attempt in range(_LOOKS - 1):
        try:
            return gpu_instances(caller, handle, profiles, processes)
        except NvmlError as error:
            if error.facts.get("code_name") not in _VANISHED:
                raise
    return gpu_instances(caller, handle, profiles, processes)


def gpu_profiles(caller: Caller, handle: t.Any) -> t.Tuple[GpuInstanceProfile, ...]:
    """All GPU instance profiles with their placements, in the driver's order."""
    found = []
    for enum, info in _walk(caller, "nvmlDeviceGetGpuInstanceProfileInfo", handle):
        placements = _placements(caller, "nvmlDeviceGetGpuInstancePossiblePlacements", handle, info.id)
        found.append(
            GpuInstanceProfile(
                id=info.id,
                enum=enum,
                name=_name(info) or _old_name(enum, info),
                slices=info.sliceCount,
                memory_mib=info.memorySizeMB,
                sms=info.multiprocessorCount,
                instance_count=info.instanceCount,
                copy_engines=info.copyEngineCount,
                decoders=info.decoderCount,
                encoders=info.encoderCount,
                jpegs=info.jpegCount,
                ofas=info.ofaCount,
                placements=placements,
            )
        )
    return tuple(found)


def gpu_instances(
    caller: Caller,
    handle: t.Any,
    profiles: t.Sequence[GpuInstanceProfile],
    processes: t.Sequence[Process] = (),
) -> t.Tuple[GpuInstance, ...]:
    """All GPU instances with their compute instances, by placement."""
    kind = caller.pynvml.c_nvmlGpuInstance_t
    found = []
    for profile in profiles:
        # instanceCount is wrong on A30, so the buffer also holds one instance for every placement.
        room = max(profile.instance_count, len(profile.placements), 1)
        for instance in _listed(caller, "nvmlDeviceGetGpuInstances", kind, handle, profile.id, room):
            found.append(_gpu_instance(caller, instance, profile, processes))
    return tuple(sorted(found, key=lambda instance: instance.placement))


def compute_profiles(caller: Caller, instance: t.Any) -> t.Tuple[ComputeInstanceProfile, ...]:
    """The compute instance profiles of one GPU instance (its handle), with their placements."""
    found = []
    for enum, info in _walk(caller, "nvmlGpuInstanceGetComputeInstanceProfileInfo", instance, SHARED_ENGINES):
        found.append(
            ComputeInstanceProfile(
                id=info.id,
                enum=enum,
                name=_name(info) or f"{info.sliceCount}c",
                slices=info.sliceCount,
                sms=info.multiprocessorCount,
                instance_count=info.instanceCount,
                placements=_placements(
                    caller, "nvmlGpuInstanceGetComputeInstancePossiblePlacements", instance, info.id
                ),
            )
        )
    return tuple(found)


def _gpu_instance(
    caller: Caller, handle: t.Any, profile: GpuInstanceProfile, processes: t.Sequence[Process]
) -> GpuInstance:
    info = caller("nvmlGpuInstanceGetInfo", handle)
    profiles = compute_profiles(caller, handle)
    mine = [process for process in processes if process.gpu_instance_id == info.id]
    return GpuInstance(
        id=info.id,
        profile_id=info.profileId,
        profile=profile.name,
        placement=_placement(info.placement),
        compute_instances=_compute_instances(caller, handle, profiles, mine),
        compute_profiles=profiles,
    )


def _compute_instances(
    caller: Caller, handle: t.Any, profiles: t.Sequence[ComputeInstanceProfile], processes: t.Sequence[Process]
) -> t.Tuple[ComputeInstance, ...]:
    kind = caller.pynvml.c_nvmlComputeInstance_t
    found = []
    for profile in profiles:
        room = max(profile.instance_count, len(profile.placements), 1)
        for instance in _listed(caller, "nvmlGpuInstanceGetComputeInstances", kind, handle, profile.id, room):
            found.append(_compute_instance(caller, instance, profile, processes))
    return tuple(sorted(found, key=lambda instance: (instance.placement or Placement(0, 0), instance.id)))


def _compute_instance(
    caller: Caller, handle: t.Any, profile: ComputeInstanceProfile, processes: t.Sequence[Process]
) -> ComputeInstance:
    info = caller("nvmlComputeInstanceGetInfo", handle)
    # The MIG device is the `device` of the info: walking MIG handles by index takes seconds on a loaded node.
    uuid = caller.offered("nvmlDeviceGetUUID", info.device)
    return ComputeInstance(
        id=info.id,
        profile_id=info.profileId,
        profile=profile.name,
        placement=_placement(info.placement) if info.placement.size else None,
        uuid=None if uuid is None else text(uuid),
        processes=tuple(process for process in processes if process.compute_instance_id == info.id),
    )


def _walk(caller: Caller, function: str, handle: t.Any, *rest: t.Any) -> t.Iterator[t.Tuple[int, t.Any]]:
    """(enum, info) for every profile, until the driver says INVALID_ARGUMENT."""
    for enum in range(ENUM_LIMIT):
        try:
            info = _profile_info(caller, function, handle, enum, *rest)
        except NvmlError as error:
            name = error.facts.get("code_name")
            if name == "INVALID_ARGUMENT":
                return
            if name != "NOT_SUPPORTED":
                raise
        else:
            yield enum, info


def _profile_info(caller: Caller, function: str, *args: t.Any) -> t.Any:
    """Form 2 with the profile's name; form 1 where library or pynvml are older than that (driver 510)."""
    try:
        return caller(function, *args, version=2)
    except TypeError:
        return caller(function, *args)
    except NvmlError as error:
        if error.facts.get("code_name") != "FUNCTION_NOT_FOUND":
            raise
    return caller(function, *args, version=1)


def _placements(caller: Caller, function: str, handle: t.Any, profile_id: int) -> t.Tuple[Placement, ...]:
    length = ctypes.c_uint(0)
    if caller.offered(function, handle, profile_id, None, ctypes.byref(length)) is None or not length.value:
        return ()
    # Compute instance placements have the same two fields.
    array = (caller.pynvml.c_nvmlGpuInstancePlacement_t * length.value)()
    if caller.offered(function, handle, profile_id, array, ctypes.byref(length)) is None:
        return ()
    return tuple(sorted(_placement(array[number]) for number in range(length.value)))


def _listed(caller: Caller, function: str, kind: t.Any, handle: t.Any, profile_id: int, room: int) -> t.List[t.Any]:
    """Handles of all instances of one profile. The driver does not tell how many there are, so the buffer grows."""
    while True:
        array = (kind * room)()
        length = ctypes.c_uint(room)
        try:
            caller(function, handle, profile_id, array, ctypes.byref(length))
        except NvmlError as error:
            name = error.facts.get("code_name")
            if name == "INSUFFICIENT_SIZE" and room < 1024:
                room *= 2
                continue
            if name in ("NOT_SUPPORTED", "NOT_FOUND"):
                return []
            raise
        return [array[number] for number in range(length.value)]


def _placement(struct: t.Any) -> Placement:
    return Placement(struct.start, struct.size)


def _name(info: t.Any) -> str:
    name = text(getattr(info, "name", ""))
    return name[4:] if name.startswith("MIG ") else name


def _old_name(enum: int, info: t.Any) -> str:
    gigabytes = -(-info.memorySizeMB // 1024)
    return f"{info.sliceCount}g.{gigabytes}gb{PROFILE_ATTRIBUTES.get(enum, '')}"
