# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every setting on simulated GPUs: set, read back, quiet afterwards, lost and found again."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._settings import memory
from ansible_collections.accel.gpu.plugins.module_utils._settings.decide import WISH_FILE
from ansible_collections.accel.gpu.tests.component.settings.machine import (
    A100,
    B200,
    H100,
    LOCK,
    LOCKS,
    T4,
    done,
    every,
)

APP = {"graphics": 1200, "memory": 1593}
# setting: (wish, what the simulator shows of it, a change by hand with nvidia-smi or the simulator)
SETTINGS = {
    "persistence_mode": (True, {"persistence_mode": 1}, "-pm 0"),
    "ecc": (False, {"ecc_current": 1, "ecc_pending": 0}, "-e 1"),
    "power_limit": (300, {"power_limit": 300.0}, "-pl 350"),
    "compute_mode": ("exclusive_process", {"compute_mode": 3}, "-c 0"),
    "application_clocks": (
        APP,
        {"application_clock_graphics": 1200, "application_clock_memory": 1593},
        "-ac 1593,1410",
    ),
    "auto_boost": (False, {"auto_boost": 0}, "set 0 auto_boost 1"),
    "locked_clocks": (LOCK, {"locked_gpu_clock_min": 1200, "locked_gpu_clock_max": 1305}, "-lgc 1395,1410"),
    "locked_memory_clocks": (
        {"min": 1593, "max": 1593},
        {"locked_memory_clock_min": 1593, "locked_memory_clock_max": 1593},
        "",
    ),
    "accounting_mode": (True, {"accounting_mode": 1}, "set 0 accounting_mode 0"),
}
ALL = every(**{name: wish for name, (wish, _shown, _hand) in SETTINGS.items()})


@pytest.fixture
def a100(machine):
    made = machine(A100)
    # No board of the simulator is old enough to have it.
    made.sim.control("set 0 auto_boost 1")
    made.sim.control("set 0 auto_boost_default 1")
    return made


def by_hand(made, command):
    if command.startswith("set"):
        made.sim.control(command)
    else:
        made.sim.smi("-i", "0", *command.split(), check=True)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_set_once_and_foretold(a100, name):
    wish, shown, _hand = SETTINGS[name]
    before = a100.found()
    foretold = a100.apply({"settings": [every(**{name: wish})]}, check=True)
    assert a100.found() == before
    result = a100.settle(every(**{name: wish}))
    assert {key: a100.found()[key] for key in shown} == shown
    assert {key: value for key, value in a100.found().items() if key not in shown} == {
        key: value for key, value in before.items() if key not in shown
    }
    for key in ("changed", "actions", "diff"):
        assert foretold[key] == result[key]
    assert (done(result), result["changed"]) == ([name], True)
    a100.quiet(every(**{name: wish}))


def test_all_settings_at_once(a100):
    assert done(a100.settle(ALL)) == list(SETTINGS)
    for _wish, shown, _hand in SETTINGS.values():
        assert {key: a100.found()[key] for key in shown} == shown
    result = a100.quiet(ALL)
    assert result["gpus"][0]["settings"] == {name: wish for name, (wish, _shown, _hand) in SETTINGS.items()}


def test_a_quiet_run_calls_nothing_that_changes_and_asks_no_owner(a100):
    a100.settle(ALL)
    a100.commands.clear()
    a100.sessions.clear()
    a100.quiet(ALL)
    (session,) = a100.sessions
    assert (session.write_calls, session.snapshots, a100.commands) == ({}, 1, [])


@pytest.mark.parametrize("name", [name for name, entry in SETTINGS.items() if entry[2]])
def test_what_a_person_changed_is_found_and_mended_alone(a100, name):
    a100.settle(ALL)
    by_hand(a100, SETTINGS[name][2])
    # The driver may have dropped a lock with its last client where persistence mode was off.
    mended = [name, "locked_clocks", "locked_memory_clocks"] if name == "persistence_mode" else [name]
    assert done(a100.apply({"settings": [ALL]}, check=True)) == mended
    assert done(a100.settle(ALL)) == mended
    a100.quiet(ALL)


