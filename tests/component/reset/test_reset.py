# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resets on simulated nodes: what comes back, who keeps a GPU from it, what a failure leaves."""

from __future__ import annotations

import json
import os
import signal
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply as holders_apply
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply_fabric
from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders_probe
from ansible_collections.accel.gpu.plugins.module_utils._mig.decide import WISH_FILE
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import declare
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owner, Owners
from ansible_collections.accel.gpu.plugins.module_utils._reset import core, probe
from ansible_collections.accel.gpu.plugins.module_utils._settings import kept
from ansible_collections.accel.gpu.plugins.module_utils._settings.decide import WISH_FILE as SETTINGS_FILE
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, PERSISTENCED, off, on, one
from ansible_collections.accel.gpu.tests.component.mig.node import Json, in_child

FABRIC_MANAGER = "nvidia-fabricmanager.service"
# The addresses of the first two GPUs of a simulated node.
PCI = ("0000:10:00.0", "0000:18:00.0")
SPLIT = [on([one("3g.40gb", 4), one("1g.10gb", 1)])]


def reset(node, gpus="all", check=False, **options):
    """The module's result, with `failed`, `msg` and `error` where it fails."""
    result: Json = {"changed": False}
    ports = node.ports(check)
    with node.seen():
        try:
            declare(core, {"gpus": gpus, **options}, ports, result)
        except AccelError as error:
            result.update(failed=True, msg=error.message, error={**error.facts, "kind": error.kind})
        finally:
            core.release(ports)
    return result


def good(node, gpus="all", **options):
    """`reset` that must succeed, after a check mode that said the same and changed nothing."""
    before = node.sim.show()
    seen = reset(node, gpus, check=True, **options)
    assert node.sim.show()["gpus"] == before["gpus"]
    done = reset(node, gpus, **options)
    assert not done.get("failed"), done.get("msg")
    same = ("changed", "actions", "diff", "gpus_reset", "deferred")
    assert {key: seen[key] for key in same} == {key: done[key] for key in same}
    assert not node.has_journal and not node.files.exists(kept.PATH)
    return done


def made_of(node, boards):
    """A node on which fabric manager runs, so that each GPU can be reset by itself."""
    made = node(boards)
    made.services.add(FABRIC_MANAGER, 1, [])
    return made


def resets(node):
    return [gpu["resets"] for gpu in node.sim.show()["gpus"]]


def uuid(node, index=0):
    return node.sim.gpu(index)["uuid"]


def label(node, index=0):
    gpu = node.sim.gpu(index)
    return f"{gpu['uuid']}, {gpu['name']}"


def power_limit(node, index):
    asked = ("--query-gpu=power.limit", "--format=csv,noheader,nounits")
    return node.sim.smi("-i", str(index), *asked, check=True).stdout.strip()


def kinds(result):
    return [action["action"] for action in result["actions"]]


def smi_resets(node):
    return [words[-1] for words in node.commands if words[:2] == ("nvidia-smi", "--gpu-reset")]


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


def test_each_run_resets_again(node):
    made = made_of(node, H100)
    for _run in range(2):
        assert good(made, {"pci": "0000:10:00.0"})["changed"]
    assert resets(made) == [2]


def test_a_busy_gpu_is_refused_and_its_process_lives(node):
    made = made_of(node, f"{H100},{H100}")
    worker = made.sim.occupy(1, name="train.py")
    result = reset(made)
    assert result["msg"] == (
        f"gpus ({label(made, 1)}): the GPU cannot be reset now: it is in use by process {worker} (train.py); drain it "
        "first, or give when_busy: defer"
    )
    assert (result["changed"], result["error"]["kind"], resets(made)) == (False, "busy", [0, 0])
    assert reset(made, check=True)["msg"] == result["msg"]
    os.kill(worker, 0)
    done = good(made, when_busy="defer")
    assert (done["gpus_reset"], done["deferred"], resets(made)) == ([uuid(made)], [uuid(made, 1)], [1, 0])
    assert [entry[2] for entry in made.workers()] == [worker]


