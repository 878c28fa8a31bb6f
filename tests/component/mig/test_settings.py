# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings that a reset takes away are there again after a change of the mode (live_node rule 14)."""

from __future__ import annotations

import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import apply as holders
from ansible_collections.accel.gpu.plugins.module_utils._mig import resident
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import open_session
from ansible_collections.accel.gpu.plugins.module_utils._settings import device_files, kept, kept_devices
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, PERSISTENCED, off, on
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

ON, OFF = [on({"3g.40gb": 1})], [off()]


def settle(node, *commands):
    for command in commands:
        node.sim.smi("-i", "0", *command.split(), check=True)


def found(node):
    """(power limit in W, graphics and memory application clock, compute mode, persistence, accounting) of GPU 0."""
    asked = "power.limit,clocks.applications.graphics,clocks.applications.memory,compute_mode,persistence_mode"
    done = node.sim.smi("-i", "0", f"--query-gpu={asked},accounting.mode", "--format=csv,noheader,nounits", check=True)
    return tuple(done.stdout.strip().split(", "))


def switch_accounting(node):
    """The simulated nvidia-smi has no option for it."""
    with node.seen(), open_session(None, node.deadline) as session:
        session.restore_settings(node.sim.gpu(0)["uuid"], {"accounting_mode": True})


def run(node, geometry, fault=""):
    """(The module's result, the lines for a person.) With a fault from the beginning of `apply` on."""
    lines = []
    ports = node.ports()._replace(log=lines.append)
    with node.seen():
        try:
            wish = resident.parse({"geometry": geometry})
            plan = resident.plan(wish, resident.read(wish, ports))
            assert plan.refusal is None, plan.refusal
            if fault:
                node.sim.control(f"fault {fault}")
            outcome = resident.apply(plan, ports)
        finally:
            resident.release(ports)
    return {"actions": plan.actions, **outcome.result()}, lines


@pytest.fixture
def ampere(node):
    made = node(A100)
    made.make(OFF)
    return made


def test_settings_are_back_after_the_reset(ampere):
    settle(ampere, "-pl 250", "-ac 1593,1200")
    before = found(ampere)
    assert before[:3] == ("250.00", "1200", "1593")
    resets = ampere.sim.gpu(0)["resets"]
    result, lines = run(ampere, ON)
    assert ampere.sim.gpu(0)["resets"] == resets + 1
    assert (found(ampere), result["gpus"][0]["mig"]) == (before, True)
    uuid = ampere.sim.gpu(0)["uuid"]
    assert lines == [
        f"{uuid}: power limit is 250.0 again",
        f"{uuid}: application clocks is [1593, 1200] again",
    ]
    assert (result["settings_reapplied"], result["warnings"]) == (lines, [])
    assert not ampere.files.exists(kept.PATH)


def test_who_may_open_a_gpu_comes_back_and_the_files_of_instances_are_left_alone(ampere, monkeypatch):
    gpu, instance = "/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap21"
    ampere.files.write(device_files.PARAMETERS, b"DeviceFileMode: 438\nModifyDeviceFiles: 1\n")
    ampere.files.write(f"{kept_devices.GPUS}/0000:10:00.0/information", b"Device Minor: \t 0\n")
    for path in (gpu, instance):
        ampere.files.write(path, b"", mode=0o600)
    reset = holders.reset

    def reset_before_nvidia_modprobe_runs(*asked):
        reset(*asked)
        for path in (gpu, instance):
            os.chmod(ampere.files.path(path), 0o666)

    monkeypatch.setattr(holders, "reset", reset_before_nvidia_modprobe_runs)
    result, lines = run(ampere, ON)
    assert (ampere.files.mode(gpu), ampere.files.mode(instance)) == (0o600, 0o666)
    assert lines == [f"{gpu} has owner {os.getuid()}, group {os.getgid()} and mode 0600 again"]
    assert result["settings_reapplied"] == lines
    assert not ampere.files.exists(kept_devices.PATH)


def test_check_mode_tells_what_the_reset_does_to_settings(ampere):
    settle(ampere, "-pl 250")
    told = ampere.apply({"geometry": ON}, check=True)["actions"]
    names = [action["action"] for action in told]
    at = names.index("reset_gpu")
    assert names[at : at + 3] == ["reset_gpu", "reapply_settings", "note"]
    assert "power limit, compute mode, application clocks" in told[at + 1]["object"]
    assert told[at + 1]["object"].endswith(", access to device files")
    assert told[at + 2]["object"] == "locked clocks"
    assert ampere.make(ON)["actions"] == told


def test_a_gpu_without_a_reset_tells_nothing_of_settings(node):
    made = node(H100)
    settle(made, "-pl 500")
    names = [action["action"] for action in made.make(ON)["actions"]]
    assert "reapply_settings" not in names
    assert found(made)[0] == "500.00"


def test_what_mig_mode_refuses_is_told_and_comes_back_with_mig_off(ampere):
    settle(ampere, "-c EXCLUSIVE_PROCESS", "-pl 300")
    switch_accounting(ampere)
    before = found(ampere)
    result, lines = run(ampere, ON)
    uuid = ampere.sim.gpu(0)["uuid"]
    assert lines == [
        f"{uuid}: power limit is 300.0 again",
        f"{uuid}: compute mode was exclusive_process before and the GPU refuses it now (NOT_SUPPORTED); "
        "it is set again when MIG is off",
        f"{uuid}: accounting mode was True before and the GPU refuses it now (NOT_SUPPORTED); "
        "it is set again when MIG is off",
    ]
    assert (result["settings_reapplied"], result["warnings"]) == (lines[:1], lines[1:])
    assert found(ampere)[0] == "300.00"
    assert "Exclusive_Process" not in found(ampere)
    run(ampere, OFF)
    assert found(ampere) == before
    assert not ampere.files.exists(kept.PATH)