@pytest.mark.parametrize("loss", ["reset", "load", "boot"])
def test_what_is_lost_is_set_again(a100, loss):
    wish = {key: value for key, value in ALL.items() if key not in ("ecc", "auto_boost")}
    a100.settle(wish)
    if loss == "reset":
        a100.sim.smi("--gpu-reset", "-i", "0", check=True)
    if loss == "load":
        a100.sim.control("unload")
        a100.sim.control("load")
        a100.files.write("/sys/module/nvidia/version", b"580.95.05")
    if loss == "boot":
        a100.sim.control("reboot")
        a100.boot("22222222-2222-3333-4444-555555555555")
    assert a100.pair(*LOCKS) == (0, 0, 0, 0)
    # Only persistence mode outlives a reset.
    lost = [name for name in SETTINGS if name in wish and (loss != "reset" or name != "persistence_mode")]
    assert done(a100.settle(wish)) == lost
    assert a100.pair("power_limit", *LOCKS) == (300.0, 1200, 1305, 1593, 1593)
    a100.quiet(wish)


def test_back_to_the_defaults(a100):
    fresh = a100.found()
    a100.settle(ALL)
    names = ("ecc", "power_limit", "compute_mode", "application_clocks", "auto_boost", "locked_clocks")
    defaults = dict.fromkeys((*names, "locked_memory_clocks"), "default")
    assert done(a100.settle(every(**defaults, persistence_mode=False, accounting_mode=False))) == list(SETTINGS)
    assert a100.found() == fresh


# --- ranges and rounding -------------------------------------------------------------------------------------------


def test_nothing_is_touched_where_one_value_is_out_of_range(machine):
    made = machine(f"{A100},{H100}")
    before = made.found(0), made.found(1)
    result = made.apply({"settings": [every(power_limit=500, ecc=False, accounting_mode=True)]})
    uuid = made.sim.gpu(0)["uuid"]
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["msg"] == (
        f"settings[0].power_limit ({uuid}, NVIDIA A100-SXM4-80GB): 500 W is out of range; this GPU allows 100 to 400 W"
    )
    assert (made.found(0), made.found(1)) == before


def test_what_the_hardware_rounds_is_accepted_named_and_quiet(machine):
    made = machine(A100)
    made.sim.control("set 0 power_limit_step 5")
    wish = every(power_limit=303.5, persistence_mode=True)
    result = made.settle(wish)
    assert made.pair("power_limit") == (300.0,)
    uuid = made.sim.gpu(0)["uuid"]
    assert result["rounded"] == [f"{uuid}: the GPU makes power_limit 300 W of the wished 303.5 W"]
    again = made.quiet(wish)
    assert [one["reason"] for one in again["actions"] if one["action"] == "note"] == ["the GPU makes 300 W of it"]
    made.sim.smi("-i", "0", "-pl", "310", check=True)
    assert done(made.settle(wish)) == ["power_limit"]


def test_what_is_far_from_the_wish_is_no_rounding(machine):
    made = machine(A100)
    made.sim.control("set 0 power_limit_step 200")
    result = made.apply({"settings": [every(power_limit=350)]})
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, True, "verify")
    assert "power_limit 350 W was set without an error, yet it is 200 W" in result["msg"]
    assert made.apply({"settings": [every(power_limit=350)]})["failed"]


def test_a_lock_between_two_clocks_is_taken_as_it_is(machine):
    made = machine(A100)
    wish = every(locked_clocks={"min": 1203, "max": 1303})
    made.settle(wish)
    assert made.pair(*LOCKS[:2]) == (1200, 1290)
    made.quiet(wish)


