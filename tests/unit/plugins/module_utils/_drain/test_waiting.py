# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The waiting for work, and what is told of it."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.draining import OURS, run
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.scontrol import Slurm


def told(result):
    return {key: result[key] for key in ("changed", "drained", "drained_by_us", "foreign", "timed_out", "waited")}


def test_an_idle_node_is_drained_at_once(clock):
    slurm = Slurm()
    result = run(slurm)
    assert told(result) == {
        "changed": True,
        "drained": True,
        "drained_by_us": True,
        "foreign": None,
        "timed_out": False,
        "waited": 0.0,
    }
    assert slurm.told == [f"State=DRAIN Reason={OURS}"]
    assert result["reason"] == OURS
    assert result["diff"] == {
        "before": {"reason": "", "state": "in service"},
        "after": {"reason": OURS, "state": "drained"},
    }
    assert clock.slept == []


def test_running_work_is_waited_for(clock):
    slurm = Slurm(looks=3)
    result = run(slurm)
    assert (result["drained"], result["waited"], result["working"]) == (True, 20.0, [])
    assert clock.slept == [10.0, 10.0]
    assert result["actions"][0]["reason"] == "it is in service, 1 at work"


def test_work_that_does_not_end_lifts_the_drain_again(clock):
    slurm = Slurm(looks=99)
    result = run(slurm, timeout=25.0)
    assert told(result) == {
        "changed": False,
        "drained": False,
        "drained_by_us": False,
        "foreign": None,
        "timed_out": True,
        "waited": 25.0,
    }
    assert result["working"] == ["Slurm job 1 of ada(1001)"]
    assert clock.slept == [10.0, 10.0, 5.0]
    assert slurm.told == [f"State=DRAIN Reason={OURS}", "State=RESUME"]


def test_a_drain_that_is_kept_stays_with_its_work(clock):
    slurm = Slurm(looks=99)
    result = run(slurm, timeout=0.0, on_timeout="keep")
    assert (result["changed"], result["drained"], result["drained_by_us"], result["timed_out"]) == (
        True,
        False,
        True,
        True,
    )
    assert slurm.told == [f"State=DRAIN Reason={OURS}"]
    assert clock.slept == []


def test_a_second_run_changes_nothing():
    slurm = Slurm()
    run(slurm)
    assert run(slurm)["changed"] is False
    assert len(slurm.told) == 1


def test_a_node_that_we_drain_already_is_only_waited_for():
    slurm = Slurm("IDLE+DRAIN", OURS, looks=3)
    result = run(slurm)
    assert (result["changed"], result["drained"], result["waited"]) == (True, True, 20.0)
    assert slurm.told == []


def test_another_note_replaces_the_reason():
    slurm = Slurm("IDLE+DRAIN", OURS)
    result = run(slurm, note="failed")
    assert result["changed"] is True
    assert slurm.told == ["State=DRAIN Reason=accel.gpu run7: failed"]


@pytest.mark.parametrize("state", ["IDLE+DRAIN", "DOWN+DRAIN", "DOWN"])
def test_our_own_drain_is_lifted(state):
    slurm = Slurm(state, OURS)
    result = run(slurm, state="undrained")
    assert (result["changed"], result["drained"], result["foreign"]) == (True, False, None)
    assert slurm.told == ["State=RESUME"]
    assert run(slurm, state="undrained")["changed"] is False


def test_check_mode_foretells_and_tells_the_scheduler_nothing():
    for options, scheduler in (({}, Slurm(looks=2)), ({"state": "undrained"}, Slurm("IDLE+DRAIN", OURS))):
        result = run(scheduler, check=True, **options)
        assert result["changed"] is True
        assert scheduler.told == []


@pytest.mark.parametrize(("on_timeout", "told"), [("lift", ["State=RESUME"]), ("keep", [])])
def test_a_wait_that_ends_with_an_error_takes_the_drain_back(on_timeout, told):
    slurm = Slurm(looks=99)

    def killed():
        if slurm.looks == 90:
            raise KeyboardInterrupt

    slurm.then = killed
    with pytest.raises(KeyboardInterrupt):
        run(slurm, timeout=3600.0, on_timeout=on_timeout)
    assert slurm.told == [f"State=DRAIN Reason={OURS}", *told]
