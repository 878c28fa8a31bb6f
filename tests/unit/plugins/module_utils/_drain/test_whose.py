# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose drain it is: of nobody, of this run, of another one, of somebody else."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.draining import OURS, run
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.scontrol import Slurm

UPGRADE = "accel.gpu upgrade run7: new driver"
EARLIER = "accel.gpu upgrade run6: failed, the old driver is back"
LATER = "accel.gpu upgrade run8: new driver"
ADOPT = {"purpose": "upgrade", "adopt": True}


@pytest.mark.parametrize("state", ["drained", "undrained"])
@pytest.mark.parametrize(
    ("slurm", "why"),
    [
        (Slurm("IDLE+DRAIN", "bad dimm"), "drained: bad dimm"),
        (Slurm("MIXED+DRAIN", "bad dimm", looks=9), "drained: bad dimm"),
        (Slurm("DOWN+NOT_RESPONDING", "Not responding"), "DOWN: Not responding"),
        (Slurm("UNKNOWN"), "UNKNOWN, without a reason"),
        (Slurm("IDLE+DRAIN", EARLIER), f"drained: {EARLIER}"),
        (Slurm("IDLE+DRAIN", "accel.gpu run77: new driver"), "drained: accel.gpu run77: new driver"),
        (Slurm("IDLE+DRAIN", "accel.gpurun7: new driver"), "drained: accel.gpurun7: new driver"),
    ],
)
def test_what_somebody_else_took_out_is_left_alone(slurm, why, state):
    result = run(slurm, state=state)
    assert (result["changed"], result["drained_by_us"], result["foreign"]) == (False, False, why)
    assert result["actions"] == [
        {"action": "left_alone", "object": "s1", "reason": f"somebody else took it out of service ({why})"}
    ]
    assert slurm.told == []


def test_somebody_takes_the_node_while_we_wait(clock):
    slurm = Slurm(looks=5)

    def taken():
        if slurm.looks == 3:
            slurm.reason = "bad dimm"

    slurm.then = taken
    result = run(slurm)
    assert (result["drained_by_us"], result["foreign"], result["timed_out"]) == (False, "drained: bad dimm", False)
    assert slurm.told == [f"State=DRAIN Reason={OURS}"]


@pytest.mark.parametrize("state", ["drained", "undrained"])
@pytest.mark.parametrize(
    "reason",
    [
        "accel.gpu RMA-4711: bad DIMM",
        "accel.gpu run7: new driver",
        "accel.gpu other run7: new driver",
        "accel.gpu upgrade: new driver",
        "accel.gpu upgrade run7 new driver",
        "accel.gpu upgraderun7: new driver",
    ],
)
def test_only_a_drain_with_the_same_purpose_is_adopted(reason, state):
    slurm = Slurm("IDLE+DRAIN", reason)
    result = run(slurm, state=state, **ADOPT)
    assert (result["foreign"], result["drained_by_us"], result["adopted"]) == (f"drained: {reason}", False, None)
    assert (slurm.told, slurm.reason) == ([], reason)


@pytest.mark.parametrize("reason", [UPGRADE, EARLIER])
def test_a_drain_with_a_purpose_is_not_that_of_a_run_without(reason):
    assert run(Slurm("IDLE+DRAIN", reason))["foreign"] == f"drained: {reason}"


def test_an_earlier_run_is_adopted_where_that_is_wished():
    slurm = Slurm("IDLE+DRAIN", EARLIER)
    result = run(slurm, **ADOPT)
    assert (result["changed"], result["drained_by_us"]) == (True, True)
    assert (result["adopted"], result["adopted_note"]) == ("run6", "failed, the old driver is back")
    assert result["actions"][0]["reason"] == "run run6 drained it"
    assert slurm.told == [f"State=DRAIN Reason={UPGRADE}"]
    # With what was told, the reason can be put back as it was.
    back = run(slurm, **ADOPT, run=result["adopted"], note=result["adopted_note"])
    assert (slurm.reason, back["adopted"]) == (EARLIER, "run7")


def test_a_drain_of_the_same_run_is_not_adopted():
    result = run(Slurm("IDLE+DRAIN", UPGRADE), **ADOPT)
    assert (result["drained_by_us"], result["adopted"], result["adopted_note"]) == (True, None, None)


