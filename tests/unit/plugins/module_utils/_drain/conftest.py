# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._drain import apply as applying
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.draining import Clock


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(applying, "time", clock)
    return clock
