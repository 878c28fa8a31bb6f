# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gpu_info tells of a node: options, comparison with the declaration, shape of the answer, foreign trees."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import MissingGpuError, WishError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._info import core, probe
from ansible_collections.accel.gpu.plugins.module_utils._info.objects import SUBSETS, Driver, Owner, PciGpu, State
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure, Process
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owners
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Owner as NodeOwner
from ansible_collections.accel.gpu.tests.unit.plugins.documentation import returned
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils.boards import gpu as board
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils.boards import node as snapshot

TODAY = datetime.date(2026, 11, 22)
LOADED = Driver("loaded", "580.126.16", "580.126.16", "13.0", "580.126.16")


def params(**given):
    return {"subsets": list(SUBSETS), "gpus": "all", "expected": None, "exceptions": [], **given}


def state(*gpus, failures=(), **more):
    return State(LOADED, TODAY, snapshot=dataclasses.replace(snapshot(*gpus), failures=tuple(failures)), **more)


def answered(wish, seen):
    result = {}
    core.answer(wish, seen, result)
    return result


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gpus": "GPU-1"}, "gpus: "),
        ({"gpus": {"uuid": "GPU-1", "index": 0}}, "give exactly one of uuid, pci, index, model, device_id"),
        ({"gpus": {"mig": {"profile": "1g.10gb"}}}, "gpus"),
        ({"expected": {"model": "*A100*"}}, "expected: count is missing"),
        ({"expected": {"count": -1}}, "expected.count"),
        (
            {"exceptions": [{"gpu": "GPU-1", "state": "missing", "reason": "RMA", "until": "soon"}]},
            'exceptions[0].until: "soon" is not a date',
        ),
    ],
)
def test_wrong_options_are_named(given, words):
    with pytest.raises(WishError) as caught:
        core.parse(params(**given))
    assert words in caught.value.message


def test_identity_is_always_read():
    assert core.parse(params(subsets=["health"])).subsets == ("identity", "health")


def test_the_keys_of_the_answer_are_those_of_the_documentation():
    documented = returned("gpu_info")
    wish = core.parse(params(expected={"count": 1}))
    result = answered(wish, state(board("a100-80gb"), owners=Owners()))
    del result["warnings"]
    assert set(result) == set(documented)
    assert set(result["driver"]) == set(documented["driver"]["contains"])
    assert set(result["gpus"][0]) == set(documented["gpus"]["contains"])
    assert set(result["gpus"][0]["mig"]) == set(documented["gpus"]["contains"]["mig"]["sample"])
    assert set(result["expected"]) == set(documented["expected"]["sample"])


@pytest.mark.parametrize("subset", [name for name in SUBSETS if name != "identity"])
def test_a_subset_adds_its_keys_and_nothing_else(subset):
    lean = answered(core.parse(params(subsets=["identity"])), state(board("a100-80gb")))["gpus"][0]
    rich = answered(core.parse(params(subsets=[subset])), state(board("a100-80gb")))["gpus"][0]
    added = set(rich) - set(lean)
    assert added == ({subset, "processes_complete"} if subset == "processes" else {subset})
    assert set(lean) < set(rich)


def test_a_process_is_told_with_user_command_and_mig_device():
    gpu = board("a100-80gb", instances=[("3g.40gb", 4)])
    instance = gpu.mig.instances[0]
    compute = instance.compute_instances[0]
    process = Process(42, "compute", "python3", 512, instance.id, compute.id)
    gpu = dataclasses.replace(gpu, processes=(process, Process(7, "graphics")))
    seen = state(gpu, process_owners={42: Owner("ada", "python3 train.py")})
    told = answered(core.parse(params()), seen)["gpus"][0]["processes"]
    assert told == [
        {
            "pid": 42,
            "kind": "compute",
            "name": "python3",
            "user": "ada",
            "command": "python3 train.py",
            "memory_mib": 512,
            "mig_uuid": compute.uuid,
        },
        {
            "pid": 7,
            "kind": "graphics",
            "name": None,
            "user": None,
            "command": None,
            "memory_mib": None,
            "mig_uuid": None,
        },
    ]


def test_allocations_stand_at_their_device_once():
    gpu = board("a100-80gb", instances=[("3g.40gb", 4)])
    mig_uuid = str(gpu.mig.instances[0].compute_instances[0].uuid)
    whole, part = Allocation("job 7", gpu.uuid), Allocation("pod a/b", mig_uuid, 42)
    seen = state(
        gpu,
        owners=Owners((NodeOwner("slurm"), NodeOwner("kubelet", False, "socket refused"))),
        allocations={gpu.uuid: (whole,), mig_uuid: (whole, part)},
        process_owners={42: Owner("ada", "python3")},
    )
    result = answered(core.parse(params()), seen)
    assert [(told["owner"], told["device"], told["user"]) for told in result["gpus"][0]["allocations"]] == [
        ("job 7", gpu.uuid, None),
        ("pod a/b", mig_uuid, "ada"),
    ]
    assert result["owners"][1] == {"name": "kubelet", "asked": False, "why": "socket refused"}


def test_a_node_without_driver_is_an_answer():
    seen = State(Driver("missing", message="install it"), TODAY, owners=Owners())
    result = answered(core.parse(params(gpus={"index": 3})), seen)
    assert result["driver"]["state"] == "missing"
    assert result["driver"]["message"] == "install it"
    assert result["gpus"] == [] and result["mig_layout"] is None


