# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens when the node changes under the run's hands: whole messages, the old layout, the same processes."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply as holders
from ansible_collections.accel.gpu.plugins.module_utils._mig import execute, resident
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, PERSISTENCED, off, on, one


def between(node, params, act):
    """Reads and plans, lets `act` change the node, then applies; the error and its GPU label."""
    ports = node.ports()
    with node.seen():
        wish = resident.parse(params)
        plan = resident.plan(wish, resident.read(wish, ports))
        assert plan.refusal is None, plan.refusal
        act()
        try:
            resident.apply(plan, ports)
        except AccelError as error:
            return error
        finally:
            resident.release(ports)
    raise AssertionError("the run succeeded")


def named(node, index=0):
    gpu = node.sim.gpu(index)
    return f"{gpu['uuid']} ({gpu['name']})"


def test_an_instance_that_came_into_use(node):
    made = node(H100)
    made.make([on({"1g.10gb": 7})])
    old = made.layouts()
    started = []
    error = between(made, {"geometry": [on({"3g.40gb": 2})]}, lambda: started.append(made.occupy(0, 3)))
    assert (error.kind, error.facts["restored"], error.facts["step"]) == (
        "busy",
        True,
        "destroying compute instance 0 in the GPU instance at 3:1",
    )
    assert error.message == (
        f"{named(made)}: destroying compute instance 0 in the GPU instance at 3:1 failed: it came into use after it "
        "was looked at (nvmlComputeInstanceDestroy on GPU 0000:10:00.0 failed: "
        "IN_USE (the object is in use)); drain it and run again; the old layout is back, with new MIG UUIDs "
        "(see uuid_map)"
    )
    assert made.layouts() == old
    assert [worker[2] for worker in made.workers()] == started
    assert [row["placement"] for row in error.facts["uuid_map"]] == ["0:1", "1:1", "2:1"]
    assert not made.has_journal


def test_an_instance_that_somebody_else_removed(node):
    made = node(H100)
    made.make([on({"1g.10gb": 2})])
    old = made.layouts()

    def act():
        gi = made.sim.gpu(0)["instances"][0]["id"]
        assert made.sim.smi("mig", "-dci", "-gi", str(gi)).returncode == 0
        assert made.sim.smi("mig", "-dgi", "-gi", str(gi)).returncode == 0

    error = between(made, {"geometry": [on({})]}, act)
    assert (error.kind, error.facts["cause"]) == ("busy", "busy")
    assert "somebody else removed it meanwhile" in error.message
    assert made.layouts() == old


@pytest.mark.parametrize("wish", [[on({"1g.10gb": 1})], [off()]], ids=["on", "off"])
def test_a_reset_that_fails_leaves_nothing_pending(node, wish):
    made = node(A100)
    made.make([off()] if wish != [off()] else [on({"3g.40gb": 1})])
    made.services.add(PERSISTENCED, made.sim.occupy(0, kind="holder"), [0])
    old = made.layouts()
    error = between(made, {"geometry": wish}, lambda: made.sim.occupy(0, kind="holder"))
    assert (error.kind, error.facts["restored"]) == ("busy", True)
    assert "another client uses this GPU (activation status IN_USE)" in error.message
    assert made.layouts() == old
    assert made.services.active() == {PERSISTENCED: True}


def test_a_reset_that_fails_by_itself(node, monkeypatch):
    made = node(A100)
    made.make([on({"3g.40gb": 1})])
    old = made.layouts()
    made._program = lambda argv, timeout=None, stdin=None: (15, "", "Resetting GPU is not supported.\n")
    error = between(made, {"geometry": [off()]}, lambda: None)
    assert error.message == (
        f"{named(made)}: resetting the GPU failed: nvidia-smi --gpu-reset -i 0000:10:00.0 ended with 15: Resetting GPU "
        "is not supported.; the old layout is back, with new MIG UUIDs (see uuid_map)"
    )
    assert made.layouts() == old


def test_a_reset_that_does_not_end(node, monkeypatch):
    made = node(A100)
    monkeypatch.setattr(holders, "RESET_SECONDS", 0.3)
    program = made._program
    made._program = lambda argv, timeout=None, stdin=None: program(["sleep", "60"], timeout, stdin)
    error = between(made, {"geometry": [on({"1g.10gb": 1})]}, lambda: None)
    assert (error.kind, error.facts["restored"]) == ("gpu_hung", True)
    assert error.message == (
        f"{named(made)}: resetting the GPU failed: nvidia-smi --gpu-reset -i 0000:10:00.0 did not end within 0.3 s; "
        "drain the node and reboot it; the old layout is back"
    )
    assert made.layouts() == [(False, False, ())]


def test_a_client_that_appears_on_hopper(node):
    made = node(H100)
    error = between(made, {"geometry": [on({"1g.10gb": 1})]}, lambda: made.sim.occupy(0, kind="holder"))
    assert (error.kind, made.layouts()) == ("busy", [(False, False, ())])


def test_a_service_that_cannot_be_stopped(node):
    made = node(A100)
    for unit in (DCGM, PERSISTENCED):
        made.services.add(unit, made.sim.occupy(0, kind="holder"), [0])
    made.services.make_stubborn(PERSISTENCED)
    result = made.apply({"geometry": [on({"1g.10gb": 1})]})
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, False, "blocked")
    assert result["msg"].startswith(
        f"stopping {PERSISTENCED} failed: {PERSISTENCED} holds the GPU and could not be stopped (Job for "
        f"{PERSISTENCED} failed.); stop it by hand; the old layout is back"
    )
    assert made.services.active() == {DCGM: True, PERSISTENCED: True}
    assert made.layouts() == [(False, False, ())]


