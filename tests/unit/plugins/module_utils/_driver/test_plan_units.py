# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services of the driver and what a fabric needs: rules 6 and 7."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan import decide
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan_names import names
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan_request import request
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    NEW,
    OLD,
    RISK,
    SWITCHES,
    again,
    fresh,
    only,
    settled,
    words,
)


def test_units_that_scripts_of_packages_start_go_before_the_modules() -> None:
    node = settled(switches=SWITCHES)
    stopped = {name: unit._replace(active=False) for name, unit in node.units.items()}
    made = again(dataclasses.replace(node, units=stopped), nodes.mirror(version=NEW, change_loaded=True))
    assert only(made, steps.ReloadModules).stop == ("nvidia-fabricmanager.service", "nvidia-persistenced.service")


def test_the_fabric_manager_runs_where_nvswitches_are() -> None:
    _state, made = fresh(switches=SWITCHES)
    found = [step for step in made.steps if isinstance(step, steps.SetUnit)]
    assert steps.SetUnit("nvidia-fabricmanager.service", True, True) in found


def test_the_fabric_manager_is_left_alone_on_a_busy_node() -> None:
    node = settled(switches=SWITCHES)
    stopped = {**node.units, **nodes.unit("nvidia-fabricmanager.service", active=False)}
    assert words(again(dataclasses.replace(node, units=stopped))) == ["SetUnit"]
    made = again(dataclasses.replace(node, units=stopped, busy=BUSY))
    assert made.steps == ()
    who = "; ".join(f"{one.gpu} is used by {one.who}" for one in BUSY)
    assert made.owed.fabric == (f"nvidia-fabricmanager.service: is to be started; the node is busy: {who}",)
    busy = dataclasses.replace(node, units=stopped, busy=BUSY)
    _state, made = nodes.decided(busy, nodes.mirror(version=OLD, when_busy="refuse"), NEW, OLD)
    assert made.refusal is not None
    assert made.refusal.message == (
        f"gpu_driver_when_busy=refuse: nvidia-fabricmanager.service cannot be started, the node is busy: {who}; "
        "drain the node and run again"
    )


def test_a_fabric_manager_of_a_pending_upgrade_comes_with_the_upgrade() -> None:
    node = settled(switches=SWITCHES)
    stopped = {**node.units, **nodes.unit("nvidia-fabricmanager.service", active=False)}
    made = again(dataclasses.replace(node, units=stopped, busy=BUSY), nodes.mirror(version=NEW, change_loaded=True))
    assert (made.owed.upgrade, made.owed.fabric) == ((OLD, NEW), ())


def test_a_missing_fabric_manager_waits_for_running_work() -> None:
    node = settled(switches=SWITCHES)
    lacking = {name: version for name, version in node.packages.items() if name != "nvidia-fabricmanager"}
    made = again(dataclasses.replace(node, packages=lacking, busy=BUSY))
    assert made.steps == ()
    assert [entry["action"] for entry in made.actions] == ["deferred"]
    assert [line.partition(": ")[0] for line in made.owed.fabric] == ["nvidia-fabricmanager"]


def test_what_waits_of_the_fabric_is_told_as_such_and_no_part_of_the_transaction() -> None:
    node = settled(switches=SWITCHES)
    lacking = {
        name: version
        for name, version in node.packages.items()
        if name not in ("nvidia-fabricmanager", "nvidia-utils-580")
    }
    node = dataclasses.replace(node, packages=lacking, busy=BUSY)
    wish = nodes.mirror(version=OLD)
    offers = nodes.offers(node, names(wish, node), OLD)
    # This is what is simulated.
    assert request(wish, node, offers) == steps.ChangePackages((("nvidia-utils-580", f"{OLD}-1"),))
    made = again(node, wish)
    assert only(made, steps.ChangePackages).install == (("nvidia-utils-580", f"{OLD}-1"),)
    assert [(one["action"], one["object"]) for one in made.actions if "nvidia-fabricmanager" in one["object"]] == [
        ("deferred", "nvidia-fabricmanager")
    ]
    assert "package nvidia-fabricmanager" not in made.diff["after"]
    # A dependency brings one all the same: then nothing is installed.
    _state, made = nodes.decided(node, wish, OLD, changes=(model.Change("nvidia-fabricmanager", None, f"{OLD}-1"),))
    assert (made.refusal, made.steps) == (None, ())
    assert [(one["action"], one["object"]) for one in made.actions] == [
        ("deferred", "driver packages, which bring nvidia-fabricmanager")
    ]
    _state, made = nodes.decided(node, nodes.mirror(version=OLD, when_busy="refuse"), OLD)
    assert made.refusal is not None
    assert made.refusal.message == (
        "gpu_driver_when_busy=refuse: nvidia-fabricmanager cannot be installed, the node is busy: GPU 0000:17:00.0 is "
        "used by Slurm job 4711; drain the node and run again"
    )


