# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads profiles, placements and instances of MIG-capable GPUs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nvsmi import errors, targets
from nvsmi.binding import nv, value

# Profile enums are asked one by one until NVML says that there is no such enum; this only bounds the loop.
ENUM_LIMIT = 64
NO_MIG = "No MIG-enabled devices found."
NO_MIG_HARDWARE = "No MIG-supported devices found."
NO_GPU_INSTANCES = "No GPU instances found: Not Found"
NO_COMPUTE_INSTANCES = "No compute instances found: Not Found"


@dataclass
class Scope:
    """What an action works on: GPUs, and the instances that -gi and -ci restrict it to."""

    gpus: t.List[targets.Gpu]
    gi: t.Optional[t.List[int]]
    ci: t.Optional[t.List[int]]
    default_ci: bool

    def capable(self) -> t.List[targets.Gpu]:
        """The GPUs that have MIG, on or off; SmiError 6 when none has."""
        found = [gpu for gpu in self.gpus if value(nv.nvmlDeviceGetMigMode, gpu.handle) is not None]
        return _some(found, NO_MIG_HARDWARE)

    def enabled(self) -> t.List[targets.Gpu]:
        """The GPUs whose MIG mode is on; SmiError 6 when it is on for none."""
        modes = [(gpu, value(nv.nvmlDeviceGetMigMode, gpu.handle)) for gpu in self.gpus]
        return _some([gpu for gpu, mode in modes if mode and mode[0] == 1], NO_MIG)

    def instances(self) -> t.List[t.Tuple[targets.Gpu, GpuInstance]]:
        """All GPU instances in scope; SmiError 6 when there is none."""
        found = [(gpu, gi) for gpu in self.enabled() for gi in gpu_instances(gpu.handle)]
        return _some([(gpu, gi) for gpu, gi in found if self.gi is None or gi.id in self.gi], NO_GPU_INSTANCES)


Item = t.TypeVar("Item")


def _some(found: t.List[Item], none: str) -> t.List[Item]:
    if not found:
        raise errors.SmiError(errors.NOT_FOUND, none)
    return found


@dataclass
class GpuInstance:
    """A GPU instance with its NVML handle and profile."""

    handle: t.Any
    id: int
    profile: t.Any
    start: int
    size: int


@dataclass
class ComputeInstance:
    """A compute instance with its NVML handle and profile."""

    handle: t.Any
    id: int
    profile: t.Any
    start: int
    size: int


def _profiles(ask: t.Callable[[int], t.Any]) -> t.List[t.Any]:
    found = []
    for enum in range(ENUM_LIMIT):
        try:
            found.append(ask(enum))
        except nv.NVMLError as error:
            if error.value == nv.NVML_ERROR_INVALID_ARGUMENT:
                break
            if error.value != nv.NVML_ERROR_NOT_SUPPORTED:
                raise
    return found


def gpu_profiles(handle: t.Any) -> t.List[t.Any]:
    """The GPU instance profiles, smallest first."""
    found = _profiles(lambda enum: nv.nvmlDeviceGetGpuInstanceProfileInfo(handle, enum))
    return sorted(found, key=lambda info: (info.sliceCount, info.memorySizeMB, info.id))


def compute_profiles(instance: t.Any) -> t.List[t.Any]:
    """The compute instance profiles of a GPU instance, smallest first."""
    shared = nv.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED
    found = _profiles(lambda enum: nv.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, enum, shared))
    return sorted(found, key=lambda info: (info.sliceCount, info.multiprocessorCount))


def default_compute_profile(instance: GpuInstance) -> t.Any:
    """The profile that spans the whole GPU instance; of several the one with most multiprocessors."""
    spanning = [info for info in compute_profiles(instance.handle) if info.sliceCount == instance.profile.sliceCount]
    return max(spanning, key=lambda info: info.multiprocessorCount)


def placements(call: t.Callable[..., t.Any], owner: t.Any, profile_id: int, kind: t.Any) -> t.List[t.Any]:
    """Possible placements of a profile, asked in NVML's two steps: how many, then which."""
    count = nv.c_uint(0)
    call(owner, profile_id, None, nv.byref(count))
    array = (kind * max(count.value, 1))()
    call(owner, profile_id, array, nv.byref(count))
    return list(array[: count.value])


def gpu_instances(handle: t.Any) -> t.List[GpuInstance]:
    """The GPU instances of a GPU, profile by profile, in order of their placement."""
    found = []
    for profile in gpu_profiles(handle):
        array = (nv.c_nvmlGpuInstance_t * 16)()
        count = nv.c_uint(0)
        nv.nvmlDeviceGetGpuInstances(handle, profile.id, array, nv.byref(count))
        of_profile = [gpu_instance(array[number], profile) for number in range(count.value)]
        found += sorted(of_profile, key=lambda instance: instance.start)
    return found


def gpu_instance(instance: t.Any, profile: t.Any) -> GpuInstance:
    info = nv.nvmlGpuInstanceGetInfo(instance)
    return GpuInstance(instance, info.id, profile, info.placement.start, info.placement.size)


def compute_instances(instance: t.Any) -> t.List[ComputeInstance]:
    """The compute instances of a GPU instance by id."""
    found = []
    for profile in compute_profiles(instance):
        array = (nv.c_nvmlComputeInstance_t * 16)()
        count = nv.c_uint(0)
        nv.nvmlGpuInstanceGetComputeInstances(instance, profile.id, array, nv.byref(count))
        found += [compute_instance(array[number], profile) for number in range(count.value)]
    return sorted(found, key=lambda compute: compute.id)


def compute_instance(instance: t.Any, profile: t.Any) -> ComputeInstance:
    info = nv.nvmlComputeInstanceGetInfo_v2(instance)
    return ComputeInstance(instance, info.id, profile, info.placement.start, info.placement.size)