def test_a_mixed_node_has_each_its_own_range(machine):
    made = machine(f"{A100},{H100},{B200},{T4}")
    made.settle(
        every(ecc=True, power_limit="default", locked_clocks={"min": 600, "max": 900}),
        {"gpus": {"model": "*H100*"}, "power_limit": 650},
        {"gpus": {"index": 3}, "power_limit": 65, "application_clocks": {"graphics": 585, "memory": 5001}},
    )
    assert [made.found(index)["power_limit"] for index in range(4)] == [400.0, 650.0, 1000.0, 65.0]
    assert [made.pair(*LOCKS[:2], index=index) for index in range(4)] == [
        (600, 900),
        (600, 900),
        (600, 900),
        (600, 900),
    ]


# --- ECC -----------------------------------------------------------------------------------------------------------


def test_ecc_is_owed_until_the_reset(machine):
    made = machine(A100)
    uuid = made.sim.gpu(0)["uuid"]
    assert made.settle(every(ecc=False))["reset_required"] == [uuid]
    assert made.quiet(every(ecc=False))["reset_required"] == [uuid]
    made.sim.smi("--gpu-reset", "-i", "0", check=True)
    assert made.pair("ecc_current", "ecc_pending") == (0, 0)
    assert made.quiet(every(ecc=False))["reset_required"] == []


# --- MIG -----------------------------------------------------------------------------------------------------------


def test_a_gpu_in_mig_mode_has_what_it_can_have(machine):
    made = machine(H100)
    made.sim.smi("-i", "0", "-mig", "1", check=True)
    wish = every(power_limit=600, locked_clocks=LOCK, compute_mode="default", accounting_mode=False)
    assert done(made.settle(wish)) == ["power_limit", "locked_clocks"]
    made.quiet(wish)
    for name, value in (("compute_mode", "exclusive_process"), ("accounting_mode", True)):
        result = made.apply({"settings": [every(**{name: value})]})
        assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, False, "wish")
        assert "cannot be had in MIG mode" in result["msg"]


# --- in use --------------------------------------------------------------------------------------------------------


def test_a_job_keeps_its_settings_and_its_pid(machine):
    made = machine(f"{H100},{H100}")
    pid = made.sim.occupy(0)
    before = made.found(0)
    wish = every(power_limit=500, ecc=False, compute_mode="exclusive_process", persistence_mode=True)
    refused = made.apply({"settings": [wish]})
    foretold = made.apply({"settings": [wish]}, check=True)
    assert (refused["failed"], refused["changed"], refused["error"]["kind"]) == (True, False, "busy")
    assert refused["msg"] == foretold["msg"]
    assert f"power_limit, compute_mode cannot be set now: the GPU is in use by process {pid}" in refused["msg"]
    assert made.found(0) == before

    deferred = made.settle(wish, when_busy="defer")
    uuid = made.sim.gpu(0)["uuid"]
    assert (deferred["changed"], deferred["deferred"]) == (True, [uuid])
    assert made.pair("power_limit", "compute_mode", "ecc_pending", "persistence_mode") == (700.0, 0, 0, 1)
    assert made.pair("power_limit", "compute_mode", index=1) == (500.0, 3)
    assert made.quiet(wish, when_busy="defer")["deferred"] == [uuid]
    assert [one["pid"] for one in made.sim.gpu(0)["processes"]] == [pid]

    made.sim.release(0, pid)
    assert done(made.settle(wish, when_busy="defer")) == ["power_limit", "compute_mode"]


# --- the wish file, and the way back -------------------------------------------------------------------------------


def test_the_wish_file_is_what_the_agent_needs(machine):
    made = machine(A100)
    wish = every(power_limit=300)
    result = made.settle(wish, persist=True, when_busy="defer", takeover=True)
    assert list(result["diff"]["after"])[1:] == [WISH_FILE]
    options = {"settings": [wish], "when_busy": "defer", "takeover": True}
    assert made.files.read_json(WISH_FILE) == {"version": 1, "options": options}
    made.quiet(wish, persist=True, when_busy="defer", takeover=True)
    made.files.write(WISH_FILE, b"{}")
    mended = made.settle(wish, persist=True, when_busy="defer", takeover=True)
    assert [one["action"] for one in mended["actions"] if one["action"] not in ("keep", "note")] == ["write_wish"]


