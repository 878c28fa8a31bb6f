# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resets on simulated nodes: what comes back, and what a stored wish makes of it."""

from __future__ import annotations

import functools
import json
import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import ApplyError, GpuHungError
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply as holders
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply_fabric
from ansible_collections.accel.gpu.plugins.module_utils._mig.decide import WISH_FILE
from ansible_collections.accel.gpu.plugins.module_utils._reset import apply as applying
from ansible_collections.accel.gpu.plugins.module_utils._settings import device_files, kept_devices
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, PERSISTENCED, off, on, one
from ansible_collections.accel.gpu.tests.component.mig.node import in_child
from ansible_collections.accel.gpu.tests.component.reset.calls import (
    FABRIC_MANAGER,
    PCI,
    SPLIT,
    good,
    kinds,
    label,
    made_of,
    power_limit,
    reset,
    resets,
    smi_resets,
    uuid,
)


@pytest.mark.parametrize("board", [A100, H100])
def test_geometry_and_settings_are_back_and_the_neighbour_is_left_alone(node, board):
    made = made_of(node, f"{board},{board}")
    made.make(SPLIT)
    made.sim.smi("-i", "1", "-pl", "250", check=True)
    worker = made.occupy(0, 4)
    layouts, uuids, count = made.layouts(), made.mig_uuids(), resets(made)
    done = good(made, {"index": 1})
    assert (done["changed"], done["gpus_reset"], done["reboot_required"]) == (True, [uuid(made, 1)], False)
    assert kinds(done) == ["reset_gpu", "reapply_settings", "note", "restore_layout"]
    assert (resets(made), made.layouts()) == ([count[0], count[1] + 1], layouts)
    assert power_limit(made, 1) == "250.00"
    assert done["settings_reapplied"] == [f"{uuid(made, 1)}: power limit is 250.0 again"]
    assert {key for key, value in made.mig_uuids().items() if value != uuids[key]} == {
        (1, 4, 0),
        (1, 1, 0),
    }
    assert [(row["profile"], row["placement"]) for row in done["uuid_map"]] == [("1g.10gb", "1:1"), ("3g.40gb", "4:4")]
    assert [entry[2] for entry in made.workers()] == [worker]


def opened_to_few(node):
    """An H100 that the driver would let everybody open, and somebody lets its owner alone."""
    made = made_of(node, H100)
    made.files.write(device_files.PARAMETERS, b"DeviceFileMode: 438\nModifyDeviceFiles: 1\n")
    made.files.write("/dev/nvidia0", b"", mode=0o600)
    made.files.write(f"{kept_devices.GPUS}/{PCI[0]}/information", b"Device Minor: \t 0\n")
    return made


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "silent"])
def test_who_may_open_a_gpu_comes_back(node, answers):
    made = opened_to_few(node)
    program = made._program

    def reset_as_nvidia_modprobe_sees_it(argv, *rest):
        done = program(argv, *rest)
        if "--gpu-reset" in argv:
            os.chmod(made.files.path("/dev/nvidia0"), 0o666)
        return done

    made._program = reset_as_nvidia_modprobe_sees_it
    if not answers:
        made.sim.control("set 0 requires_reset 1")
    done = good(made, {"pci": "0000:10:00.0"})
    assert made.files.mode("/dev/nvidia0") == 0o600
    has = f"owner {os.getuid()}, group {os.getgid()} and mode 0600"
    assert f"/dev/nvidia0 has {has} again" in done["settings_reapplied"]
    said = [line["object"] for line in done["actions"]]
    assert ("device files" in said) is not answers
    assert any("access to device files" in one for one in said) is answers
    assert not made.files.exists(kept_devices.PATH)


