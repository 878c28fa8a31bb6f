# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["no-driver", "no-gpu", "no-module"])
def test_nothing_was_written(node, name):
    assert not node(name).host.file("/etc/accel-gpu/wish.d/mig.json").exists
    assert not node(name).host.file("/var/lib/accel-gpu/mig/journal.json").exists
