# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When MIG devices changed last is remembered by every run that changed some, however it ended."""

from __future__ import annotations

import os
import time

from ansible_collections.accel.gpu.plugins.module_utils._mig import restarts
from ansible_collections.accel.gpu.tests.component.mig.node import Node, in_child

TWO = [{"gpus": {"index": 0}, "instances": {"1g.10gb": 2}}]
ONE = [{"gpus": {"index": 0}, "instances": {"7g.80gb": 1}}]
CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


def now() -> int:
    return time.monotonic_ns() // 1000


def last_change(node: Node) -> int:
    """Microseconds, 0 if there was none in this boot."""
    return restarts.last_change(node.files) or 0


def test_a_change_is_remembered_and_a_quiet_run_is_none(node):
    made = node("h100-80gb-sxm5")
    assert last_change(made) == 0
    before = now()
    made.make(TWO)
    first = last_change(made)
    assert before <= first <= now()
    made.make(TWO, persist=True)  # writes the wish only
    assert last_change(made) == first
    made.apply({"geometry": ONE}, check=True)
    assert last_change(made) == first
    made.make(ONE)
    assert last_change(made) > first


def test_a_restored_layout_is_a_change_too(node):
    made = node("h100-80gb-sxm5")
    made.make(TWO)
    first = last_change(made)
    made.sim.control(f"fault {CREATE} nth=1 code=NVML_ERROR_UNKNOWN")
    assert made.apply({"geometry": ONE})["failed"]
    assert last_change(made) > first


def test_a_run_that_touched_no_device_is_none(node):
    made = node("h100-80gb-sxm5")
    made.make(TWO)
    first = last_change(made)
    made.occupy(0, made.layouts()[0][2][0][1])
    assert made.apply({"geometry": ONE})["error"]["kind"] == "busy"
    assert last_change(made) == first


def test_a_killed_run_is_remembered_by_the_next(node):
    made = node("h100-80gb-sxm5")
    made.make(TWO)
    first = last_change(made)
    made.sim.control(f"fault {CREATE} nth=1 killgroup when=after")
    assert in_child(lambda: made.apply({"geometry": ONE})) is None
    assert last_change(made) == first
    made.sim.control("clearfaults")
    made.make(TWO)
    assert last_change(made) > first


def test_units_that_run_owe_a_restart_after_a_change_and_before_it_in_check_mode(node):
    made = node("a100-80gb")
    made.services.add("nvidia-dcgm.service", os.getpid(), [0])
    made.services.add("exporter.service", os.getpid(), [])
    wish = {"geometry": TWO, "notify": ["exporter", "nvidia-dcgm", "gone"]}
    foretold = made.apply(wish, check=True)
    # DCGM is stopped for the reset and started again, so it owes nothing
    assert foretold["restart_required"] == ["exporter.service"]
    made.make(TWO)
    shows = [command for command in made.commands if command[:2] == ("systemctl", "show") and "exporter" in command[-1]]
    assert shows == []  # nobody was to be notified
    quiet = made.apply(wish)
    assert (quiet["changed"], "exporter.service" in quiet["restart_required"]) == (False, True)
    assert "gone.service" not in quiet["restart_required"]
