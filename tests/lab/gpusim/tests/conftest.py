# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests that run programs on simulated nodes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from harness import LIBRARY, Sim

NodeMaker = t.Callable[..., Sim]


@pytest.fixture(scope="session", autouse=True)
def library_is_built() -> None:
    """One clear failure instead of one for each test."""
    if not LIBRARY.exists():
        pytest.fail(f"{LIBRARY} is missing: run `make gpusim` first", pytrace=False)


@pytest.fixture
def node(tmp_path: Path) -> t.Iterator[NodeMaker]:
    """node("a100-80gb,t4", virt="passthrough") → Sim; what it started is ended after the test."""
    made: t.List[Sim] = []

    def make(boards: str, **words: str) -> Sim:
        made.append(Sim(boards, tmp_path / f"node{len(made)}", **words))
        return made[-1]

    yield make
    for sim in made:
        sim.close()


@pytest.fixture
def gpusim_state(node: NodeMaker) -> t.Callable[[str], t.Dict[str, str]]:
    """gpusim_state("a100-80gb") → the environment in which programs see such a node."""
    return lambda boards: node(boards).env
