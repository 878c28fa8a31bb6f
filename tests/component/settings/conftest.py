# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests of settings on simulated nodes."""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

import pytest
from harness import LIBRARY

from ansible_collections.accel.gpu.tests.component.settings.devices import Node
from ansible_collections.accel.gpu.tests.component.settings.machine import Machine


@pytest.fixture(scope="session", autouse=True)
def library_is_built() -> None:
    """One clear failure instead of one for each test."""
    if not LIBRARY.exists():
        pytest.fail(f"{LIBRARY} is missing: run `make gpusim-build` first", pytrace=False)


@pytest.fixture
def machine() -> t.Iterator[t.Callable[..., Machine]]:
    """machine("a100-80gb,t4", virt="passthrough"); what it started is ended after the test."""
    made: t.List[Machine] = []
    with tempfile.TemporaryDirectory(prefix="n") as folder:

        def make(boards: str, **words: t.Any) -> Machine:
            made.append(Machine(Path(folder) / f"{len(made)}", boards, **words))
            return made[-1]

        yield make
        for one in made:
            one.close()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)