@pytest.mark.parametrize("fault", ["nvidia-smi fails", "nvidia-smi hangs"])
def test_so_it_does_where_the_reset_of_a_silent_gpu_fails(node, monkeypatch, fault):
    made = opened_to_few(node)
    made.sim.control("set 0 requires_reset 1")

    def fails(_ports, *_addresses):
        os.chmod(made.files.path("/dev/nvidia0"), 0o666)
        raise GpuHungError("hung") if fault == "nvidia-smi hangs" else ApplyError("refused")

    monkeypatch.setattr(holders, "reset", fails)
    assert reset(made, {"pci": "0000:10:00.0"})["failed"]
    assert made.files.mode("/dev/nvidia0") == 0o600
    assert not made.files.exists(kept_devices.PATH)


@pytest.mark.parametrize("dies", [True, False], ids=["a run that dies then", "NVML asked then"])
def test_so_it_does_where_the_wait_for_the_fabric_took_it(node, monkeypatch, dies):
    made = opened_to_few(node)
    real, wait = holders.reset, apply_fabric.wait

    def takes(function, *asked):
        os.chmod(made.files.path("/dev/nvidia0"), 0o666)
        return function(*asked)

    if dies:
        monkeypatch.setattr(holders, "reset", functools.partial(takes, real))
        monkeypatch.setattr(apply_fabric, "wait", lambda *_all: os._exit(9))
        assert in_child(functools.partial(reset, made, {"index": 0})) is None
    else:
        monkeypatch.setattr(apply_fabric, "wait", functools.partial(takes, wait))
        assert len(good(made, {"index": 0})["settings_reapplied"]) == 1
    assert made.files.mode("/dev/nvidia0") == 0o600
    assert not made.files.exists(kept_devices.PATH)


@pytest.mark.parametrize("asks", [False, True], ids=["before NVML is asked", "after"])
def test_so_it_does_where_two_runs_die_one_after_the_other(node, monkeypatch, asks):
    made = opened_to_few(node)
    real = applying._again

    def takes(*asked):
        os.chmod(made.files.path("/dev/nvidia0"), 0o666)
        return real(*asked)

    def dies(_ports, *_addresses):
        os.chmod(made.files.path("/dev/nvidia0"), 0o666)
        os._exit(9)

    with monkeypatch.context() as patched:
        patched.setattr(holders, "reset", dies)
        patched.setattr(applying, "_again", takes if asks else real)
        for _run in range(2):
            assert in_child(functools.partial(reset, made, {"index": 0})) is None
            assert made.files.mode("/dev/nvidia0") == 0o666
    good(made, {"index": 0})
    assert made.files.mode("/dev/nvidia0") == 0o600


def test_so_it_does_after_services_that_were_started_again(node):
    made = opened_to_few(node)
    made.services.add(PERSISTENCED, made.sim.occupy(0, kind="holder"), [0])
    services = made.services

    def starts_as_nvidia_modprobe_sees_it(argv):
        if argv[1] == "start":
            os.chmod(made.files.path("/dev/nvidia0"), 0o666)
        return services(argv)

    made.services = starts_as_nvidia_modprobe_sees_it
    good(made, {"index": 0})
    assert made.files.mode("/dev/nvidia0") == 0o600


def test_each_run_resets_again(node):
    made = made_of(node, H100)
    for _run in range(2):
        assert good(made, {"pci": "0000:10:00.0"})["changed"]
    assert resets(made) == [2]


def test_holders_are_stopped_and_started_and_fabric_manager_is_not(node):
    made = made_of(node, f"{A100},{A100}")
    for unit in (DCGM, PERSISTENCED):
        made.services.add(unit, made.sim.occupy(0, kind="holder"), [0, 1])
    done = good(made, {"index": 0})
    assert kinds(done)[:2] == ["stop_holder", "stop_holder"] and kinds(done)[-2:] == ["start_holder", "start_holder"]
    verbs = [words[1:] for words in made.commands if words[0] == "systemctl" and words[1] in ("stop", "start")]
    assert verbs == [("stop", DCGM), ("stop", PERSISTENCED), ("start", PERSISTENCED), ("start", DCGM)]
    assert made.services.active() == {FABRIC_MANAGER: True, DCGM: True, PERSISTENCED: True}


def good_deferred(node):
    done = reset(node, when_busy="defer")
    assert not done.get("failed") and not done["changed"], done
    return done


