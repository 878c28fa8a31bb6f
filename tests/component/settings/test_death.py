# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that dies or fails at any of its writing calls: nothing false is remembered, the next run makes it whole."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._settings import resident
from ansible_collections.accel.gpu.tests.component.mig.node import in_child
from ansible_collections.accel.gpu.tests.component.settings.machine import A100, H100, LOCK, LOCKS, done, every

WISH = every(
    persistence_mode=True,
    ecc=False,
    power_limit=300,
    compute_mode="exclusive_process",
    accounting_mode=True,
    locked_clocks=LOCK,
    locked_memory_clocks="default",
)
APP = {"gpus": {"model": "*A100*"}, "application_clocks": {"graphics": 1200, "memory": 1593}}
ITEMS = [WISH, APP]
# The calls of a fresh A100, in their order.
CALLS = {
    "persistence_mode": "nvmlDeviceSetPersistenceMode",
    "ecc": "nvmlDeviceSetEccMode",
    "power_limit": "nvmlDeviceSetPowerManagementLimit",
    "compute_mode": "nvmlDeviceSetComputeMode",
    "application_clocks": "nvmlDeviceSetApplicationsClocks",
    "locked_clocks": "nvmlDeviceSetGpuLockedClocks",
    "locked_memory_clocks": "nvmlDeviceResetMemoryLockedClocks",
    "accounting_mode": "nvmlDeviceSetAccountingMode",
}
SHOWN = ("persistence_mode", "ecc_pending", "power_limit", "compute_mode", "accounting_mode", *LOCKS[:2])
# What tells in the simulator that a call was made.
SHOWS = {
    "persistence_mode": ("persistence_mode", 1),
    "ecc": ("ecc_pending", 0),
    "power_limit": ("power_limit", 300.0),
    "compute_mode": ("compute_mode", 3),
    "application_clocks": ("application_clock_graphics", 1200),
    "locked_clocks": ("locked_gpu_clock_min", 1200),
    "accounting_mode": ("accounting_mode", 1),
}
WANTED = (1, 0, 300.0, 3, 1, 1200, 1305)


def run(made, fault):
    """One run with the fault from the beginning of `apply` on."""
    original = resident.apply

    def faulty(plan, ports):
        made.sim.control(f"fault {fault}")
        return original(plan, ports)

    resident.apply = faulty
    try:
        return made.apply({"settings": ITEMS})
    finally:
        resident.apply = original


def judge_next(made):
    again = made.settle(*ITEMS)
    assert made.pair(*SHOWN) == WANTED
    assert made.pair("application_clock_graphics") == (1200,)
    made.quiet(*ITEMS)
    return again


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", CALLS)
def test_the_whole_run_dies_at_a_call(machine, name, when):
    made = machine(A100)
    made.sim.control("resetcounts")
    assert in_child(lambda: run(made, f"{CALLS[name]} nth=1 killgroup when={when}")) is None
    made.sim.control("clearfaults")
    called = [one for one, function in CALLS.items() if made.sim.counts().get(function)]
    assert called == list(CALLS)[: list(CALLS).index(name) + 1]
    if name in SHOWS:
        shown, value = SHOWS[name]
        assert (made.pair(shown) == (value,)) == (when == "after")
    judge_next(made)


@pytest.mark.parametrize("name", CALLS)
def test_the_session_dies_at_a_call_and_is_opened_again(machine, name):
    made = machine(A100)
    result = run(made, f"{CALLS[name]} nth=1 kill")
    made.sim.control("clearfaults")
    assert not result.get("failed"), result.get("msg")
    assert made.pair(*SHOWN) == WANTED
    made.quiet(*ITEMS)


@pytest.mark.parametrize("code", ["UNKNOWN", "NOT_SUPPORTED", "NO_PERMISSION"])
@pytest.mark.parametrize("name", CALLS)
def test_one_call_fails_and_the_others_are_made(machine, name, code):
    made = machine(A100)
    result = run(made, f"{CALLS[name]} nth=1 code=NVML_ERROR_{code}")
    made.sim.control("clearfaults")
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["error"]["kind"] == ("permission" if code == "NO_PERMISSION" else "apply")
    assert f"{name} " in result["msg"] and f"{CALLS[name]} on GPU 0000:10:00.0 failed: {code}" in result["msg"]
    assert done(judge_next(made)) == [name]


def test_a_first_call_that_fails_has_changed_nothing(machine):
    made = machine(A100)
    fresh = made.found()
    made.sim.control("fault nvmlDeviceSetPowerManagementLimit nth=1 code=NVML_ERROR_UNKNOWN")
    result = made.apply({"settings": [every(power_limit=300)]})
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["msg"].endswith("; set: nothing")
    assert made.found() == fresh


def test_a_gpu_that_hangs_costs_one_deadline_and_spares_the_others(machine):
    made = machine(f"{A100},{H100}", deadline=2.0)
    result = run(made, "nvmlDeviceSetEccMode nth=1 hang")
    made.sim.control("clearfaults")
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, True, "gpu_hung")
    assert made.pair("persistence_mode", "power_limit") == (1, 400.0)
    assert made.pair("power_limit", "ecc_pending", index=1) == (300.0, 0)
    made.deadline = 20.0
    judge_next(made)


def test_a_lock_is_forgotten_before_it_is_changed(machine):
    """Killed in the middle of another lock, then the old lock is wished again: it must not pass for being there."""
    made = machine(A100)
    made.settle(every(locked_clocks=LOCK))
    other = {"min": 900, "max": 1005}

    def die():
        made.sim.control("fault nvmlDeviceSetGpuLockedClocks nth=1 killgroup when=after")
        return made.apply({"settings": [every(locked_clocks=other)]})

    assert in_child(die) is None
    made.sim.control("clearfaults")
    assert made.pair(*LOCKS[:2]) == (900, 1005)
    assert done(made.settle(every(locked_clocks=LOCK))) == ["locked_clocks"]
    assert made.pair(*LOCKS[:2]) == (1200, 1305)
