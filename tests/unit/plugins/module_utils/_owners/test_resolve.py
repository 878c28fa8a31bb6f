# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    MigState,
    Placement,
    Snapshot,
)
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owners
from ansible_collections.accel.gpu.plugins.module_utils._owners.resolve import resolve, unmatched


def instance(number, profile, start, *compute):
    return GpuInstance(
        id=number,
        profile_id=profile,
        profile="1g.10gb",
        placement=Placement(start, 1),
        compute_instances=tuple(
            ComputeInstance(id=index, profile_id=0, profile="1g.10gb", placement=None, uuid=uuid)
            for index, uuid in enumerate(compute)
        ),
    )


PLAIN = Gpu(uuid="GPU-plain", index=0, name="NVIDIA A100", pci="0000:07:00.0", device_id="10de:20b2", minor=1)
SPLIT = Gpu(
    uuid="GPU-split",
    index=1,
    name="NVIDIA A100",
    pci="0000:0f:00.0",
    device_id="10de:20b2",
    minor=0,
    mig=MigState(
        current=True,
        pending=True,
        instances=(instance(7, 19, 0, "MIG-a"), instance(9, 19, 2, "MIG-b", "MIG-c"), instance(3, 15, 4, "MIG-d")),
    ),
)
NODE = Snapshot(driver_version="580.126.16", gpus=(PLAIN, SPLIT))
WHOLE_SPLIT = {"GPU-split", "MIG-a", "MIG-b", "MIG-c", "MIG-d"}


@pytest.mark.parametrize(
    ("device", "uuids"),
    [
        ("GPU-plain", {"GPU-plain"}),
        ("GPU-split", WHOLE_SPLIT),
        ("MIG-b", {"MIG-b"}),
        ("MIG-gone", set()),
        ("minor:1", {"GPU-plain"}),
        ("minor:0", WHOLE_SPLIT),
        ("minor:8", set()),
        ("pci:0000:0F:00.0", WHOLE_SPLIT),
        ("cap:gpu0/gi9/ci1", {"MIG-c"}),
        ("cap:gpu0/gi9", {"MIG-b", "MIG-c"}),
        ("cap:gpu1/gi9/ci1", set()),
        ("place:gpu0/19/2", {"MIG-b", "MIG-c"}),
        ("place:gpu0/15/4", {"MIG-d"}),
        ("place:gpu0/15/0", set()),
        ("place:nonsense", {"GPU-plain"} | WHOLE_SPLIT),
        ("all", {"GPU-plain"} | WHOLE_SPLIT),
    ],
)
def test_devices_in_the_owners_words(device, uuids):
    found = resolve(Owners(allocations=(Allocation("somebody", device),)), NODE)
    assert set(found) == uuids
    assert all(claims == (Allocation("somebody", device),) for claims in found.values())


def test_two_owners_of_one_device_are_both_named():
    claims = (Allocation("pod a", "MIG-a"), Allocation("Slurm job 3", "GPU-split"))
    assert resolve(Owners(allocations=claims), NODE)["MIG-a"] == claims


def test_what_no_answering_gpu_has_may_be_on_one_without_an_answer():
    devices = ("GPU-plain", "GPU-gone", "MIG-a", "MIG-gone", "minor:0", "minor:7", "all")
    owners = Owners(allocations=tuple(Allocation("kubelet", device) for device in devices))
    assert [one.device for one in unmatched(owners, NODE)] == ["GPU-gone", "MIG-gone", "minor:7", "all"]
