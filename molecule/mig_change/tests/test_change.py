# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


def devices(gpu):
    return {
        (instance["profile"], instance["placement"]["start"]): [c["uuid"] for c in instance["compute_instances"]]
        for instance in gpu["instances"]
    }


def test_the_wished_geometry_is_there(node):
    changing = node("changing")
    assert changing.layout(0) == ["1g.10gb 0:1", "1g.10gb 1:1", "2g.20gb 2:2", "3g.40gb 4:4"]
    assert changing.profiles(1) == ["3g.40gb", "3g.40gb"]
    assert changing.mode(2) == (False, False)


def test_only_the_instance_in_the_way_was_destroyed(node):
    changing = node("changing")
    before = changing.json("/var/tmp/before.json")["gpus"]
    kept = [("1g.10gb", 0), ("1g.10gb", 1), ("3g.40gb", 4)]
    was, now = devices(before[0]), devices(changing.gpu(0))
    assert {place: now[place] for place in kept} == {place: was[place] for place in kept}
    assert ("1g.10gb", 3) in was and ("1g.10gb", 3) not in now
    assert devices(before[1]).items() <= devices(changing.gpu(1)).items()


@pytest.mark.parametrize("index", [0, 1])
def test_the_work_beside_the_change_still_runs(node, index):
    changing = node("changing")
    pid = int(changing.host.file(f"/var/tmp/pid{index}").content_string)
    assert changing.host.file(f"/proc/{pid}").is_directory
    assert pid in [process["pid"] for process in changing.gpu(index)["processes"]]
