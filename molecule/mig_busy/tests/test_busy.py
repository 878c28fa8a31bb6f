# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.mark.parametrize("index", [0, 1])
def test_the_work_has_the_same_pid_and_instance(node, index):
    busy = node("busy")
    pid = int(busy.host.file(f"/var/tmp/pid{index}").content_string)
    assert busy.host.file(f"/proc/{pid}").is_directory
    assert pid in [process["pid"] for process in busy.gpu(index)["processes"]]


@pytest.mark.parametrize("index", [0, 1])
def test_nothing_at_all_was_touched(node, index):
    busy = node("busy")
    assert busy.gpu(index)["instances"] == busy.json("/var/tmp/before.json")["gpus"][index]["instances"]
    assert busy.profiles(index) == ["1g.10gb"] * 7
