# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

WANTED = "580.126.16-1"
PINNED = "nvidia-driver-pinning-580.126.16"
HELD = [
    "firmware-nvidia-gsp",
    "libcuda1",
    "libnvidia-ml1",
    "nvidia-driver-cuda",
    PINNED,
    "nvidia-kernel-open-dkms",
    "nvidia-modprobe",
    "nvidia-persistenced",
]


@pytest.mark.parametrize("name", HELD)
def test_every_package_has_the_wished_version_although_newer_ones_are_offered(node, name):
    assert node("fresh").host.package(name).version == WANTED


def test_they_are_held_against_unattended_upgrades(node):
    assert node("fresh").host.check_output("apt-mark showhold").split() == HELD


def test_the_module_is_loaded_and_kept_initialised(node):
    fresh = node("fresh")
    assert fresh.host.file("/sys/module/nvidia/version").content_string.strip() == "580.126.16"
    assert fresh.host.file("/sys/module/nvidia_uvm").exists
    assert fresh.active("nvidia-persistenced.service")


def test_mig_came_in_the_same_run(node):
    assert node("fresh").profiles(0) == ["1g.10gb"] * 7


def test_the_way_back_is_written_down(node):
    found = node("fresh").json("/var/lib/accel-gpu/driver/record.json")["is"]
    assert found["packages"] == {}
    assert set(HELD) <= set(found["added"])
    assert not node("fresh").host.file("/var/lib/accel-gpu/driver/journal.json").exists
