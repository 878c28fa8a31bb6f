# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A GPU that obeys steps as strictly as NVML would, on value objects: what it does not allow is a failed assertion."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._holders.objects import ResetGpu
from ansible_collections.accel.gpu.plugins.module_utils._mig import compute, model
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import ComputeInstance, Gpu, GpuInstance
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards


def apply(key: str, gpu: Gpu, steps: t.Sequence[model.Step]) -> Gpu:
    """The GPU after all steps that are its own."""
    queue = [step for step in steps if getattr(step, "gpu", None) == gpu.uuid]
    while queue:
        step = queue.pop(0)
        if isinstance(step, model.CreateComputeInstance):
            batch = [step]
            while (
                queue
                and isinstance(queue[0], model.CreateComputeInstance)
                and queue[0].gi_placement == step.gi_placement
            ):
                batch.append(t.cast(model.CreateComputeInstance, queue.pop(0)))
            gpu = _create_computes(gpu, batch)
        else:
            gpu = _apply(key, gpu, step)
    return gpu


def _apply(key: str, gpu: Gpu, step: model.Step) -> Gpu:
    if isinstance(step, model.SetMigMode):
        assert not gpu.mig.instances
        now = gpu.mig.current if gpu.architecture == "ampere" else step.enabled
        return _mig(gpu, current=now, pending=step.enabled)
    if isinstance(step, ResetGpu):
        return _mig(gpu, current=gpu.mig.pending, instances=())
    if isinstance(step, model.DestroyComputeInstance):
        return _destroy_compute(gpu, step)
    if isinstance(step, model.DestroyGpuInstance):
        instance = at(gpu, step.placement)
        assert instance.id == step.gi_id
        assert not instance.compute_instances, "compute instances go first"
        return _mig(gpu, instances=tuple(one for one in gpu.mig.instances if one is not instance))
    assert isinstance(step, model.CreateGpuInstance)
    return _create(key, gpu, step)


def at(gpu: Gpu, placement: t.Any) -> GpuInstance:
    return next(one for one in gpu.mig.instances if one.placement == placement)


def _mig(gpu: Gpu, **changes: t.Any) -> Gpu:
    return dataclasses.replace(gpu, mig=dataclasses.replace(gpu.mig, **changes))


def _replace(gpu: Gpu, old: GpuInstance, new: GpuInstance) -> Gpu:
    return _mig(gpu, instances=tuple(new if one is old else one for one in gpu.mig.instances))


def _destroy_compute(gpu: Gpu, step: model.DestroyComputeInstance) -> Gpu:
    instance = at(gpu, step.placement)
    left = tuple(one for one in instance.compute_instances if one.id != step.compute_id)
    assert len(left) == len(instance.compute_instances) - 1
    return _replace(gpu, instance, dataclasses.replace(instance, compute_instances=left))


def _create(key: str, gpu: Gpu, step: model.CreateGpuInstance) -> Gpu:
    row = boards.profile(key, step.profile)
    assert gpu.mig.current
    assert row.id == step.profile_id
    assert step.placement in row.placements
    assert not any(step.placement.overlaps(one.placement) for one in gpu.mig.instances)
    standing = [boards.profile(key, one.profile) for one in gpu.mig.instances] + [row]
    for engine in ("slices", "decoders", "encoders", "jpegs", "ofas"):
        limit = max(getattr(profile, engine) for profile in gpu.mig.profiles)
        assert sum(getattr(profile, engine) for profile in standing) <= limit, engine
    number = max([one.id for one in gpu.mig.instances], default=0) + 100
    made = GpuInstance(number, row.id, row.name, step.placement, (), boards.compute_profiles(key, row.name))
    return _mig(gpu, instances=(*gpu.mig.instances, made))


def _create_computes(gpu: Gpu, steps: t.Sequence[model.CreateComputeInstance]) -> Gpu:
    instance = at(gpu, steps[0].gi_placement)
    for step in compute.arrange(instance, steps):
        row = next(one for one in instance.compute_profiles if one.id == step.profile_id)
        assert step.placement in row.placements
        standing = instance.compute_instances
        assert not any(one.placement.overlaps(step.placement) for one in standing if one.placement and step.placement)
        number = max([one.id for one in standing], default=-1) + 1
        uuid = f"MIG-new-{instance.id}-{number}"
        made = ComputeInstance(number, row.id, row.name, step.placement, uuid)
        grown = dataclasses.replace(instance, compute_instances=(*standing, made))
        gpu = _replace(gpu, instance, grown)
        instance = grown
    return gpu
