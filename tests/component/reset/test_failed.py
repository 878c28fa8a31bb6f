# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resets that go wrong, from nvidia-smi that refuses to a fabric that never comes, and runs that die."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import apply as holders_apply
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply_fabric
from ansible_collections.accel.gpu.plugins.module_utils._settings import kept
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, H100, PERSISTENCED, off
from ansible_collections.accel.gpu.tests.component.mig.node import in_child
from ansible_collections.accel.gpu.tests.component.reset.calls import (
    PCI,
    SPLIT,
    kinds,
    label,
    made_of,
    power_limit,
    reset,
    resets,
    uuid,
)


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


@pytest.mark.parametrize("when_busy", ["refuse", "defer"])
def test_an_interrupted_run_is_settled_although_the_next_resets_nothing(node, when_busy):
    made = made_of(node, f"{H100},{H100}")
    made.make(SPLIT)
    made.sim.smi("-i", "0", "-pl", "250", check=True)
    old, program = made.layouts(), made._program

    def dying(argv, timeout=None, stdin=None):
        program(argv, timeout, stdin)
        os.kill(os.getpid(), signal.SIGKILL)

    made._program = dying
    assert in_child(lambda: reset(made, {"index": 0})) is None
    made._program = program
    worker = made.occupy(1, 4)
    result = reset(made, {"index": 1}, when_busy=when_busy)
    if when_busy == "refuse":
        assert result["error"]["kind"] == "busy"
    else:
        assert result["deferred"] == [uuid(made, 1)]
    assert result["changed"]
    assert (made.layouts(), made.has_journal, resets(made)) == (old, False, [1, 0])
    assert result["settings_reapplied"] == [f"{uuid(made)}: power limit is 250.0 again"]
    assert [entry[2] for entry in made.workers()] == [worker]


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
