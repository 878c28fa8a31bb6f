# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs as the port would read them, built by hand from the boards of the simulated node."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as t

import yaml

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import (
    ComputeInstance,
    ComputeInstanceProfile,
    Gpu,
    GpuInstance,
    GpuInstanceProfile,
    MigState,
    Placement,
    Process,
    Snapshot,
)

_FILE = pathlib.Path(__file__).parents[3] / "lab" / "gpusim" / "boards.yaml"

# Compute slices that a GPU instance can be cut into, and where such pieces may start.
# Source: NVIDIA MIG User Guide, "nvidia-smi mig -lcip" listings of A100; starts as `layout` of the simulated node.
_CUTS = {1: (1,), 2: (1, 2), 3: (1, 2, 3), 4: (1, 2, 4), 7: (1, 2, 3, 4, 7)}
_STARTS = {(2, 3): (0,), (2, 7): (0, 2, 4), (3, 7): (0, 4), (4, 7): (0,)}

# (profile name, start) or (profile name, start, (compute profile, ...)); "1g.20gb#0" names one of two by its id.
Standing = t.Union[t.Tuple[str, int], t.Tuple[str, int, t.Tuple[str, ...]]]


@functools.cache
def rows() -> t.Dict[str, t.Dict[str, t.Any]]:
    return {row["key"]: row for row in yaml.safe_load(_FILE.read_text(encoding="utf-8"))["boards"]}


@functools.cache
def profiles(key: str) -> t.Tuple[GpuInstanceProfile, ...]:
    mig = rows()[key].get("mig")
    if mig is None:
        return ()
    if "profiles_of" in mig:
        return profiles(mig["profiles_of"])
    counts = mig.get("reported_count", {})
    return tuple(_profile(number, row, counts) for number, row in enumerate(mig["profiles"]))


def _profile(number: int, row: t.Sequence[t.Any], counts: t.Mapping[str, int]) -> GpuInstanceProfile:
    name, id_, _enum, slices, slots, mib, starts, sms, count, copy, dec, enc, jpeg, ofa = row
    places = tuple(Placement(start, slots) for start in starts)
    return GpuInstanceProfile(
        id_, number, name, slices, mib, sms, counts.get(name, count), copy, dec, enc, jpeg, ofa, places
    )


def profile(key: str, name: str) -> GpuInstanceProfile:
    return next(row for row in profiles(key) if row.name == name)


def compute_profiles(key: str, name: str) -> t.Tuple[ComputeInstanceProfile, ...]:
    """What a live GPU instance offers. A double-memory 1g with more SMs than 1g has two spanning profiles."""
    host = profile(key, name)
    one = next(row for row in profiles(key) if row.slices == 1)
    found = []
    for number, cut in enumerate(_CUTS[host.slices]):
        starts = _STARTS.get((cut, host.slices), tuple(range(0, host.slices - cut + 1, cut)))
        places = tuple(Placement(start, cut) for start in starts)
        wide = host.slices == 1 and host.sms > one.sms
        own = name if cut == host.slices else f"{cut}c.{name}"
        sms = min(cut * one.sms, host.sms) if cut < host.slices or wide else host.sms
        found.append(ComputeInstanceProfile(number, number, own, cut, sms, len(places), places))
        if wide:
            found.append(ComputeInstanceProfile(7, 7, name, 1, host.sms, 1, places))
    return tuple(found)


def gpu(
    key: str,
    mig: t.Optional[bool] = True,
    instances: t.Sequence[Standing] = (),
    index: int = 0,
    processes: t.Sequence[Process] = (),
    pending: t.Optional[bool] = None,
    **changes: t.Any,
) -> Gpu:
    """A GPU of this board. `instances` name profile, start and, if it is not the default, compute instances."""
    row = rows()[key]
    table = profiles(key)
    mode = mig if table else None
    state = MigState(
        mode,
        mode if pending is None else pending,
        7,
        table,
        tuple(_instance(key, index, number, standing) for number, standing in enumerate(instances)),
    )
    made = Gpu(
        uuid=f"GPU-{index:08x}-0000-4000-8000-000000000000",
        index=index,
        name=row["name"],
        pci=f"0000:{0x3B + index:02x}:00.0",
        device_id=f"10de:{row['identity']['device_id']}",
        subsystem_id=f"10de:{row['identity']['subsystem_id']}",
        architecture=row["identity"]["architecture"],
        memory_mib=row["memory"]["total_mib"],
        virtualization="none",
        mig=state,
        processes=tuple(processes),
    )
    return dataclasses.replace(made, **changes)


def _instance(key: str, index: int, number: int, standing: Standing) -> GpuInstance:
    name, start = standing[0], standing[1]
    row = profile(key, name)
    offered = compute_profiles(key, name)
    best = max((entry for entry in offered if entry.slices == row.slices), key=lambda entry: (entry.sms, -entry.id))
    wanted = standing[2] if len(standing) > 2 else (best.name,)
    compute, taken = [], 0
    for position, inner in enumerate(wanted):
        entry = _offered(offered, inner)
        place = next(place for place in entry.placements if not taken & (((1 << place.size) - 1) << place.start))
        taken |= ((1 << place.size) - 1) << place.start
        uuid = f"MIG-{index:08x}-{number:04x}-{position:04x}"
        compute.append(ComputeInstance(position, entry.id, entry.name, place, uuid))
    place = next(place for place in row.placements if place.start == start)
    return GpuInstance(number + 1, row.id, name, place, tuple(compute), offered)


def _offered(offered: t.Sequence[ComputeInstanceProfile], text: str) -> ComputeInstanceProfile:
    """By name, the one with most SMs of two; "1g.20gb#0" is the one with this id."""
    name, mark, number = text.partition("#")
    like = [entry for entry in offered if entry.name == name and (not mark or entry.id == int(number))]
    return max(like, key=lambda entry: entry.sms)


def node(*gpus: Gpu) -> Snapshot:
    """The snapshot of a node with these GPUs."""
    return Snapshot("580.126.16", "13.580.126.16", "13.0", tuple(gpus))
