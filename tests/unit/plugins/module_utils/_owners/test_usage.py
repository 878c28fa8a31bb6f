# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who makes which GPU busy, for those who act on whole GPUs."""

from __future__ import annotations

import dataclasses

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    MigState,
    Placement,
    Process,
    Snapshot,
)
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Claim, Owner, Owners
from ansible_collections.accel.gpu.plugins.module_utils._owners.usage import busy

DEVICE = ComputeInstance(id=0, profile_id=0, profile="1g.10gb", placement=None, uuid="MIG-a")
INSTANCE = GpuInstance(1, 19, "1g.10gb", Placement(0, 1), (DEVICE,))
IDLE = Gpu(uuid="GPU-idle", index=0, name="NVIDIA A100", pci="0000:07:00.0", device_id="10de:20b2", minor=0)
SPLIT = dataclasses.replace(IDLE, uuid="GPU-split", index=1, minor=1, mig=MigState(True, True, instances=(INSTANCE,)))


def test_a_gpu_without_users_is_not_named():
    assert busy(Snapshot("580", gpus=(IDLE, SPLIT)), Owners()) == {}


def test_processes_have_a_process_and_allocations_have_none():
    working = dataclasses.replace(IDLE, processes=(Process(50, "compute", name="python"),))
    owners = Owners(allocations=(Allocation("kubelet pod a/train", "MIG-a"), Allocation("MPS daemon 7", "GPU-idle", 7)))
    assert busy(Snapshot("580", gpus=(working, SPLIT)), owners) == {
        "GPU-idle": (Claim("process", "50 (python)", True, 50), Claim("MPS daemon 7", "", True, 7)),
        "GPU-split": (Claim("kubelet pod a/train", "", False),),
    }


def test_an_owner_that_could_not_be_asked_makes_the_whole_node_busy():
    found = busy(Snapshot("580", gpus=(IDLE, SPLIT)), Owners(present=(Owner("Slurm", False, "scontrol hangs"),)))
    assert {uuid: [str(claim) for claim in claims] for uuid, claims in found.items()} == {
        "GPU-idle": ["Slurm (could not be asked: scontrol hangs)"],
        "GPU-split": ["Slurm (could not be asked: scontrol hangs)"],
    }


def test_a_gpu_whose_processes_are_not_listed_is_busy():
    hidden = dataclasses.replace(IDLE, processes_complete=False)
    found = busy(Snapshot("580", gpus=(hidden,)), Owners())
    assert found == {"GPU-idle": (Claim("processes", "that NVML refused to list", True),)}
