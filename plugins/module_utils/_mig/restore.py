# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that bring a GPU back to a layout it had. Pure. PRIVATE to the collection.

There is nothing to choose: the old layout is known to the last id, so what is there and equal stays, the rest goes,
what is missing is created at its old place.
"""

from __future__ import annotations

import typing as t

from .._data.architectures import architecture
from .._holders.objects import ResetGpu
from .._nvml.objects import Gpu, GpuInstance
from .live import computes_of, instances_of, layout_of, reached
from .model import (
    ComputeSpec,
    CreateComputeInstance,
    CreateGpuInstance,
    DestroyComputeInstance,
    DestroyGpuInstance,
    GpuLayout,
    InstanceSpec,
    SetMigMode,
    Step,
)


def same(live: GpuLayout, old: GpuLayout) -> bool:
    """Mode and instances are the old ones, nothing else is pending. A mode that was pending before is not missed."""
    return live.mode == old.mode and live.pending == live.mode and live.layout == old.layout


def half_way(gpu: Gpu, before: GpuLayout, after: GpuLayout) -> bool:
    """Neither what an interrupted run found nor what it wanted."""
    return not same(layout_of(gpu), before) and not reached(gpu, after)


def steps_back(gpu: Gpu, old: GpuLayout) -> t.Tuple[Step, ...]:
    """What it takes to make `gpu` look like `old`; none where it does."""
    if same(layout_of(gpu), old) or old.mode is None:
        return ()
    wanted = {spec.placement: spec for spec in old.layout}
    change_mode = gpu.mig.current != old.mode
    first: t.List[Step] = []
    last: t.List[Step] = []
    kept = set()
    for instance in instances_of(gpu):
        spec = wanted.get(instance.placement)
        if change_mode or spec is None or spec.profile_id != instance.profile_id:
            first += remove(gpu.uuid, instance)
            continue
        kept.add(instance.placement)
        gone, missing = _mend(gpu.uuid, instance, spec)
        first += gone
        last += missing
    if change_mode or gpu.mig.pending != gpu.mig.current:
        first.append(SetMigMode(gpu.uuid, old.mode))
    if change_mode and architecture(gpu.architecture).mode_needs_reset:
        first.append(ResetGpu(gpu.uuid, gpu.pci))
    for spec in old.layout:
        if spec.placement not in kept:
            last.append(CreateGpuInstance(gpu.uuid, spec.profile_id, spec.profile, spec.placement))
            last += [_create(gpu.uuid, spec, one) for one in spec.compute]
    return tuple(first + last)


def remove(uuid: str, instance: GpuInstance) -> t.List[Step]:
    """What it takes to destroy a GPU instance."""
    steps: t.List[Step] = [
        DestroyComputeInstance(uuid, instance.placement, one.id, instance.id) for one in computes_of(instance)
    ]
    return [*steps, DestroyGpuInstance(uuid, instance.placement, instance.id)]


def _mend(uuid: str, instance: GpuInstance, spec: InstanceSpec) -> t.Tuple[t.List[Step], t.List[Step]]:
    missing = list(spec.compute)
    gone: t.List[Step] = []
    for one in computes_of(instance):
        equal = ComputeSpec(one.profile, one.profile_id, one.placement)
        if equal in missing:
            missing.remove(equal)
        else:
            gone.append(DestroyComputeInstance(uuid, instance.placement, one.id, instance.id))
    return gone, [_create(uuid, spec, one) for one in missing]


def _create(uuid: str, spec: InstanceSpec, one: ComputeSpec) -> CreateComputeInstance:
    return CreateComputeInstance(uuid, spec.placement, one.profile_id, one.profile, one.placement)