def test_an_allocation_is_given_up_only_where_an_option_says_so(node, monkeypatch):
    made = made_of(node, H100)
    allocated = Owners((Owner("kubelet"),), (Allocation("kubelet pod default/notebook", uuid(made)),))
    monkeypatch.setattr(probe, "probe_owners", lambda ports: allocated)
    assert reset(made)["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset now: it is in use by kubelet pod default/notebook; drain it "
        "first, or give allow_reset_allocated: true, or give when_busy: defer"
    )
    done = good(made, allow_reset_allocated=True)
    assert any("kubelet pod default/notebook" in line["reason"] for line in done["actions"] if line["action"] == "note")
    made.sim.occupy(0)
    assert reset(made, allow_reset_allocated=True)["error"]["kind"] == "busy"


def test_holders_are_stopped_and_started_and_fabric_manager_is_not(node):
    made = made_of(node, f"{A100},{A100}")
    for unit in (DCGM, PERSISTENCED):
        made.services.add(unit, made.sim.occupy(0, kind="holder"), [0, 1])
    done = good(made, {"index": 0})
    assert kinds(done)[:2] == ["stop_holder", "stop_holder"] and kinds(done)[-2:] == ["start_holder", "start_holder"]
    verbs = [words[1:] for words in made.commands if words[0] == "systemctl" and words[1] in ("stop", "start")]
    assert verbs == [("stop", DCGM), ("stop", PERSISTENCED), ("start", PERSISTENCED), ("start", DCGM)]
    assert made.services.active() == {FABRIC_MANAGER: True, DCGM: True, PERSISTENCED: True}


def opened(node, target):
    """A process that is no work and has a device node open, in the node's constructed /proc."""
    node.files.write("/proc/4711/comm", b"Xorg\n")
    node.files.write("/proc/4711/cgroup", b"0::/user.slice\n")
    node.files.write("/proc/4711/stat", b"4711 (Xorg) S 1 0")
    os.makedirs(node.root / "proc/4711/fd")
    os.symlink(target, node.root / "proc/4711/fd/3")


def test_who_is_not_known_to_be_safe_to_stop_is_named(node, monkeypatch):
    monkeypatch.setattr(holders_probe, "_PAUSE", 0)
    made = made_of(node, H100)
    opened(made, "/dev/nvidia0")
    assert reset(made)["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset now: it is held open by Xorg (PID 4711), which is not known to "
        "be safe to stop; stop it and run again"
    )


def test_kernel_mode_setting_holds_every_gpu(node):
    made = made_of(node, H100)
    made.files.write("/sys/module/nvidia_drm/parameters/modeset", b"Y\n")
    assert "it is held open by kernel module nvidia_drm (modeset=Y)" in reset(made)["msg"]


@pytest.mark.parametrize("stands", [SPLIT, [off()]], ids=["mig", "no-mig"])
def test_a_reset_that_fails(node, stands):
    made = made_of(node, A100)
    made.make(stands)
    old, count = made.layouts(), resets(made)
    made._program = lambda argv, timeout=None, stdin=None: (3, "", "Resetting GPU is not supported.\n")
    result = reset(made)
    end = "the old layout is back, with new MIG UUIDs (see uuid_map)" if stands == SPLIT else "nothing was changed"
    assert result["msg"] == (
        f"{label(made).replace(', ', ' (')}): resetting the GPU failed: nvidia-smi --gpu-reset -i {PCI[0]} ended "
        f"with 3: Resetting GPU is not supported.; {end}"
    )
    assert (result["error"]["kind"], result["changed"]) == ("apply", False)
    assert (made.layouts(), resets(made), made.has_journal) == (old, count, False)


def test_the_second_of_two_fails(node):
    made = made_of(node, f"{H100},{H100}")
    made.make(SPLIT)
    old, program = made.layouts(), made._program
    second = PCI[1]
    made._program = lambda argv, timeout=None, stdin=None: (
        (255, "", "In use by another client") if argv[-1] == second else program(argv, timeout, stdin)
    )
    result = reset(made)
    assert result["msg"].endswith(
        "ended with 255: In use by another client; the old layout is back, with new MIG UUIDs (see uuid_map); "
        f"as wished already: {uuid(made)}"
    )
    assert (result["changed"], resets(made), made.layouts(), made.has_journal) == (True, [1, 0], old, False)