def test_without_a_wish_nothing_is_stored(machine):
    made = machine(A100)
    made.quiet(persist=True)
    assert not made.files.exists(WISH_FILE)
    made.settle(every(power_limit=300), persist=True)
    assert [one["action"] for one in made.settle(persist=True)["actions"] if one["action"] != "left_alone"] == [
        "remove_wish"
    ]
    assert (made.files.exists(WISH_FILE), made.pair("power_limit")) == (False, (300.0,))


def test_absent_takes_everything_back_and_leaves_nothing(a100):
    fresh = a100.found()
    wish = {key: value for key, value in ALL.items() if key != "ecc"}
    a100.settle(wish, persist=True)
    assert a100.files.exists(memory.PATH)
    assert a100.apply({"state": "absent", "persist": True}, check=True)["changed"]
    result = a100.apply({"state": "absent", "persist": True})
    assert (result["changed"], result.get("msg")) == (True, None)
    assert a100.found() == fresh
    for path in (WISH_FILE, memory.PATH):
        assert not a100.files.exists(path)
        assert not a100.files.exists(path.rpartition("/")[0])
    assert not a100.apply({"state": "absent", "persist": True})["changed"]


def test_absent_waits_for_work_and_is_stored_until_then(machine):
    made = machine(A100)
    made.settle(every(power_limit=300, accounting_mode=True), persist=True)
    pid = made.sim.occupy(0)
    waiting = made.apply({"state": "absent", "persist": True, "when_busy": "defer"})
    assert waiting["deferred"] == [made.sim.gpu(0)["uuid"]]
    stored = made.files.read_json(WISH_FILE)
    assert stored == {"version": 1, "options": {"when_busy": "defer", "state": "absent"}}
    made.sim.release(0, pid)
    assert made.apply(stored["options"])["changed"]
    assert made.pair("power_limit") == (400.0,)
    assert made.apply({"state": "absent", "persist": True})["changed"]
    assert not made.files.exists(WISH_FILE)


# --- a node that is not ready --------------------------------------------------------------------------------------


# The second one is what an unattended upgrade leaves: role gpu_driver reloads the modules then.
LACKING = [
    ("unload", "driver_missing"),
    ("node kernel_driver 550.54.14", "driver_mismatch"),
]


@pytest.mark.parametrize(("command", "kind"), LACKING)
def test_check_mode_waits_for_the_driver_of_an_earlier_role(machine, command, kind):
    made = machine(A100)
    made.sim.control(command)
    foretold = made.apply({"settings": [every(ecc=True)]}, check=True)
    assert (foretold["changed"], [one["action"] for one in foretold["actions"]]) == (True, ["deferred"])
    assert foretold["actions"][0]["reason"].startswith("needs gpu_driver: ")
    failed = made.apply({"settings": [every(ecc=True)]})
    assert (failed["failed"], failed["error"]["kind"]) == (True, kind)
    assert not made.apply({"settings": []}).get("failed")


def test_a_declared_gpu_that_is_missing_comes_first(machine):
    made = machine(A100)
    result = made.apply({"settings": [every(power_limit=9000)], "expected": {"count": 2}})
    assert (result["failed"], result["error"]["kind"]) == (True, "gpu_missing")


def test_another_manager_of_the_node_is_named(machine):
    made = machine(A100)
    made.files.write("/usr/local/nvidia/toolkit/nvidia-container-runtime", b"")
    result = made.apply({"settings": [every(power_limit=300)]})
    assert (result["failed"], result["error"]["kind"]) == (True, "foreign_manager")
    assert "GPU Operator" in result["msg"]
    assert made.settle(every(power_limit=300), takeover=True)["changed"]
