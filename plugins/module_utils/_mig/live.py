# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a live GPU has, in the words of layouts, and what became of its MIG devices. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._nvml.objects import ComputeInstance, Gpu, GpuInstance, Placement
from .model import ComputeSpec, GpuLayout, InstanceSpec


@dataclass(frozen=True)
class Device:
    """One MIG device: a compute instance in a GPU instance. `uuid` changes whenever it is created anew."""

    profile: str
    placement: Placement
    compute: str
    compute_placement: t.Optional[Placement]
    uuid: t.Optional[str]

    @property
    def place(self) -> t.Tuple[str, Placement, str, t.Optional[Placement]]:
        """What stays the same when the device is created anew at its old place."""
        return (self.profile, self.placement, self.compute, self.compute_placement)


def layout_of(gpu: Gpu) -> GpuLayout:
    """The live layout, exact to the ids and placements of compute instances."""
    return GpuLayout(
        gpu.mig.current,
        gpu.mig.pending,
        tuple(
            InstanceSpec(
                instance.profile_id,
                instance.profile,
                instance.placement,
                tuple(ComputeSpec(one.profile, one.profile_id, one.placement) for one in computes_of(instance)),
            )
            for instance in instances_of(gpu)
        ),
    )


def difference(gpu: t.Optional[Gpu], after: GpuLayout) -> str:
    """How a GPU differs from a planned layout, "" if it does not.

    Names of compute instances are the plan's prediction and not judged here: a fresh plan judges them.
    """
    if gpu is None:
        return "the GPU gives no answer"
    found = layout_of(gpu)
    if (found.mode, found.pending) != (after.mode, after.pending):
        return f"it has {found.lines()[0]}, wanted {after.lines()[0]}"
    there = [(spec.profile_id, spec.placement) for spec in found.layout]
    asked = sorted(((spec.profile_id, spec.placement) for spec in after.layout), key=lambda pair: pair[1])
    if there != asked:
        return (
            f"it has {'; '.join(found.lines()[1:]) or 'no instance'}, wanted {'; '.join(after.lines()[1:]) or 'none'}"
        )
    return ""


def reached(gpu: Gpu, after: GpuLayout) -> bool:
    """The GPU has a planned layout to the names of its compute instances. Placements of these may be the driver's."""
    if difference(gpu, after):
        return False
    found = {spec.placement: sorted(one.profile for one in spec.compute) for spec in layout_of(gpu).layout}
    return found == {spec.placement: sorted(one.profile for one in spec.compute) for spec in after.layout}


def devices_of(gpu: Gpu) -> t.Tuple[Device, ...]:
    """The MIG devices of a GPU, by place."""
    return tuple(
        Device(instance.profile, instance.placement, one.profile, one.placement, one.uuid)
        for instance in instances_of(gpu)
        for one in computes_of(instance)
    )


def instances_of(gpu: Gpu) -> t.List[GpuInstance]:
    return sorted(gpu.mig.instances, key=lambda instance: instance.placement)


def computes_of(instance: GpuInstance) -> t.List[ComputeInstance]:
    return sorted(
        instance.compute_instances,
        key=lambda one: (one.placement is None, one.placement or Placement(0, 0), one.profile_id, one.id),
    )


def summary(gpu: Gpu) -> t.Dict[str, t.Any]:
    """One GPU in a module result."""
    return {
        "uuid": gpu.uuid,
        "name": gpu.name,
        "pci": gpu.pci,
        "mig": gpu.mig.current,
        "pending": gpu.mig.pending,
        "instances": [
            {
                "profile": instance.profile,
                "placement": str(instance.placement),
                "compute": [{"profile": one.profile, "uuid": one.uuid} for one in computes_of(instance)],
            }
            for instance in instances_of(gpu)
        ],
    }


def uuid_map(gpu: str, old: t.Sequence[Device], new: t.Sequence[Device]) -> t.List[t.Dict[str, t.Any]]:
    """Devices of one GPU whose UUID differs: {gpu, profile, placement, compute, old, new}.

    A device is paired with the one at its old place; what is left is paired by profile in order of placement, for
    users name their device by profile. `old` or `new` is None where there is no partner.
    """
    before, after = list(old), list(new)
    pairs = _pair(before, after, lambda device: device.place)
    pairs += _pair(before, after, lambda device: (device.profile, device.compute))
    rows = [(one, other) for one, other in pairs if one.uuid != other.uuid]
    rows_map = [_row(gpu, other, one.uuid, other.uuid) for one, other in rows]
    rows_map += [_row(gpu, device, device.uuid, None) for device in before]
    rows_map += [_row(gpu, device, None, device.uuid) for device in after]
    return sorted(rows_map, key=lambda row: (row["placement"], row["profile"], row["compute"], str(row["old"])))


def _pair(
    before: t.List[Device], after: t.List[Device], key: t.Callable[[Device], t.Any]
) -> t.List[t.Tuple[Device, Device]]:
    """Takes the pairs out of both lists."""
    pairs = []
    for device in list(before):
        partner = next((other for other in after if key(other) == key(device)), None)
        if partner is not None:
            before.remove(device)
            after.remove(partner)
            pairs.append((device, partner))
    return pairs


def _row(gpu: str, at: Device, old: t.Optional[str], new: t.Optional[str]) -> t.Dict[str, t.Any]:
    return {
        "gpu": gpu,
        "profile": at.profile,
        "placement": str(at.placement),
        "compute": at.compute,
        "old": old,
        "new": new,
    }