LOAD_FILE = "/etc/modules-load.d/accel-gpu.conf"


def test_the_fabric_of_b200_boards_gets_its_modules_before_its_manager() -> None:
    node = nodes.node("ubuntu", "24.04", "blackwell", nvlink5=True, lacking_modules=("ib_umad", "mlx5_ib"))
    state, made = nodes.decided(node, nodes.mirror(version=OLD), OLD)
    assert words(made)[-4:] == ["LoadModules", "InsertModules", "SetUnit", "SetUnit"]
    assert only(made, steps.InsertModules).modules == ("ib_umad", "mlx5_ib")
    (text,) = [step.content for step in made.steps if isinstance(step, steps.WriteFile) and step.path == LOAD_FILE]
    assert text.splitlines()[1:] == ["ib_umad", "mlx5_ib"]
    there = nodes.after(state, made)
    assert again(there).steps == ()
    for facts, kind in (
        ({"lacking_modules": ("ib_umad",)}, "InsertModules"),
        ({"files": {**there.files, LOAD_FILE: "ib_umad\n"}}, "WriteFile"),
    ):
        drifted = dataclasses.replace(there, busy=BUSY, **facts)
        state, made = nodes.decided(drifted, nodes.mirror(version=OLD), OLD)
        assert (words(made), nodes.after(state, made).files) == ([kind], there.files)
        assert again(nodes.after(state, made)).steps == ()
    gone = decide(nodes.mirror(state="absent"), model.State(there))
    assert LOAD_FILE in [step.path for step in gone.steps if isinstance(step, steps.RemoveFile)]


def test_imex_waits_for_the_addresses_of_its_domain() -> None:
    tray = nodes.node("ubuntu", "24.04", "10de:2941", imex_lacks="/etc/nvidia-imex/nodes_config.cfg")
    state, made = nodes.decided(tray, nodes.mirror(version=OLD), OLD)
    assert "nvidia-imex.service" not in [step.name for step in made.steps if isinstance(step, steps.SetUnit)]
    assert {
        "action": "deferred",
        "object": "nvidia-imex.service",
        "reason": "needs /etc/nvidia-imex/nodes_config.cfg with the addresses of the nodes of its domain",
    } in made.actions
    waiting = again(nodes.after(state, made))
    assert (waiting.steps, waiting.changed, [one["action"] for one in waiting.actions]) == ((), False, ["deferred"])
    told = again(dataclasses.replace(nodes.after(state, made), imex_lacks=""))
    assert only(told, steps.SetUnit) == steps.SetUnit("nvidia-imex.service", True, True)


@pytest.mark.parametrize(
    ("enabled", "active", "step"),
    [(False, True, (True, None)), (True, False, (None, True)), (False, False, (True, True))],
    ids=["disabled", "stopped", "both"],
)
def test_imex_that_somebody_disabled_or_stopped_is_back_and_then_left(enabled, active, step) -> None:
    tray = nodes.node("ubuntu", "24.04", "10de:2941")
    state, made = nodes.decided(tray, nodes.mirror(version=OLD), OLD)
    there = nodes.after(state, made)
    assert again(there).steps == ()
    name = "nvidia-imex.service"
    drifted = dataclasses.replace(there, units={**there.units, name: model.Unit(name, enabled, active)})
    state, made = nodes.decided(drifted, nodes.mirror(version=OLD), OLD)
    assert made.steps == (steps.SetUnit(name, *step),)
    assert again(nodes.after(state, made)).steps == ()


def test_no_package_changes_where_a_daemon_reload_would_hurt() -> None:
    _state, made = fresh(daemon_reload_risk=RISK)
    assert "ChangePackages" not in words(made) and "SetUnit" not in words(made)
    assert made.owed.daemon_reload == RISK
    _state, allowed = fresh(nodes.mirror(daemon_reload="allowed"), daemon_reload_risk=RISK)
    assert "ChangePackages" in words(allowed)


def test_a_unit_that_others_start_is_neither_enabled_nor_disabled() -> None:
    static = {"nvidia-persistenced.service": model.Unit("nvidia-persistenced.service", False, True, static=True)}
    node = dataclasses.replace(settled(), units=static)
    assert again(node).steps == ()
    made = again(node, nodes.mirror(version=OLD, persistenced=False))
    assert only(made, steps.SetUnit) == steps.SetUnit("nvidia-persistenced.service", None, False)