def test_a_reset_that_does_not_end(node, monkeypatch):
    made = made_of(node, H100)
    made.make(SPLIT)
    old, program = made.layouts(), made._program
    monkeypatch.setattr(holders_apply, "RESET_SECONDS", 0.3)
    made._program = lambda argv, timeout=None, stdin=None: program(["sleep", "60"], timeout, stdin)
    result = reset(made)
    assert (result["error"]["kind"], made.layouts()) == ("gpu_hung", old)
    assert (
        "nvidia-smi --gpu-reset -i 0000:10:00.0 did not end within 0.3 s; drain the node and reboot it" in result["msg"]
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("board", [A100, H100])
def test_a_run_that_dies_at_the_reset_is_settled_by_the_next(node, board, when):
    made = made_of(node, board)
    made.make(SPLIT)
    made.sim.smi("-i", "0", "-pl", "250", check=True)
    made.services.add(PERSISTENCED, made.sim.occupy(0, kind="holder"), [0])
    old, program, count = made.layouts(), made._program, resets(made)[0]

    def dying(argv, timeout=None, stdin=None):
        if when == "after":
            program(argv, timeout, stdin)
        os.kill(os.getpid(), signal.SIGKILL)

    made._program = dying
    assert in_child(lambda: reset(made)) is None
    assert made.has_journal and not made.services.active()[PERSISTENCED]
    made._program = program
    seen = reset(made, check=True)
    assert kinds(seen)[0] == "finish_interrupted" and seen["changed"]
    done = reset(made)
    assert not done.get("failed"), done["msg"]
    assert (made.layouts(), made.has_journal, made.files.exists(kept.PATH)) == (old, False, False)
    assert made.services.active()[PERSISTENCED]
    assert resets(made)[0] == count + 1 + (when == "after")
    assert power_limit(made, 0) == "250.00"


def test_an_interrupted_run_is_settled_although_the_next_is_refused(node):
    made = made_of(node, f"{H100},{H100}")
    made.make(SPLIT)
    old, program = made.layouts(), made._program

    def dying(argv, timeout=None, stdin=None):
        program(argv, timeout, stdin)
        os.kill(os.getpid(), signal.SIGKILL)

    made._program = dying
    assert in_child(lambda: reset(made, {"index": 0})) is None
    made._program = program
    worker = made.occupy(1, 4)
    result = reset(made, {"index": 1})
    assert (result["error"]["kind"], result["changed"]) == ("busy", True)
    assert (made.layouts(), made.has_journal, resets(made)) == (old, False, [1, 0])
    assert [entry[2] for entry in made.workers()] == [worker]


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


def good_deferred(node):
    done = reset(node, when_busy="defer")
    assert not done.get("failed") and not done["changed"], done
    return done


@pytest.mark.parametrize("selector", ["all", "uuid", "pci", "index"])
def test_a_gpu_that_requires_a_reset_gives_no_answer_and_is_reset(node, selector):
    made = made_of(node, f"{H100},{H100}")
    made.sim.control("set 1 requires_reset 1")
    gpus = {"all": "all", "uuid": {"uuid": uuid(made, 1)}, "pci": {"pci": PCI[1]}, "index": {"index": 1}}[selector]
    done = good(made, gpus)
    assert uuid(made, 1) in done["gpus_reset"]
    assert resets(made) == [int(selector == "all"), 1]
    with made.seen():
        assert not made.sim.smi("-i", "1", "-q").returncode


def test_a_silent_gpu_gets_its_geometry_from_the_stored_wish(node):
    made = made_of(node, H100)
    made.make(SPLIT, persist=True)
    old = made.layouts()
    made.sim.control("set 0 requires_reset 1")
    done = good(made)
    assert kinds(done) == ["reset_gpu", "note", "note", "note", "deferred"]
    assert made.layouts() == old


@pytest.mark.parametrize(
    ("wish", "limit", "told", "warned"),
    [
        ({"gpus": "all", "power_limit": 300}, "300.00", True, False),
        ({"gpus": "all", "power_limit": 9000}, "700.00", False, True),
        ({"gpus": {"model": "*A100*"}, "power_limit": 300}, "700.00", False, False),
    ],
    ids=["set", "refused", "not meant"],
)
def test_a_silent_gpu_gets_its_settings_from_the_stored_wish(node, wish, limit, told, warned):
    made = made_of(node, f"{H100},{H100}")
    made.files.write(SETTINGS_FILE, json.dumps({"version": 1, "options": {"settings": [wish]}}).encode())
    made.sim.control("set 0 requires_reset 1")
    done = good(made, {"index": 0})
    assert ("deferred", "settings") in [(line["action"], line["object"]) for line in done["actions"]]
    assert (power_limit(made, 0), power_limit(made, 1)) == (limit, "700.00")
    assert (bool(done["settings_reapplied"]), bool(done["warnings"])) == (told, warned)


def test_a_silent_gpu_that_somebody_has_open_is_busy(node, monkeypatch):
    monkeypatch.setattr(holders_probe, "_PAUSE", 0)
    made = made_of(node, f"{H100},{H100}")
    made.sim.control("set 1 requires_reset 1")
    opened(made, "/dev/nvidia1")
    result = reset(made, {"index": 1})
    assert result["error"]["kind"] == "busy"
    assert "it gives no answer, and Xorg (PID 4711) has a GPU open that gives none; stop it" in result["msg"]
    assert good(made, when_busy="defer")["gpus_reset"] == [uuid(made)]


def test_a_gpu_off_the_bus_needs_a_reboot(node):
    made = made_of(node, f"{H100},{H100}")
    made.sim.control("set 1 lost 1")
    result = reset(made, {"index": 1})
    assert (result["error"]["kind"], resets(made)) == ("blocked", [0, 0])
    assert result["msg"].startswith(
        "gpus (GPU 1, no answer): the GPU cannot be reset: it does not even tell its UUID and PCI address, so "
        "nvidia-smi cannot reach it either; drain the node and reboot it ("
    )


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


def test_a_gpu_that_hangs_needs_a_reboot(node):
    made = made_of(node, f"{H100},{H100}")
    made.deadline = 0.8
    made.sim.control("set 1 hung 1")
    result = reset(made, {"index": 1})
    assert (result["error"]["kind"], resets(made)) == ("blocked", [0, 0])
    assert "the GPU cannot be reset: it does not even tell its UUID and PCI address" in result["msg"]


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


@pytest.mark.parametrize(("failures", "limit"), [(1, "250.00"), (2, "700.00")])
def test_settings_that_cannot_be_read_are_told_and_do_not_keep_the_gpu_from_its_reset(node, failures, limit):
    made = made_of(node, H100)
    made.sim.smi("-i", "0", "-pl", "250", check=True)
    seen = reset(made, check=True)
    made.sim.control("resetcounts")
    for nth in range(1, failures + 1):
        made.sim.control(f"fault nvmlDeviceGetPowerManagementLimit nth={nth} code=NVML_ERROR_UNKNOWN")
    done = reset(made)
    assert (done["changed"], resets(made), power_limit(made, 0)) == (True, [1], limit)
    begin = f"{uuid(made)}: settings could not be read before the reset: nvmlDeviceGetPowerManagementLimit on GPU "
    assert [text.startswith(begin) for text in done["warnings"]] == [True] * (failures - 1)
    assert done["actions"] == seen["actions"]


def test_a_gpu_that_still_asks_for_a_reset_fails(node):
    made = made_of(node, H100)
    program = made._program

    def relapsing(argv, timeout=None, stdin=None):
        answer = program(argv, timeout, stdin)
        made.sim.control("set 0 recovery_action 1")
        return answer

    made._program = relapsing
    result = reset(made)
    assert (result["error"]["kind"], result["changed"]) == ("verify", True)
    assert result["msg"] == (
        f"{label(made)}: the GPU was reset, yet its driver still asks for gpu_reset; drain the node and reboot it"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"gpus": None},
            "gpus: nothing is given; name the GPUs that are to be reset, such as {pci: 0000:3b:00.0}, or give all",
        ),
        (
            {"gpus": {"index": 7}},
            "gpus.index: 7 matches no GPU of this node; it has 0: {uuid} 0000:10:00.0 NVIDIA H100 80GB HBM3",
        ),
        (
            {"gpus": {"mig": {"profile": "1g.10gb"}}},
            'gpus: unknown key "mig"; allowed are uuid, pci, index, model, device_id, except',
        ),
        ({"when_busy": "kill"}, 'when_busy: "kill" is unknown; allowed is refuse, defer'),
        ({"lock_timeout": -1}, "lock_timeout: -1 is out of range; give a number from 0 to 86400"),
        ({"lock_timeout": 90000}, "lock_timeout: 90000 is out of range; allowed is 0 to 86400"),
        (
            {"except": "all"},
            'except: "all" is a string; give a list of selectors',
        ),
    ],
)
def test_bad_input(node, options, message):
    made = node(H100)
    result = reset(made, **{"gpus": "all", **options})
    assert (result["msg"], result["changed"]) == (message.replace("{uuid}", uuid(made)), False)
    assert (resets(made), result["error"]["kind"]) == ([0], "wish")


