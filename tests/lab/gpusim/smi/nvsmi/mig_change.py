# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`nvidia-smi mig` actions that create and destroy instances. Each stops at its first failure, as the real ones do."""

from __future__ import annotations

import typing as t

from nvsmi import errors, targets
from nvsmi.binding import nv, text, words
from nvsmi.mig_read import (
    NO_COMPUTE_INSTANCES,
    GpuInstance,
    Scope,
    compute_instance,
    compute_instances,
    compute_profiles,
    default_compute_profile,
    gpu_instance,
    gpu_profiles,
    placements,
)


def create_gpu_instances(scope: Scope, wanted: str) -> int:
    """-cgi PROFILE[:START],… on each GPU of the scope; with -C also the default compute instance."""
    for gpu in scope.enabled():
        for word in wanted.split(","):
            _create_gpu_instance(gpu, word.strip(), scope.default_ci)
    return errors.OK


def _create_gpu_instance(gpu: targets.Gpu, word: str, default_ci: bool) -> None:
    name, colon, start = word.partition(":")
    if colon and not start.isdigit():
        raise errors.usage(
            "Unable to create a GPU instace on GPU %2d using profile %s: invalid placement syntax" % (gpu.index, word)
        )
    said = "Unable to create a GPU instance on GPU %2d using profile %s" % (gpu.index, name)
    try:
        profile = _named(gpu_profiles(gpu.handle), name)
        if colon:
            handle = nv.nvmlDeviceCreateGpuInstanceWithPlacement(
                gpu.handle, profile.id, nv.byref(_placement(gpu, profile.id, int(start)))
            )
        else:
            handle = nv.nvmlDeviceCreateGpuInstance(gpu.handle, profile.id)
    except nv.NVMLError as error:
        raise _failed(error, said, "Failed to create GPU instances") from error
    made = gpu_instance(handle, profile)
    print(
        "Successfully created GPU instance ID %2d on GPU %2d using profile %s (ID %2d)"
        % (made.id, gpu.index, text(profile.name), profile.id)
    )
    if default_ci:
        _create_compute_instance(gpu, made, None)


def _placement(gpu: targets.Gpu, profile_id: int, start: int) -> t.Any:
    """The placement to ask for; its size is the profile's own."""
    possible = placements(
        nv.nvmlDeviceGetGpuInstancePossiblePlacements, gpu.handle, profile_id, nv.c_nvmlGpuInstancePlacement_t
    )
    wanted = nv.c_nvmlGpuInstancePlacement_t()
    wanted.start = start
    wanted.size = possible[0].size if possible else 0
    return wanted


def _named(profiles: t.Sequence[t.Any], word: str) -> t.Any:
    """The profile with this ID, name (1g.10gb) or full name (MIG 1g.10gb)."""
    for info in profiles:
        if word in (str(info.id), text(info.name), text(info.name).replace("MIG ", "", 1)):
            return info
    raise nv.NVMLError(nv.NVML_ERROR_INVALID_ARGUMENT)


def _failed(error: t.Any, said: str, summary: str) -> errors.SmiError:
    why = words(error)
    return errors.SmiError(errors.exit_code(error.value), f"{said}: {why}\n{summary}: {why}")


def create_compute_instances(scope: Scope, wanted: str) -> int:
    """-cci [PROFILE,…] in each GPU instance of the scope; without a profile the default one."""
    names: t.List[t.Optional[str]] = [word.strip() for word in wanted.split(",")] if wanted else [None]
    for gpu, gi in scope.instances():
        for name in names:
            _create_compute_instance(gpu, gi, name)
    return errors.OK


def _create_compute_instance(gpu: targets.Gpu, gi: GpuInstance, name: t.Optional[str]) -> None:
    shown = name
    try:
        profile = _named(compute_profiles(gi.handle), name) if name else default_compute_profile(gi)
        shown = name or str(profile.id)
        handle = nv.nvmlGpuInstanceCreateComputeInstance(gi.handle, profile.id)
    except nv.NVMLError as error:
        said = "Unable to create a compute instance on GPU %2d GPU instance ID %2d using profile %s"
        raise _failed(error, said % (gpu.index, gi.id, shown), "Failed to create compute instances") from error
    made = compute_instance(handle, profile)
    print(
        "Successfully created compute instance ID %2d on GPU %2d GPU instance ID %2d using profile %s (ID %2d)"
        % (made.id, gpu.index, gi.id, text(profile.name), profile.id)
    )


def destroy_gpu_instances(scope: Scope, _value: str) -> int:
    """-dgi"""
    for gpu, gi in scope.instances():
        try:
            nv.nvmlGpuInstanceDestroy(gi.handle)
        except nv.NVMLError as error:
            said = "Unable to destroy GPU instance ID %2d from GPU %2d" % (gi.id, gpu.index)
            raise _failed(error, said, "Failed to destroy GPU instances") from error
        print("Successfully destroyed GPU instance ID %2d from GPU %2d" % (gi.id, gpu.index))
    return errors.OK


def destroy_compute_instances(scope: Scope, _value: str) -> int:
    """-dci"""
    done = 0
    for gpu, gi in scope.instances():
        for ci in compute_instances(gi.handle):
            if scope.ci is not None and ci.id not in scope.ci:
                continue
            where = "compute instance ID %2d from GPU %2d GPU instance ID %2d" % (ci.id, gpu.index, gi.id)
            try:
                nv.nvmlComputeInstanceDestroy(ci.handle)
            except nv.NVMLError as error:
                raise _failed(error, "Unable to destroy " + where, "Failed to destroy compute instances") from error
            print("Successfully destroyed " + where)
            done += 1
    if not done:
        raise errors.SmiError(errors.NOT_FOUND, NO_COMPUTE_INSTANCES)
    return errors.OK
