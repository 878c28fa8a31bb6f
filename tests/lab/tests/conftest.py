# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the lab's own tests: with `started` or a node they start containers, the other tests need none."""

from __future__ import annotations

import functools
import typing as t

import pytest
from labctl import image, nodes
from package_families import FAMILIES, Case, start
from package_families import SCENARIO as PACKAGES
from simulated import SCENARIO, SPECS, Node


@pytest.fixture(scope="session")
def tag() -> str:
    """One image for all tests of a run, whatever is edited meanwhile."""
    return image.ensure()


@pytest.fixture(scope="session")
def started(tag: str) -> t.Iterator[dict[str, nodes.Started]]:
    try:
        yield {spec.host: one for spec, one in zip(SPECS, nodes.up(SCENARIO, SPECS, tag))}
    finally:
        nodes.down(SCENARIO)


@pytest.fixture(scope="session")
def a100(started: dict[str, nodes.Started]) -> Node:
    return Node("a100")


@pytest.fixture(scope="session")
def h100(started: dict[str, nodes.Started]) -> Node:
    return Node("h100")


@pytest.fixture(scope="session")
def package_case() -> t.Iterator[t.Callable[[str], Case]]:
    """package_case("apt"): the node with that package manager, one for all tests of a run."""
    try:
        yield functools.cache(start)
    finally:
        nodes.down(PACKAGES)


@pytest.fixture(params=list(FAMILIES))
def case(request: pytest.FixtureRequest, package_case: t.Callable[[str], Case]) -> Case:
    return package_case(request.param)
