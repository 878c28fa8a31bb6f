# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exact layout of GPUs as JSON: what backup writes, restore and `geometry` take back. PRIVATE to the collection.

{"version": 1, "gpus": [{"uuid": …, "pci": …, "name": …, "mig": true, "instances": [
    {"profile": "3g.40gb", "placement": 4, "compute": [{"profile": "1c.3g.40gb", "placement": 0}]}]}]}

A compute instance has `profile_id`, too, where its GPU instance offers two of one name.
"""

from __future__ import annotations

import typing as t

from .._errors import WishError
from .._nvml.objects import ComputeInstance, Gpu, GpuInstance, Snapshot
from .._shape import keys, mapping, sequence, shown, text

VERSION = 1

_GPU_KEYS = ("uuid", "pci", "name", "mig", "instances", "reason", "until")


def export_node(snapshot: Snapshot) -> t.Dict[str, t.Any]:
    """The layout of every GPU of a node, by PCI address."""
    return {"version": VERSION, "gpus": [export_layout(gpu) for gpu in sorted(snapshot.gpus, key=lambda g: g.pci)]}


def export_layout(gpu: Gpu) -> t.Dict[str, t.Any]:
    """The layout of one GPU, exact to the placements of its compute instances."""
    instances = sorted(gpu.mig.instances, key=lambda instance: instance.placement)
    return {
        "uuid": gpu.uuid,
        "pci": gpu.pci,
        "name": gpu.name,
        "mig": bool(gpu.mig.current),
        "instances": [_export_instance(instance) for instance in instances],
    }


def _export_instance(instance: GpuInstance) -> t.Dict[str, t.Any]:
    inner = sorted(instance.compute_instances, key=lambda one: (one.placement is None, one.placement, one.id))
    return {
        "profile": instance.profile,
        "placement": instance.placement.start,
        "compute": [_export_compute(compute, instance) for compute in inner],
    }


def _export_compute(compute: ComputeInstance, instance: GpuInstance) -> t.Dict[str, t.Any]:
    found: t.Dict[str, t.Any] = {"profile": compute.profile}
    if compute.placement is not None:
        found["placement"] = compute.placement.start
    if sum(profile.name == compute.profile for profile in instance.compute_profiles) > 1:
        found["profile_id"] = compute.profile_id
    return found


def items(value: t.Mapping[str, t.Any], address: str) -> t.List[t.Dict[str, t.Any]]:
    """A layout document as items of our own form. Raises WishError where it is not one."""
    given = mapping(value, address)
    keys(given, address, ("version", "gpus"))
    if given.get("version") != VERSION:
        raise WishError(f"{address}.version: {shown(given.get('version'))} is unknown; this release reads {VERSION}")
    found = []
    for number, entry in enumerate(sequence(given.get("gpus"), f"{address}.gpus", "a list of GPUs")):
        where = f"{address}.gpus[{number}]"
        gpu = mapping(entry, where, "a mapping with uuid, mig and instances")
        keys(gpu, where, _GPU_KEYS)
        item = {"gpus": {"uuid": text(gpu.get("uuid"), f"{where}.uuid", "the UUID of a GPU")}}
        item.update({key: gpu[key] for key in ("mig", "instances", "reason", "until") if key in gpu})
        found.append(item)
    return found