def test_another_manager_of_the_node(node):
    made = node(H100)
    made.files.write("/run/nvidia/validations/toolkit-ready", b"")
    assert reset(made)["msg"] == (
        "takeover=false: the state of the GPUs of this node belongs to another manager (GPU Operator's toolkit: "
        "/run/nvidia/validations/toolkit-ready exists); reset them there, or take it out of service, or set "
        "accel_gpu_takeover: true (takeover) to act beside it"
    )
    assert good(made, takeover=True)["changed"]


def test_nothing_is_meant(node):
    made = node(H100)
    done = good(made, {"model": "*A100*"})
    assert (done["changed"], resets(made)) == (False, [0])


def test_without_root(node, monkeypatch):
    made = node(H100)
    monkeypatch.setattr(probe.os, "geteuid", lambda: 1000)
    assert reset(made)["msg"] == "a reset of GPUs needs root, this runs as another user; set become: true"


def test_without_a_driver(node):
    made = node("")
    made.boot("11111111-2222-3333-4444-555555555555")
    assert reset(made)["error"]["kind"] == "driver_missing"
    seen = reset(made, check=True)
    assert (seen["changed"], kinds(seen)) == (True, ["deferred"])


def test_without_nvidia_smi(node):
    made = node(H100)
    made.files.remove("/usr/bin/nvidia-smi")
    assert reset(made)["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset: nvidia-smi, which does it, cannot be run on this node; "
        "install it"
    )


