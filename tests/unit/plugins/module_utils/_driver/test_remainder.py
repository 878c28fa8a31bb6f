# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a download says of the node that has to be drained for the rest."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.planned import Asked, Planned, Seen, decide
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    NEW,
    OLD,
    RISK,
    dependency,
    fresh,
    settled,
)

AGAIN = "the kernel modules are loaded again"


def download(node: model.Node, changes: t.Sequence[model.Change] = (), **wish: t.Any) -> Planned:
    asked = nodes.mirror(download_only=True, change_loaded=True, when_busy="defer", **wish)
    state, _made = nodes.decided(node, asked, NEW, OLD, changes=changes)
    return decide(Asked(asked), Seen(state))


@pytest.mark.parametrize("facts", [{}, {"busy": BUSY}, {"daemon_reload_risk": RISK}])
@pytest.mark.parametrize(
    ("wish", "changes", "why"),
    [
        ({"version": OLD}, (), []),
        ({"version": OLD, "hold": False}, (), []),
        ({"version": NEW}, dependency(NEW, OLD), [f"the driver changes from {OLD} to {NEW}", AGAIN]),
        (
            {"version": OLD, "flavour": "proprietary"},
            (),
            [f"the driver changes from {OLD} (open) to {OLD} (proprietary)", AGAIN],
        ),
        ({"version": OLD, "parameters": {"nvidia": {"NVreg_EnableMSI": 0}}}, (), [AGAIN]),
    ],
)
def test_work_has_to_go_where_packages_or_modules_in_use_change(
    wish: t.Dict[str, t.Any], changes: t.Sequence[model.Change], why: t.List[str], facts: t.Dict[str, t.Any]
) -> None:
    node = dataclasses.replace(settled(), live_parameters={"nvidia": {"NVreg_EnableMSI": "1"}}, **facts)
    made = download(node, changes, **wish)
    assert made.refusal is None
    assert made.result()["drain_required"] == why


@pytest.mark.parametrize(("version", "told"), [(OLD, True), (NEW, False)])
def test_a_next_boot_without_the_driver_is_told_before_the_drain(version: str, told: bool) -> None:
    """Unless the change brings the modules anew for every kernel."""
    node = dataclasses.replace(settled(), next=nodes.kernel("6.8.0-94-generic"))
    made = download(node, dependency(NEW, OLD) if version == NEW else (), version=version)
    assert bool(made.result()["boot_without_driver"]) is told


def test_a_node_without_a_driver_has_to_be_drained_too() -> None:
    state, _made = fresh()
    made = download(state.node, dependency(NEW), version=NEW)
    assert made.result()["drain_required"] == ["the kernel modules are loaded"]


def test_what_would_be_refused_on_the_drained_node_is_refused_while_it_serves() -> None:
    made = download(dataclasses.replace(settled(), package_problems=("dpkg was interrupted",)), version=NEW)
    assert made.refusal is not None and made.refusal.kind == "blocked"