def test_check_mode_tells_whose_drain_would_be_lifted():
    slurm = Slurm("IDLE+DRAIN", EARLIER)
    result = run(slurm, check=True, state="undrained", **ADOPT)
    assert (result["drained_by_us"], result["adopted"], result["reason"]) == (True, "run6", EARLIER)
    assert run(slurm, state="undrained", **ADOPT)["adopted"] == "run6"
    assert slurm.told == ["State=RESUME"]


def test_an_adopted_drain_gets_its_reason_back_where_work_does_not_end():
    slurm = Slurm("IDLE+DRAIN", EARLIER, looks=99)
    result = run(slurm, timeout=25.0, **ADOPT)
    assert (result["timed_out"], result["changed"], result["drained_by_us"]) == (True, False, True)
    assert slurm.told == [f"State=DRAIN Reason={UPGRADE}", f"State=DRAIN Reason={EARLIER}"]


def test_an_adopted_drain_that_somebody_lifts_meanwhile_stays_lifted():
    slurm = Slurm("IDLE+DRAIN", EARLIER, looks=99)

    def lifted():
        if slurm.looks == 96:
            slurm.flags = slurm.reason = ""

    slurm.then = lifted
    result = run(slurm, timeout=25.0, **ADOPT)
    assert (result["drained_by_us"], slurm.told) == (False, [f"State=DRAIN Reason={UPGRADE}"])


def takes_over(slurm, looks):
    """Another run with the same purpose writes its own reason once so many looks are left."""

    def taken():
        if slurm.looks == looks:
            slurm.flags, slurm.reason = "DRAIN", LATER

    slurm.then = taken
    return slurm


@pytest.mark.parametrize("reason", ["", EARLIER])
def test_a_drain_that_another_run_took_over_meanwhile_is_left_alone(clock, reason):
    slurm = takes_over(Slurm("IDLE+DRAIN" if reason else "IDLE", reason, looks=99), 97)
    result = run(slurm, **ADOPT)
    assert (result["foreign"], result["drained_by_us"], result["timed_out"]) == (f"drained: {LATER}", False, False)
    assert (slurm.reason, slurm.told) == (LATER, [f"State=DRAIN Reason={UPGRADE}"])
    assert clock.slept == [10.0]


@pytest.mark.parametrize("reason", ["", EARLIER])
def test_a_drain_that_another_run_takes_over_as_the_time_is_over_stays(reason):
    # Sixty seconds are seven looks, after one for the plan. In each the jobs are asked for after the node.
    slurm = takes_over(Slurm("IDLE+DRAIN" if reason else "IDLE", reason, looks=99), 91)
    result = run(slurm, **ADOPT)
    assert (result["foreign"], result["drained_by_us"], result["timed_out"]) == (f"drained: {LATER}", False, True)
    assert (slurm.reason, slurm.told) == (LATER, [f"State=DRAIN Reason={UPGRADE}"])


def test_an_error_does_not_lift_the_drain_of_another_run():
    slurm = takes_over(Slurm(looks=99), 97)
    taken = slurm.then

    def killed():
        taken()
        if slurm.looks == 97:
            raise KeyboardInterrupt

    slurm.then = killed
    with pytest.raises(KeyboardInterrupt):
        run(slurm, **ADOPT)
    assert (slurm.reason, slurm.told) == (LATER, [f"State=DRAIN Reason={UPGRADE}"])


@pytest.mark.parametrize(("reason", "ours"), [(UPGRADE, True), (EARLIER, True), (LATER, False)])
def test_the_drain_of_one_other_run_is_ours_where_it_is_named(reason, ours):
    slurm = Slurm("IDLE+DRAIN", reason)
    options = {"purpose": "upgrade", "run": "run6", "note": "failed, the old driver is back", "adopt_run": "run7"}
    result = run(slurm, timeout=0.0, on_timeout="keep", **options)
    assert (result["drained_by_us"], slurm.reason) == (ours, EARLIER if ours else LATER)
    assert result["adopted"] == ("run7" if reason == UPGRADE else None)
