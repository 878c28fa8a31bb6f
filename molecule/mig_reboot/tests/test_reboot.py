# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("name", "profiles"),
    [("reboot-a100", ["1g.10gb", "2g.20gb", "3g.40gb"]), ("reboot-h100", ["1g.20gb", "1g.20gb", "3g.40gb"])],
)
def test_the_geometry_is_back(node, name, profiles):
    machine = node(name)
    assert machine.profiles(0) == profiles
    assert all(len(compute) == 1 for compute in machine.compute(0))


@pytest.mark.parametrize("name", ["reboot-a100", "reboot-h100"])
def test_it_really_was_another_boot(node, name):
    machine = node(name)
    assert machine.show()["boot_count"] > machine.json("/var/tmp/before.json")["boot_count"]
    old = machine.host.file("/var/tmp/boot_id").content_string
    assert machine.host.file("/proc/sys/kernel/random/boot_id").content_string != old


def test_the_gpu_without_mig_stayed_without(node):
    assert node("reboot-h100").mode(1) == (False, False)


def test_placements_are_those_of_before(node):
    machine = node("reboot-a100")
    before = machine.json("/var/tmp/before.json")["gpus"][0]["instances"]
    assert sorted((i["profile"], i["placement"]["start"]) for i in before) == sorted(
        (i["profile"], i["placement"]["start"]) for i in machine.gpu(0)["instances"]
    )


def test_the_agent_ran_before_those_who_use_the_devices(node):
    machine = node("reboot-h100")
    summary = machine.json("/run/accel-gpu/boot.json")
    assert machine.active("accel-gpu.service"), summary

    def started(unit):
        out = machine.host.check_output(f"systemctl show --value -p ActiveEnterTimestampMonotonic {unit}")
        return int(out)

    for unit in ("docker.service", "slurmd.service"):
        assert started("accel-gpu.service") < started(unit)
