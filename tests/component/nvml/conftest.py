# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulated nodes for the tests of the NVML port.

The library is loaded in this process by its path, so that the session's child, which is forked from it, finds it by
name; LD_LIBRARY_PATH is read at process start only and is no help here.
"""

from __future__ import annotations

import contextlib

import pytest
from harness import Sim

from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import open_session


@pytest.fixture
def node(tmp_path):
    """node("a100-80gb,h100-80gb-sxm5") → a Sim that this process sees until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(boards, **words):
            sim = stack.enter_context(Sim(boards, tmp_path / "sim", **words))
            stack.enter_context(sim.selected())
            return sim

        yield start


@pytest.fixture
def session():
    with open_session(deadline=20) as opened:
        yield opened
