# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the NVML port reads of every simulated board."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import MIG_SUBSETS, SUBSETS, open_session
from ansible_collections.accel.gpu.tests.unit.plugins.documentation import returned
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

BOARDS = tuple(boards.rows())
MIG_BOARDS = tuple(key for key in BOARDS if boards.profiles(key))


@pytest.mark.parametrize("key", BOARDS)
def test_a_board_is_read_as_it_is(key, node, session):
    node(key)
    (gpu,) = session.snapshot(SUBSETS).gpus
    row = boards.rows()[key]
    assert gpu.name == row["name"]
    assert gpu.device_id == f"10de:{row['identity']['device_id']}"
    assert gpu.architecture == row["identity"]["architecture"]
    assert gpu.memory_mib == row["memory"]["total_mib"]
    assert gpu.virtualization == "none"
    assert gpu.processes == () and gpu.processes_complete
    assert gpu.failures == ()


@pytest.mark.parametrize("key", BOARDS)
def test_settings_and_health_have_the_documented_keys(key, node, session):
    """The same keys on every board; None where a board does not have it."""
    node(key)
    (gpu,) = session.snapshot(("settings", "health")).gpus
    documented = returned("gpu_info")["gpus"]["contains"]
    assert set(gpu.settings) == set(documented["settings"]["sample"])
    assert set(gpu.health) == set(documented["health"]["contains"])
    for part, sample in documented["settings"]["sample"].items():
        assert not isinstance(sample, dict) or set(gpu.settings[part]) == set(sample)
    assert set(gpu.health["temperature"]) == set(documented["health"]["sample"]["temperature"])
    limits = gpu.settings["power_limit"]
    assert limits["min"] <= limits["current"] <= limits["max"]
    assert limits["min"] <= limits["default"] <= limits["max"]
    assert gpu.health["temperature"]["gpu"] > 0
    assert gpu.health["recovery_action"] == "none"
    json.dumps([gpu.settings, gpu.health])


@pytest.mark.parametrize("key", MIG_BOARDS)
def test_all_profiles_with_their_placements(key, node, session):
    node(key)
    (gpu,) = session.snapshot().gpus
    assert gpu.mig.capable
    read = {profile.name: dataclasses.replace(profile, enum=0) for profile in gpu.mig.profiles}
    assert read == {profile.name: dataclasses.replace(profile, enum=0) for profile in boards.profiles(key)}


@pytest.mark.parametrize("key", ["t4", "l40s"])
def test_a_board_without_mig(key, node, session):
    node(key)
    (gpu,) = session.snapshot().gpus
    assert not gpu.mig.capable
    assert (gpu.mig.current, gpu.mig.pending, gpu.mig.profiles) == (None, None, ())


def test_a_subset_that_is_not_asked_for_is_not_read(node, session):
    node("a100-80gb")
    (gpu,) = session.snapshot(("identity",)).gpus
    assert gpu.settings is None and gpu.health is None
    assert not [name for name in session.calls if "Mig" in name or "Process" in name or "Power" in name]


def test_sixteen_mixed_gpus(node, session):
    sim = node(",".join((BOARDS * 2)[:16]))
    snapshot = session.snapshot(SUBSETS)
    assert [gpu.index for gpu in snapshot.gpus] == list(range(16))
    assert [gpu.uuid for gpu in snapshot.gpus] == [gpu["uuid"] for gpu in sim.show()["gpus"]]
    assert snapshot.driver_version == "580.126.16"
    assert snapshot.cuda_version == "13.0"
    assert snapshot.by_uuid(snapshot.gpus[7].uuid) is snapshot.gpus[7]
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot


def test_a_driver_without_gpu_is_an_answer(node, session):
    node("none")
    snapshot = session.snapshot(SUBSETS)
    assert snapshot.driver_version == "580.126.16"
    assert snapshot.gpus == () and snapshot.failures == ()


def test_a_snapshot_writes_nothing_and_counts_true(node, session):
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.smi("-i", "1", "-mig", "1", check=True)
    sim.control("resetcounts")
    session.snapshot(MIG_SUBSETS)
    counted = sim.counts()
    assert session.write_calls == {}
    assert session.snapshots == 1
    assert session.calls["nvmlDeviceGetMigMode"] == 2 == counted["nvmlDeviceGetMigMode"]
    assert not [name for name in counted if "Set" in name or "Create" in name or "Destroy" in name]


def test_processes_stand_at_gpu_and_instance(node, session):
    sim = node("h100-80gb-sxm5,a100-80gb")
    sim.smi("-i", "0", "-mig", "1", check=True)
    sim.smi("mig", "-i", "0", "-cgi", "9", "-C", check=True)
    placed = session.snapshot().gpus[0].mig.instances[0]
    inside = sim.occupy(0, gi=placed.id, ci=placed.compute_instances[0].id, mem=512)
    outside = sim.occupy(1, kind="graphics", mem=64)
    first, second = session.snapshot().gpus
    (compute,) = first.mig.instances[0].compute_instances
    assert [(process.pid, process.kind, process.memory_mib) for process in compute.processes] == [
        (inside, "compute", 512)
    ]
    assert first.processes == compute.processes
    assert [(process.pid, process.kind, process.gpu_instance_id) for process in second.processes] == [
        (outside, "graphics", None)
    ]


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("temperature 71", ("temperature", "gpu"), 71),
        ("recovery_action 1", ("recovery_action",), "gpu_reset"),
        ("throttle 0x48", ("throttle", "active"), ["hw_slowdown", "hw_thermal_slowdown"]),
    ],
)
def test_readings_are_decoded(setting, path, value, node, session):
    sim = node("h100-80gb-sxm5")
    sim.control(f"set 0 {setting}")
    found = session.snapshot(("health",)).gpus[0].health
    for key in path:
        found = found[key]
    assert found == value


def test_a_link_that_is_down_is_seen(node, session):
    sim = node("h100-80gb-sxm5")
    sim.control("set 0 nvlink.3.state 0")
    links = session.snapshot(("health",)).gpus[0].health["nvlinks"]
    assert len(links) == 18
    assert [link["link"] for link in links if not link["active"]] == [3]


def test_numa_node_comes_from_the_tree(node, tmp_path):
    node("a100-80gb")
    with open_session(deadline=20) as plain:
        pci = plain.snapshot().gpus[0].pci
    device = tmp_path / "root/sys/bus/pci/devices" / pci
    os.makedirs(device)
    (device / "numa_node").write_text("1\n")
    with open_session(deadline=20, root=str(tmp_path / "root")) as rooted:
        assert rooted.snapshot().gpus[0].numa_node == 1
