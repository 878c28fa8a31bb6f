# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided where somebody has the GPUs, or the kernel keeps a module: what waits, is refused, is owed."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, record, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.objects import Done
from ansible_collections.accel.gpu.plugins.module_utils._driver.core import Outcome
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import back_plan, planned
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.back import Now
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    NEW,
    OLD,
    again,
    dependency,
    only,
    settled,
    words,
)

STRANGER = ("train.py", None, 4711)
STUCK = "kernel module nvidia_drm cannot be unloaded (rmmod: ERROR: Module nvidia_drm is in use)"
DIFFERS = f"module {OLD} is loaded, {NEW} is installed"


def stale(**facts: t.Any) -> model.Node:
    """Somebody installed NEW by hand under the loaded OLD; only a reload is owed."""
    return dataclasses.replace(settled(version=NEW), loaded=nodes.loaded(OLD), **facts)


def refuse(**options: t.Any) -> model.Wish:
    return nodes.mirror(version=NEW, when_busy="refuse", **options)


IN_USE: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"busy": BUSY}, "the node is busy: GPU 0000:17:00.0 is used by Slurm job 4711; drain the node and run again"),
    (
        {"holders": (STRANGER,)},
        "train.py (PID 4711) holds GPUs open and is not known to be safe to stop; end it and run again",
    ),
]


@pytest.mark.parametrize(("facts", "why"), IN_USE)
def test_a_reload_that_must_not_wait_is_refused(facts: t.Dict[str, t.Any], why: str) -> None:
    _state, made = nodes.decided(stale(**facts), refuse(), NEW)
    assert made.refusal is not None
    assert made.refusal.kind == "busy"
    assert made.refusal.message == (
        f"gpu_driver_when_busy=refuse: the kernel modules cannot be reloaded ({DIFFERS}), {why}"
    )
    deferred = again(stale(**facts), nodes.mirror(version=NEW))
    assert (words(deferred), deferred.changed) == ([], False)
    assert deferred.owed.reload[0].startswith(f"{DIFFERS}; ")


@pytest.mark.parametrize("facts", [facts for facts, _why in IN_USE])
def test_a_removal_that_must_not_wait_is_refused(facts: t.Dict[str, t.Any]) -> None:
    node = dataclasses.replace(settled(), **facts)
    _state, made = nodes.decided(node, nodes.wish(state="absent", when_busy="refuse"), OLD)
    assert made.refusal is not None
    assert made.refusal.kind == "busy"


def test_a_reload_that_is_not_wished_is_no_reason_to_refuse() -> None:
    _state, made = nodes.decided(stale(busy=BUSY), refuse(reload="never"), NEW)
    assert made.refusal is None


# --- a refusal of the kernel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("when_busy", ["defer", "refuse"])
@pytest.mark.parametrize("facts", [{}, {"busy": BUSY}])
def test_what_the_kernel_refused_is_not_tried_again_and_a_reboot_is_owed(
    facts: t.Dict[str, t.Any], when_busy: str
) -> None:
    made = again(stale(refused=STUCK, **facts), nodes.mirror(version=NEW, when_busy=when_busy))
    assert (words(made), made.changed) == ([], False)
    assert made.owed.reload == (f"{DIFFERS}; {STUCK}",)
    assert made.owed.reboot == (f"{DIFFERS}; {STUCK}",)


def test_a_removal_that_the_kernel_refused_is_owed() -> None:
    _state, made = nodes.decided(dataclasses.replace(settled(), refused=STUCK), nodes.wish(state="absent"), OLD)
    assert (words(made), made.changed, made.refusal) == ([], False, None)
    assert made.owed.reload == made.owed.reboot == (f"the driver is to be removed; {STUCK}",)


def test_the_way_back_leaves_modules_that_the_kernel_refused() -> None:
    before = record.Recorded("2026-11-25T00:00:00Z", version=NEW, modules=("nvidia",))
    now = Now({}, modules=("nvidia",), loaded=OLD)
    wish = nodes.mirror(state="restored", change_loaded=True)
    made = back_plan.decide(wish, model.State(stale(refused=STUCK)), before, now)
    assert (made.steps, made.changed) == ((), False)
    assert made.owed.reload == made.owed.reboot == (STUCK,)
    assert back_plan.decide(wish, model.State(stale()), before, now).changed