def test_coupled_gpus_are_reset_in_one_command_or_not_at_all(node):
    made = node(f"{A100},{A100}")
    made.make([{"gpus": {"index": 0}, "instances": {"3g.40gb": 1}}])
    made.sim.smi("-i", "1", "-pl", "300", check=True)
    old, count = made.layouts(), resets(made)
    alone = reset(made, {"index": 0})
    assert alone["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset by itself: NVLink couples it with {PCI[1]} ({uuid(made, 1)}); "
        "start nvidia-fabricmanager.service, with which it can be, or name all of them in gpus"
    )
    assert resets(made) == count
    done = good(made)
    assert smi_resets(made)[-1] == f"{PCI[0]},{PCI[1]}"
    assert (made.layouts(), resets(made)) == (old, [one + 1 for one in count])
    assert done["settings_reapplied"] == [f"{uuid(made, 1)}: power limit is 300.0 again"]
    made.sim.occupy(1)
    waits = good_deferred(made)
    assert sorted(waits["deferred"]) == sorted([uuid(made), uuid(made, 1)])


def test_the_stored_wish_decides_where_it_says_something_else(node):
    made = made_of(node, A100)
    made.make([on({"3g.40gb": 1})], persist=True)
    made.make(SPLIT)
    good(made)
    assert made.layouts()[0][2][0][0] == "3g.40gb" and len(made.layouts()[0][2]) == 1


@pytest.mark.parametrize("board", [A100, H100])
@pytest.mark.parametrize(("stands", "wish"), [([off()], SPLIT), (SPLIT, [off()])], ids=["on", "off"])
def test_the_mode_of_the_stored_wish_comes_with_one_reset(node, board, stands, wish):
    made = made_of(node, board)
    made.make(wish)
    wished = made.layouts()
    made.make(stands)
    made.files.write(WISH_FILE, json.dumps({"version": 1, "options": {"geometry": wish}}).encode())
    made.sim.smi("-i", "0", "-pl", "250", check=True)
    count = resets(made)[0]
    good(made)
    assert (made.layouts(), resets(made)) == (wished, [count + 1])
    assert power_limit(made, 0) == "250.00"


def test_a_layout_that_satisfies_the_stored_wish_keeps_its_places(node):
    made = made_of(node, H100)
    made.make([on([one("1g.10gb", 3), one("1g.10gb", 5)])])
    made.files.write(WISH_FILE, json.dumps({"version": 1, "options": {"geometry": [on({"1g.10gb": 2})]}}).encode())
    old = made.layouts()
    good(made)
    assert made.layouts() == old


def test_a_stored_wish_that_cannot_be_read_is_told(node):
    made = made_of(node, H100)
    made.make(SPLIT)
    made.files.write(WISH_FILE, b"{")
    old = made.layouts()
    done = good(made)
    assert done["actions"][0]["reason"].startswith(f"{WISH_FILE} cannot be used (")
    assert made.layouts() == old


def test_a_pending_mode_that_nobody_wishes_is_taken_back(node):
    made = made_of(node, A100)
    made.make([off()])
    made.sim.smi("-i", "0", "-mig", "1", check=True)
    assert made.layouts() == [(False, True, ())]
    good(made)
    assert made.layouts() == [(False, False, ())]


@pytest.mark.parametrize(
    ("action", "kind", "reboot"), [("gpu_reset", None, False), ("node_reboot", None, True)], ids=["reset", "reboot"]
)
def test_the_recovery_action(node, action, kind, reboot):
    made = made_of(node, H100)
    made.sim.control(f"set 0 recovery_action {({'gpu_reset': 1, 'node_reboot': 2})[action]}")
    result = good(made)
    assert f"its driver asks for {action}" in result["actions"][0]["reason"]
    assert (result.get("msg"), result["reboot_required"]) == (kind, reboot)


def test_nothing_is_meant(node):
    made = node(H100)
    done = good(made, {"model": "*A100*"})
    assert (done["changed"], resets(made)) == (False, [0])
