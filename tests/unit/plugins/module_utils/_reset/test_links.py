# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPUs can only be reset together, by architecture, links and fabric manager (manual of nvidia-smi)."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Gpu, GpuFailure, Snapshot
from ansible_collections.accel.gpu.plugins.module_utils._reset.links import coupled, needs_fabric_manager

SWITCHES = ("0000:c1:00.0", "0000:c2:00.0")


def gpu(number, architecture, *remotes, active=True):
    links = [{"link": n, "active": active, "remote_pci": remote} for n, remote in enumerate(remotes)]
    return Gpu(
        f"GPU-{number}", number, "x", f"0000:0{number}:00.0", "", architecture=architecture, health={"nvlinks": links}
    )


def pair(architecture, direct, active=True):
    ends = (["0000:01:00.0"], ["0000:00:00.0"]) if direct else (SWITCHES, SWITCHES)
    return [gpu(number, architecture, *ends[number], active=active) for number in (0, 1)]


@pytest.mark.parametrize(
    ("architecture", "direct", "fabric_manager", "together"),
    [
        ("volta", True, None, True),
        ("volta", False, True, True),
        ("turing", True, None, True),
        ("ampere", True, None, False),
        ("ampere", False, True, False),
        ("ampere", False, False, True),
        ("ampere", False, None, True),
        ("hopper", False, False, False),
        ("blackwell", False, False, False),
        (None, False, False, False),
    ],
)
def test_architecture_kind_of_link_and_fabric_manager_decide(architecture, direct, fabric_manager, together):
    gpus = pair(architecture, direct)
    found = coupled(Snapshot("580", gpus=tuple(gpus)), fabric_manager)
    assert found == ({one.uuid: tuple(gpus) for one in gpus} if together else {})


@pytest.mark.parametrize(
    ("gpus", "asked"),
    [
        (pair("ampere", direct=False), True),
        (pair("ampere", direct=True), False),
        (pair("hopper", direct=False), False),
        ([gpu(0, "ampere")], False),
    ],
)
def test_fabric_manager_is_asked_for_only_where_it_matters(gpus, asked):
    assert needs_fabric_manager(Snapshot("580", gpus=tuple(gpus))) is asked


def test_links_that_are_down_couple_nobody():
    assert coupled(Snapshot("580", gpus=tuple(pair("volta", direct=True, active=False))), None) == {}


def test_without_health_nothing_is_known_and_nothing_coupled():
    gpus = tuple(dataclasses.replace(one, health=None) for one in pair("volta", direct=True))
    assert coupled(Snapshot("580", gpus=gpus), None) == {}


def test_two_bridged_pairs_are_two_sets():
    first, second = pair("volta", direct=True)
    third, fourth = gpu(2, "volta", "0000:03:00.0"), gpu(3, "volta", "0000:02:00.0")
    found = coupled(Snapshot("580", gpus=(first, third, second, fourth)), None)
    assert {uuid: [one.index for one in members] for uuid, members in found.items()} == {
        "GPU-0": [0, 1],
        "GPU-1": [0, 1],
        "GPU-2": [2, 3],
        "GPU-3": [2, 3],
    }


def test_a_chain_is_one_set():
    gpus = (gpu(0, "volta", "0000:01:00.0"), gpu(1, "volta", "0000:02:00.0"), gpu(2, "volta", "0000:01:00.0"))
    assert {len(members) for members in coupled(Snapshot("580", gpus=gpus), None).values()} == {3}


def test_the_far_end_that_gives_no_answer_is_no_switch():
    lost = GpuFailure(1, "gpu_lost", "lost", pci="0000:01:00.0", uuid="GPU-1")
    snapshot = Snapshot("580", gpus=(gpu(0, "ampere", "0000:01:00.0"),), failures=(lost,))
    assert not needs_fabric_manager(snapshot)
    assert coupled(snapshot, None) == {}
