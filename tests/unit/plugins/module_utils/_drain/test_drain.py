# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._drain import apply as applying
from ansible_collections.accel.gpu.plugins.module_utils._drain import core
from ansible_collections.accel.gpu.plugins.module_utils._errors import BlockedError, WishError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import declare
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.scontrol import SILENT, Slurm

OURS = "accel.gpu run7: new driver"
UPGRADE = "accel.gpu upgrade run7: new driver"
EARLIER = "accel.gpu upgrade run6: failed, the old driver is back"
LATER = "accel.gpu upgrade run8: new driver"
ADOPT = {"purpose": "upgrade", "adopt": True}
OPTIONS = {
    "state": "drained",
    "provider": "slurm",
    "node": "s1",
    "run": "run7",
    "note": "new driver",
    "purpose": None,
    "adopt": False,
    "adopt_run": None,
    "timeout": 60.0,
    "poll": 10.0,
    "on_timeout": "lift",
    "command": None,
}


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(applying, "time", clock)
    return clock


def no_nvml():
    raise AssertionError("draining needs no NVML")


def run(scheduler, check=False, **options):
    result = {}
    ports = Ports(run=scheduler, files=Files("/nonexistent"), open_nvml=no_nvml, check=check)
    declare(core, {**OPTIONS, **options}, ports, result)
    return result


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


def restarts(clock, begin, end, words=()):
    """A controller that is away between these seconds of the test, for commands with these words alone."""
    return lambda said: begin <= clock.now - 1000.0 < end and all(word in said for word in words)


@pytest.mark.parametrize("begin", [0, 10, 15, 5000])
def test_a_scheduler_that_restarts_ends_no_drain(clock, begin):
    slurm = Slurm(looks=600)
    slurm.silent = restarts(clock, begin, begin + 45)
    result = run(slurm, timeout=86400.0)
    assert (result["drained"], result["drained_by_us"], result["timed_out"]) == (True, True, False)
    assert slurm.told == [f"State=DRAIN Reason={OURS}"]


def test_a_scheduler_that_is_away_for_hours_is_waited_for_until_the_time_is_over(clock):
    slurm = Slurm(looks=9)
    slurm.silent = restarts(clock, 20, 40000)
    assert run(slurm, timeout=86400.0)["drained"] is True


def test_a_scheduler_that_restarts_when_the_time_is_over(clock):
    slurm = Slurm(looks=99)
    slurm.silent = restarts(clock, 55, 90)
    result = run(slurm, timeout=60.0)
    assert (result["timed_out"], result["drained_by_us"]) == (True, False)
    assert slurm.told == [f"State=DRAIN Reason={OURS}", "State=RESUME"]


@pytest.mark.parametrize(("state", "reason"), [("undrained", OURS), ("drained", "")])
def test_a_scheduler_that_restarts_when_it_is_told(clock, state, reason):
    slurm = Slurm("IDLE+DRAIN" if reason else "IDLE", reason)
    slurm.silent = restarts(clock, 0, 45, ["update"])
    result = run(slurm, state=state)
    assert (result["changed"], len(slurm.told)) == (True, 1)


def test_a_scheduler_that_never_comes_back_is_told(clock):
    slurm = Slurm(looks=99)
    slurm.silent = restarts(clock, 30, 10**9)
    with pytest.raises(BlockedError) as error:
        run(slurm, timeout=3600.0)
    assert error.value.message == (
        f"scontrol --oneliner show node s1: {SILENT.strip()}; "
        "the scheduler must answer before a node is drained or put back"
    )
    assert clock.now >= 1000.0 + 3600.0


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


def test_a_node_that_slurm_does_not_know():
    with pytest.raises(BlockedError) as error:
        run(Slurm(), node="s2")
    assert error.value.message == (
        "scontrol --oneliner show node s2: Node s2 not found; "
        "the scheduler must answer before a node is drained or put back"
    )


def test_no_scontrol():
    with pytest.raises(BlockedError) as error:
        run(lambda argv, timeout=None, stdin=None: (127, "", "scontrol: No such file or directory"))
    assert error.value.message == (
        "provider: scontrol: No such file or directory; run this on a host that has the scheduler's commands"
    )


class Program:
    """A site's own program for draining."""

    def __init__(self, status):
        self.status = status
        self.called = []

    def __call__(self, argv, timeout=None, stdin=None):
        assert argv[:2] == ["/opt/drain", "--site"]
        self.called.append(argv[2:])
        if argv[2] == "drain":
            self.status = [f"drained\n{argv[4]}\n"]
        if argv[2] == "undrain":
            self.status = ["in_service\n"]
        return 0, self.status.pop(0) if len(self.status) > 1 else self.status[0], ""


def test_a_program_of_the_site():
    program = Program(["in_service\n\n\n"])
    options = {"provider": "command", "command": ["/opt/drain", "--site"]}
    assert run(program, **options)["drained_by_us"] is True
    assert run(program, state="undrained", **options)["changed"] is True
    assert program.called == [
        ["status", "s1"],
        ["drain", "s1", OURS],
        ["status", "s1"],
        ["status", "s1"],
        ["status", "s1"],
        ["undrain", "s1"],
        ["status", "s1"],
    ]


def test_a_program_names_who_works():
    program = Program([f"draining\n{OURS}\njob 1\njob 2\n", f"draining\n{OURS}\n", f"drained\n{OURS}\n"])
    result = run(program, provider="command", command=["/opt/drain", "--site"])
    assert result["actions"][0]["reason"] == "it is draining, 2 at work"
    assert result["waited"] == 10.0


def test_a_program_that_says_something_else():
    with pytest.raises(BlockedError) as error:
        run(Program(["ok\n"]), provider="command", command=["/opt/drain", "--site"])
    assert error.value.message == (
        'command: /opt/drain status s1 printed "ok"; its first line must be in_service, draining or drained'
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"run": "a b"},
            'run: "a b" cannot be the id of a run; give 1 to 64 letters, digits, dots, underscores and hyphens',
        ),
        ({"node": "a b"}, 'node: "a b" is not the name of a node; give the one that the scheduler knows'),
        ({"note": "a\nb"}, 'note: "a\\nb" is not one line of text; give the reason for the drain in a few words'),
        (
            {"provider": "command"},
            "command is missing; give the program, and its first arguments, that provider command starts",
        ),
        (
            {"command": ["x"]},
            "command is for provider command only, and provider is slurm; remove one of them",
        ),
        (
            {"purpose": "a b"},
            'purpose: "a b" cannot be a purpose; give 1 to 64 letters, digits, dots, underscores and hyphens',
        ),
        (
            {"adopt": True},
            "adopt: true needs purpose, because only a drain with the same purpose is adopted; give it too",
        ),
        (
            {"adopt_run": "a b", "purpose": "upgrade"},
            'adopt_run: "a b" cannot be the id of a run; give 1 to 64 letters, digits, dots, underscores and hyphens',
        ),
        (
            {"adopt_run": "run6"},
            "adopt_run needs purpose, because only a drain with the same purpose is adopted; give it too",
        ),
        ({"timeout": -1.0}, "timeout: -1 is out of range; give 0 to 2592000 seconds"),
        ({"poll": 0.0}, "poll: 0 is out of range; give 0.1 to 2592000 seconds"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(WishError) as error:
        run(Slurm(), **options)
    assert error.value.message == message