def test_what_waits_for_mig_off_is_void_after_a_reboot(ampere):
    settle(ampere, "-c EXCLUSIVE_PROCESS")
    run(ampere, ON)
    ampere.sim.control("reboot")
    ampere.boot("99999999-2222-3333-4444-555555555555")
    run(ampere, OFF)
    assert found(ampere)[3] == "Default"


def test_a_limit_that_is_refused_once_is_set_all_the_same(ampere):
    settle(ampere, "-pl 250")
    _result, lines = run(ampere, ON, "nvmlDeviceSetPowerManagementLimit nth=1 code=NVML_ERROR_UNKNOWN")
    assert (found(ampere)[0], lines) == ("250.00", [f"{ampere.sim.gpu(0)['uuid']}: power limit is 250.0 again"])
    assert not ampere.files.exists(kept.PATH)


def test_a_refused_limit_does_not_fail_the_change(ampere):
    settle(ampere, "-pl 250")
    fault = "nvmlDeviceSetPowerManagementLimit nth=1 times=2 code=NVML_ERROR_UNKNOWN"
    result, lines = run(ampere, ON, fault)
    assert result["gpus"][0]["mig"] is True
    uuid = ampere.sim.gpu(0)["uuid"]
    assert lines == [f"{uuid}: power limit was 250.0 before and the GPU refuses it now (UNKNOWN)"]
    # It is owed until the next change of the GPU has set it.
    assert kept.unset(ampere.files) == [f"{uuid}: power limit was 250.0 before and is not set again"]
    # Before the reset of that change, and after it.
    assert run(ampere, OFF)[1] == [f"{uuid}: power limit is 250.0 again"] * 2
    assert not ampere.files.exists(kept.PATH)


def test_a_session_that_dies_while_it_sets_is_opened_again(ampere):
    settle(ampere, "-pl 250")
    run(ampere, OFF + [on({}, {"index": 0})], "nvmlDeviceSetPowerManagementLimit nth=1 kill")
    assert found(ampere)[0] == "250.00"


def test_settings_that_cannot_be_read_stop_the_change_before_it_begins(ampere):
    settle(ampere, "-pl 250")
    before = ampere.layouts()
    ampere.sim.control("fault nvmlDeviceGetPowerManagementLimit nth=1 code=NVML_ERROR_UNKNOWN")
    failed = ampere.apply({"geometry": ON})
    assert "nvmlDeviceGetPowerManagementLimit" in failed["msg"]
    assert failed["msg"].endswith("nothing was changed")
    assert (ampere.layouts(), ampere.sim.gpu(0)["mig"]["pending"], found(ampere)[0]) == (before, False, "250.00")


def test_the_way_back_brings_the_settings_too(ampere):
    """Two resets: the one for MIG, and the one back, before which MIG mode has refused the compute mode."""
    settle(ampere, "-c EXCLUSIVE_PROCESS", "-pl 250")
    before, resets = found(ampere), ampere.sim.gpu(0)["resets"]
    ampere.sim.control("fault nvmlDeviceCreateGpuInstanceWithPlacement nth=1 code=NVML_ERROR_UNKNOWN")
    failed = ampere.apply({"geometry": ON})
    assert (failed["failed"], failed["error"]["restored"]) == (True, True)
    assert ampere.sim.gpu(0)["resets"] == resets + 2
    assert found(ampere) == before
    assert not ampere.files.exists(kept.PATH)


def test_a_driver_that_resets_by_itself(node):
    made = node(A100, ampere_toggle="immediate")
    made.make(OFF)
    settle(made, "-pl 250")
    made.make(ON)
    assert found(made)[0] == "250.00"


def test_persistence_is_left_to_its_daemon(ampere):
    settle(ampere, "-pm 1")
    ampere.services.add(PERSISTENCED, ampere.sim.occupy(0, kind="holder"), [0])
    ampere.services.add(DCGM, ampere.sim.occupy(0, kind="holder"), [0])
    ampere.sim.control("resetcounts")
    ampere.make(ON)
    assert "nvmlDeviceSetPersistenceMode" not in {name for name, number in ampere.sim.counts().items() if number}
    assert ampere.services.active() == {PERSISTENCED: True, DCGM: True}


@pytest.mark.parametrize("wish", [ON, OFF], ids=["on", "off"])
def test_a_run_that_dies_after_the_reset_is_finished_by_the_next(node, wish):
    """Also where the geometry is as wished already, and nothing else is left to do."""
    made = node(A100)
    made.make(OFF if wish == ON else ON)
    settle(made, "-pl 250", "-ac 1593,1200")
    before = found(made)
    died = in_child(lambda: run(made, wish, "nvmlDeviceSetPowerManagementLimit nth=1 killgroup"))
    made.sim.control("clearfaults")
    assert died is None
    assert found(made) != before
    assert made.has_journal
    again = made.make(wish)
    assert again["changed"] is True
    assert found(made) == before
    assert not made.has_journal
    assert not made.files.exists(kept.PATH)