# --- the NVLink fabric ------------------------------------------------------------------------------------------------


def registers_late(made, monkeypatch):
    """From now on the fabric loses the first GPU at its reset."""
    original = made._run

    def lost(argv, *rest, **more):
        answer = original(argv, *rest, **more)
        if argv[:2] == ["nvidia-smi", "--gpu-reset"]:
            made.sim.control("set 0 fabric.state 2")
        return answer

    monkeypatch.setattr(made, "_run", lost)


def test_a_fabric_that_comes_late_is_waited_for(node, monkeypatch):
    made = made_of(node, f"{H100},{H100}")
    registers_late(made, monkeypatch)
    looks = []

    def sleep(_seconds):
        looks.append(1)
        if len(looks) == 2:
            made.sim.control("set 0 fabric.state 3")

    monkeypatch.setattr(apply_fabric, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 0.0))
    done = reset(made, {"index": 0})
    assert (done.get("msg"), done["changed"], len(looks)) == (None, True, 2)


def test_a_fabric_that_never_comes_is_an_error(node, monkeypatch):
    made = made_of(node, f"{H100},{H100}")
    registers_late(made, monkeypatch)
    monkeypatch.setattr(apply_fabric, "FABRIC_SECONDS", 0.0)
    failed = reset(made, {"index": 0})
    assert failed["msg"] == (
        f"GPU {PCI[0]} ({uuid(made)}): its NVLink fabric state is in_progress and not completed after 300 s, and CUDA "
        "fails on it until then (error 802); see journalctl -u nvidia-fabricmanager.service, keep the node out of "
        "service and reboot it where that tells nothing to mend"
    )
    assert (failed["error"]["kind"], failed["error"]["restored"], failed["changed"]) == ("verify", False, True)
    # A neighbour without its fabric is none of this reset.
    assert not reset(made, {"index": 1}).get("failed")
