# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Process death and failing calls at the NVML calls of a reset, those of nvidia-smi among them.

After the next run, whether a reset or a MIG change, the geometry, the settings and the services are what they were.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._reset import core
from ansible_collections.accel.gpu.plugins.module_utils._settings import kept
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, PERSISTENCED, on
from ansible_collections.accel.gpu.tests.component.mig.node import Node, in_child
from ansible_collections.accel.gpu.tests.component.reset.calls import SPLIT, power_limit, reset

SEED = os.environ.get("ACCEL_TEST_SEED", "1")
SAMPLE = 4
# Leaves the geometry to what is there.
NEUTRAL = {"geometry": [on(None)]}
CODES = ("UNKNOWN", "IN_USE", "GPU_IS_LOST")


class Bench:
    """A prepared node and the number of NVML calls that the `apply` of a reset makes on it."""

    def __init__(self, board: str, folder: Path) -> None:
        self.folder = folder
        self._number = itertools.count()
        self._continued: t.Set[t.Tuple[str, bool]] = set()
        self.node = Node(folder / "prepared", board)
        self.node.make(SPLIT)
        self.node.sim.smi("-i", "0", "-pl", "250", check=True)
        for unit in (DCGM, PERSISTENCED):
            self.node.services.add(unit, self.node.sim.occupy(0, kind="holder"), [0])
        self.layouts = self.node.layouts()
        clean = self.node.copy(folder / "clean")
        assert not run(clean, None)["failed"]
        self.total = sum(clean.sim.counts().values())

    def case(self, fault: str, number: int) -> str:
        """What is wrong after a run with the fault and another run without; "" when all is well."""
        node = self.node.copy(self.folder / f"case{next(self._number)}")
        try:
            in_child(lambda: run(node, fault))
            node.sim.control("clearfaults")
            node.sim.control("resetcounts")
            # Between two writes all deaths leave the same node, of which the next run makes the same.
            left = (node.fingerprint(), bool(number % 2))
            if left in self._continued:
                return ""
            self._continued.add(left)
            if number % 2:
                in_child(lambda: run(node, None))
            else:
                in_child(lambda: node.apply(NEUTRAL))
            found = (node.layouts(), node.has_journal, node.files.exists(kept.PATH), node.services.active())
            active = {DCGM: True, PERSISTENCED: True}
            limit = power_limit(node, 0)
            well = found == (self.layouts, False, False, active) and limit == "250.00"
            return "" if well else f"{fault}: {found}, {limit} W"
        finally:
            shutil.rmtree(node.folder)


def run(node, fault):
    """One reset with the fault from the beginning of `apply` on."""
    original = core.apply

    def counted(plan, ports):
        node.sim.control("resetcounts")
        if fault:
            node.sim.control(f"fault {fault}")
        return original(plan, ports)

    core.apply = counted
    try:
        result = reset(node)
    finally:
        core.apply = original
    return {"failed": False, **result}


@pytest.fixture(scope="module", params=[A100, H100])
def bench(request):
    with tempfile.TemporaryDirectory(prefix="n") as folder:
        made = Bench(request.param, Path(folder))
        yield made
        made.node.close()


def _try(bench, action, numbers):
    wrong = [text for number in numbers for text in [bench.case(f"* nth={number} {action}", number)] if text]
    assert not wrong, "\n".join(wrong)


def _some(bench, salt):
    # A sample, no secret.
    return random.Random(f"{SEED} {salt} {bench.total}").sample(range(1, bench.total + 1), SAMPLE)


@pytest.mark.parametrize("action", ["kill", "killgroup"])
def test_death_at_some_calls(bench, action):
    _try(bench, action, _some(bench, action))


def test_some_calls_fail(bench):
    for code in CODES:
        _try(bench, f"code=NVML_ERROR_{code}", _some(bench, code)[:2])


@pytest.mark.full
@pytest.mark.parametrize("action", ["kill", "killgroup", *(f"code=NVML_ERROR_{code}" for code in CODES)])
def test_every_call(bench, action):
    _try(bench, action, range(1, bench.total + 1))