def test_a_chosen_gpu_that_is_dead_is_an_answer_and_one_that_is_not_there_an_error():
    failure = GpuFailure(1, "gpu_lost", "fell off the bus", pci="0000:af:00.0")
    seen = state(board("a100-80gb", index=0), failures=[failure])
    result = answered(core.parse(params(gpus={"pci": "af:00.0"}, subsets=["mig"])), seen)
    assert result["gpus"] == []
    assert result["failures"][0]["message"] == "fell off the bus"
    with pytest.raises(WishError, match="matches no GPU of this node"):
        answered(core.parse(params(gpus={"pci": "b0:00.0"}, subsets=["mig"])), seen)


FAULT = {"gpu": "GPU-dead", "state": "missing", "reason": "RMA 4711", "until": "2026-12-15"}


def compared(seen, **given):
    wish = core.parse(params(**given))
    result = {}
    try:
        core.answer(wish, seen, result)
    except MissingGpuError as error:
        return result, error.message
    return result, None


def test_what_is_declared_is_there():
    result, message = compared(state(board("a100-80gb", index=0)), expected={"count": 1, "model": "*A100*"})
    assert message is None
    assert result["expected"]["met"] is True
    assert result["warnings"] == []


def test_a_missing_gpu_fails_and_the_message_says_what_is_known_of_it():
    seen = state(
        board("a100-80gb", index=0),
        failures=[GpuFailure(1, "gpu_lost", "GPU index 1 fell off the bus")],
        pci_gpus=(PciGpu("0000:c1:00.0", "10de:20b2", "vfio-pci"), PciGpu("0000:c2:00.0", "10de:20b2", None)),
    )
    result, message = compared(seen, expected={"count": 4})
    assert "4 GPUs are declared, 1 answer" in message
    assert "GPU index 1 fell off the bus" in message
    assert "GPU 0000:c1:00.0 (10de:20b2) is in the PCI tree, bound to vfio-pci" in message
    assert "GPU 0000:c2:00.0 (10de:20b2) is in the PCI tree, without a driver" in message
    assert result["expected"]["met"] is False
    assert len(result["gpus"]) == 1


def test_without_driver_the_driver_s_message_is_the_reason():
    seen = State(Driver("not_loaded", message="modprobe nvidia"), TODAY, owners=Owners())
    _result, message = compared(seen, expected={"count": 2})
    assert "no answer: modprobe nvidia" in message


def test_an_exception_excuses_a_gpu():
    result, message = compared(state(board("a100-80gb", index=0)), expected={"count": 2}, exceptions=[FAULT])
    assert message is None
    assert result["expected"]["exceptions"] == [{**FAULT, "applies": True}]
    assert result["warnings"] == []


def test_an_expired_exception_still_excuses_but_warns():
    old = {**FAULT, "until": "2026-11-21"}
    result, message = compared(state(board("a100-80gb", index=0)), expected={"count": 2}, exceptions=[old])
    assert message is None
    assert result["warnings"] == [
        "exceptions[0]: the exception for GPU-dead (RMA 4711) expired on 2026-11-21; repair the GPU or extend it"
    ]


def test_an_exception_lasts_through_its_last_day():
    last = {**FAULT, "until": TODAY.isoformat()}
    result, _message = compared(state(board("a100-80gb", index=0)), expected={"count": 2}, exceptions=[last])
    assert result["warnings"] == []


def test_an_exception_for_a_gpu_that_is_back_does_not_apply():
    gpu = board("a100-80gb", index=0)
    back = {**FAULT, "gpu": gpu.uuid[:12]}
    result, message = compared(state(gpu), expected={"count": 2}, exceptions=[back])
    assert result["expected"]["exceptions"][0]["applies"] is False
    assert "1 missing" in message


@pytest.mark.parametrize(("active", "warns"), [(12, False), (11, True)])
def test_fewer_nvlinks_than_declared_warn(active, warns):
    links = [{"link": number, "active": number < active} for number in range(12)]
    gpu = dataclasses.replace(board("a100-80gb", index=0), health={"nvlinks": links})
    result, message = compared(state(gpu), expected={"count": 1, "nvlinks": 12})
    assert message is None
    assert bool(result["warnings"]) is warns
    assert not warns or f"12 are declared, GPU {gpu.pci}" in result["warnings"][0]


def tree(root: pathlib.Path, pci: str, **files: str) -> pathlib.Path:
    """A PCI device. Constructed after Documentation/ABI/testing/sysfs-bus-pci of the kernel."""
    device = root / "sys/bus/pci/devices" / pci
    device.mkdir(parents=True)
    for name, text in {"vendor": "0x10de", "device": "0x20b2", "class": "0x030200", **files}.items():
        (device / name).write_text(text + "\n")
    return device


def test_the_pci_tree_shows_gpus_with_and_without_driver(tmp_path):
    (tmp_path / "sys/bus/pci/drivers/nvidia").mkdir(parents=True)
    os.symlink("../../drivers/nvidia", tree(tmp_path, "0000:3b:00.0") / "driver")
    tree(tmp_path, "0000:af:00.0", device="0x2330")
    tree(tmp_path, "0000:b0:00.0", vendor="0x8086")
    tree(tmp_path, "0000:b1:00.0", **{"class": "0x068000"})
    assert probe.pci_gpus(Files(str(tmp_path))) == (
        PciGpu("0000:3b:00.0", "10de:20b2", "nvidia"),
        PciGpu("0000:af:00.0", "10de:2330", None),
    )
    assert probe.pci_gpus(Files(str(tmp_path / "nowhere"))) == ()


def test_a_process_has_its_user_and_command(tmp_path):
    folder = tmp_path / "proc/42"
    folder.mkdir(parents=True)
    (folder / "cmdline").write_text("python3\0train.py\0")
    owners = probe.process_owners(Files(str(tmp_path)), [42, 43])
    assert set(owners) == {42}
    assert owners[42].command == "python3 train.py"
    assert owners[42].user