def test_packages_under_a_loaded_module_want_an_idle_node_at_their_very_step() -> None:
    changes = dependency(NEW, OLD)
    made = again(settled(), nodes.mirror(version=NEW, change_loaded=True), changes=changes)
    assert only(made, steps.ChangePackages).idle
    _state, first = nodes.decided(nodes.node(), nodes.mirror(version=NEW), NEW, changes=dependency(NEW))
    assert not only(first, steps.ChangePackages).idle


# --- what a run could not do --------------------------------------------------------------------------------------


def looked(node: model.Node, wish: model.Wish) -> planned.Planned:
    state, _made = nodes.decided(node, wish, NEW)
    return planned.decide(planned.Asked(wish), planned.Seen(state))


def test_a_reload_that_was_refused_is_no_change() -> None:
    wish = nodes.mirror(version=NEW)
    plan, after = looked(stale(), wish), looked(stale(refused=STUCK), wish)
    assert plan.changed
    result = Outcome(plan, after, Done(stale(), reload=(STUCK,))).result()
    assert (result["changed"], result["diff"]) == (False, {"before": {}, "after": {}})
    assert result["actions"] == [{"action": "keep", "object": "kernel modules", "reason": STUCK}]
    assert result["reload_required"] == result["reboot_required"] == [f"{DIFFERS}; {STUCK}"]


def test_what_changed_beside_a_refused_reload_is_told() -> None:
    wish = nodes.mirror(version=NEW, parameters={"nvidia": {"NVreg_EnableGpuFirmware": 0}})
    plan = looked(stale(), wish)
    result = Outcome(plan, looked(stale(refused=STUCK), wish), Done(stale(), reload=(STUCK,))).result()
    assert result["changed"]
    assert list(result["diff"]["after"]) == ["/etc/modprobe.d/accel-gpu.conf"]
    assert [action["action"] for action in result["actions"]] == ["write_file", "keep"]


def test_what_did_not_come_back_is_told_and_warned_of() -> None:
    wish = nodes.mirror(version=NEW)
    plan = looked(stale(), wish)
    done = Done(
        stale(), ("a module",), ("GPU-1: power limit",), layouts_lost=("GPU-2: layout",), noted=("GPU-3: rounded",)
    )
    result = Outcome(plan, plan, done).result()
    assert result["not_restored"] == ["GPU-1: power limit"]
    assert result["geometry_not_restored"] == ["GPU-2: layout"]
    assert result["restored_otherwise"] == ["GPU-3: rounded"]
    assert result["warnings"][-4:] == ["a module", "GPU-1: power limit", "GPU-2: layout", "GPU-3: rounded"]


def test_a_change_that_waited_is_none() -> None:
    wish = nodes.mirror(version=NEW, change_loaded=True)
    state, _made = nodes.decided(settled(), wish, NEW, OLD, changes=dependency(NEW, OLD))
    plan = planned.decide(planned.Asked(wish), planned.Seen(state))
    after = dataclasses.replace(state, node=dataclasses.replace(state.node, busy=BUSY))
    waits = "the node is busy"
    result = Outcome(
        plan, planned.decide(planned.Asked(wish), planned.Seen(after)), Done(state.node, waits=waits)
    ).result()
    assert plan.changed
    assert (result["changed"], result["diff"]) == (False, {"before": {}, "after": {}})
    assert result["actions"] == [{"action": "keep", "object": "driver", "reason": waits}]
    assert result["upgrade_pending"] == {"from": OLD, "to": NEW}


# --- a run that died in the middle of its packages -----------------------------------------------------------------


def test_packages_left_half_way_are_owed_while_somebody_works() -> None:
    wish = nodes.mirror(version=NEW, change_loaded=True)
    state, _made = nodes.decided(settled(busy=BUSY), wish, NEW, OLD, changes=dependency(NEW, OLD))
    journal = record.Journal("5f1c", record.PACKAGES, record.Recorded("2026-11-25T00:00:00Z"))
    seen = planned.Seen(state, journal, unsettled="the node is busy")
    plan = planned.decide(planned.Asked(wish), seen)
    why = (
        "a run of 2026-11-25T00:00:00Z died while it changed packages, and that is neither finished nor undone: the "
        "node is busy"
    )
    assert (plan.steps, plan.changed, plan.acts, plan.refusal) == ((), False, False, None)
    assert plan.actions == [{"action": "keep", "object": "driver packages", "reason": why}]
    result = plan.result()
    assert result["reload_required"] == [why]
    assert result["driver"]["wanted"] == NEW
    settles = planned.decide(planned.Asked(wish), dataclasses.replace(seen, unsettled=""))
    assert settles.changed
    assert settles.actions[0]["action"] == "finish_interrupted"
