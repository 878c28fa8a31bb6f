# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.mark.parametrize("index", [0, 1])
def test_all_drift_is_mended(node, index):
    drifting = node("drifting")
    assert drifting.profiles(index) == ["1g.10gb", "2g.20gb", "3g.40gb"]
    assert all(len(compute) == 1 for compute in drifting.compute(index))


def test_the_agent_is_whole_again(node):
    host = node("drifting").host
    assert host.service("accel-gpu.service").is_enabled
    assert host.run("accel-gpu mig assert").rc == 0