def test_a_service_that_does_not_start_again(node):
    made = node(A100)
    made.services.add(PERSISTENCED, made.sim.occupy(0, kind="holder"), [0])
    run = made._run

    def stubborn(argv, timeout=None, stdin=None):
        done = run(argv, timeout, stdin)
        if argv[:2] == ["systemctl", "stop"]:
            made.services.make_stubborn(PERSISTENCED)
        return done

    made._run = stubborn
    made.sim.smi("-i", "0", "-pl", "250", check=True)
    made.sim.control("fault nvmlDeviceSetPowerManagementLimit nth=1 times=2 code=NVML_ERROR_UNKNOWN")
    result = made.apply({"geometry": [on({"1g.10gb": 1})]})
    assert (result["failed"], result["changed"]) == (True, True)
    # What is not there again beside it would be told by nothing else.
    assert result["msg"] == (
        f"{PERSISTENCED} was stopped for this change and did not start again (Job for {PERSISTENCED} failed.); the "
        "geometry is as wished; see journalctl -u for the unit and start it; "
        f"{made.sim.gpu(0)['uuid']}: power limit was 250.0 before and the GPU refuses it now (UNKNOWN)"
    )
    assert len(made.layouts()[0][2]) == 1
    # It is owed until it runs: the next run tries again.
    assert made.apply({"geometry": [on({"1g.10gb": 1})]})["failed"]
    made.services.make_stubborn(PERSISTENCED, False)
    assert made.make([on({"1g.10gb": 1})])["changed"]
    assert (made.services.active(), made.has_journal) == ({PERSISTENCED: True}, False)
    assert not made.make([on({"1g.10gb": 1})])["changed"]


def test_a_kernel_module_that_blocks_the_reset_is_seen_before_anything_is_touched(node):
    made = node(f"{A100},{H100}")
    made.files.write("/sys/module/nvidia_drm/parameters/modeset", b"Y\n")
    result = made.apply({"geometry": [on({"1g.10gb": 1}, {"index": 0})]})
    assert result["error"]["kind"] == "blocked"
    assert "it is held open by kernel module nvidia_drm (modeset=Y), which is not known to be safe" in result["msg"]
    assert made.layouts()[0] == (False, False, ())
    made.make([on({"1g.10gb": 1}, {"index": 1})])  # Hopper needs no reset


def test_what_cannot_be_restored_is_named_and_tried_again(node):
    made = node(H100)
    made.make([on([one("3g.40gb", 4), one("1g.10gb", 0)])])
    wish = [on({"2g.20gb": 3})]
    made.sim.control("fault nvmlDeviceCreateGpuInstanceWithPlacement nth=2 code=NVML_ERROR_UNKNOWN times=1000")
    result = made.apply({"geometry": wish})
    assert (result["failed"], result["changed"], result["error"]["restored"]) == (True, True, False)
    text = result["msg"]
    assert "NOT restored: " + made.sim.gpu(0)["uuid"] + " lacks " in text
    assert " lacks 1g.10gb at 0:1, 3g.40gb at 4:4 (creating GPU instance 1g.10gb at 0:1: " in text and text.endswith(
        "the next run in this boot tries again"
    )
    assert made.has_journal
    made.sim.control("clearfaults")
    again = made.apply({"geometry": wish})
    assert (again.get("msg"), again["changed"], made.has_journal) == (None, True, False)
    assert [entry[0] for entry in made.layouts()[0][2]] == ["2g.20gb"] * 3


def test_a_failure_on_one_gpu_leaves_the_finished_one(node):
    made = node(f"{H100},{H100}")
    made.make([on({"1g.10gb": 1})])
    old = made.layouts()
    made.sim.control("fault nvmlDeviceCreateGpuInstanceWithPlacement nth=2 code=NVML_ERROR_INSUFFICIENT_RESOURCES")
    result = made.apply({"geometry": [on({"3g.40gb": 1})]})
    assert (result["failed"], result["error"]["kind"], result["error"]["cause"]) == (True, "apply", "nvml")
    assert result["msg"].endswith(f"as wished already: {made.sim.gpu(0)['uuid']}")
    assert result["changed"]
    assert [entry[0] for entry in made.layouts()[0][2]] == ["3g.40gb"]
    assert made.layouts()[1] == old[1]


def test_an_interrupt_from_the_keyboard(node, monkeypatch):
    made = node(H100)
    made.make([on({"1g.10gb": 3})])
    old = made.layouts()
    create = execute.Walker._create_compute
    monkeypatch.setattr(execute.Walker, "_create_compute", _interrupt_once(create))
    with pytest.raises(KeyboardInterrupt):
        made.apply({"geometry": [on({"7g.80gb": 1})]})
    assert (made.layouts(), made.has_journal) == (old, False)


def _interrupt_once(method):
    left = [1]

    def interrupted(self, group):
        if left:
            left.clear()
            raise KeyboardInterrupt
        return method(self, group)

    return interrupted


def test_the_driver_claims_success_that_is_not_there(node, monkeypatch):
    """NVIDIA/mig-parted#18: success was reported although nothing was created."""
    made = node(H100)
    made.make([on({})])
    monkeypatch.setattr(execute.Walker, "_instance", _lie_once(execute.Walker._instance))
    monkeypatch.setattr(execute.Walker, "_create_compute", lambda self, group: None)
    result = made.apply({"geometry": [on({"1g.10gb": 1})]})
    assert (result["failed"], result["error"]["kind"], result["error"]["restored"]) == (True, "verify", True)
    assert "the calls succeeded, yet it has no instance, wanted 1g.10gb at " in result["msg"]
    assert made.layouts() == [(True, True, ())]


def _lie_once(method):
    left = [1]

    def lying(self, step):
        if left:
            left.clear()
            return
        with contextlib.suppress(KeyError):
            method(self, step)

    return lying
