# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests of the driver on simulated GPUs: those of MIG changes."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders
from ansible_collections.accel.gpu.tests.component.mig.conftest import library_is_built, node, short

__all__ = ["library_is_built", "node", "short"]


@pytest.fixture(autouse=True)
def between_looks(monkeypatch: pytest.MonkeyPatch) -> t.List[t.Callable[[], None]]:
    """What happens between two looks at who has GPUs open, in this order; nobody waits for it."""
    happens: t.List[t.Callable[[], None]] = []
    clock = SimpleNamespace(sleep=lambda _seconds: happens.pop(0)() if happens else None)
    monkeypatch.setattr(holders, "time", clock)
    return happens
