# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures that need no node: planning time, NVML calls of a run that changes nothing."""

from __future__ import annotations

import pathlib
import tempfile
import time
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._mig.plan import plan
from ansible_collections.accel.gpu.tests.component.mig.node import Node
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils.boards import gpu, node

# Eight GPUs with something to keep, something in the way and something missing on each.
STANDING = (("1g.10gb", 0), ("1g.10gb", 3), ("3g.40gb", 4))
WISH = [{"gpus": "all", "instances": {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 2}}]


def planning_seconds(repeats: int = 5) -> float:
    """Best of `repeats`: parse nothing anew, plan eight GPUs that all need a change."""
    eight = node(*(gpu("h100-80gb-sxm5", instances=STANDING, index=index) for index in range(8)))
    wish = parse(geometry=WISH)
    best = float("inf")
    for _run in range(repeats):
        started = time.perf_counter()
        planned = plan(wish, eight)
        best = min(best, time.perf_counter() - started)
    if len([one for one in planned.gpus if one.steps]) != 8:
        raise RuntimeError("the benchmark plans no change")
    return best


def nvml_calls() -> t.List[str]:
    """Lines about the second of two equal runs on a simulated node with eight GPUs."""
    with tempfile.TemporaryDirectory() as folder:
        simulated = Node(pathlib.Path(folder), "h100-80gb-sxm5*8")
        try:
            simulated.make(WISH)
            started = time.perf_counter()
            result = simulated.make(WISH)
            wall = time.perf_counter() - started
        finally:
            simulated.close()
    session = simulated.sessions[-1]
    if result["changed"]:
        raise RuntimeError("the second run changed something")
    return [
        f"{sum(session.calls.values())} NVML calls, {sum(session.write_calls.values())} of them write, "
        f"{session.snapshots} snapshot",
        f"{wall * 1000:.0f} ms wall (read, plan; simulated NVML)",
    ]
