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


def test_an_upgrade_of_the_whole_node_takes_none_of_them_to_a_newer_version(node):
    fresh = node("fresh").host
    # beside the holds the pin alone keeps them
    policy = fresh.check_output("apt-cache policy libcuda1")
    assert f"Candidate: {WANTED}" in policy
    assert "620.12.04-1" in policy
    told = fresh.check_output("apt-get -s -q dist-upgrade")
    assert [line for line in told.splitlines() if line.startswith(("Inst", "Remv")) and "nvidia" in line] == []


PREBUILT = "580.126.16"
# the module of the running kernel, and what comes with it
PACKAGES = [
    "libnvidia-compute-580-server",
    "linux-modules-nvidia-580-server-open-{kernel}",
    "nvidia-compute-utils-580-server",
    "nvidia-headless-no-dkms-580-server-open",
    "nvidia-kernel-common-580-server",
    "nvidia-utils-580-server",
]


def test_modules_of_the_distribution_are_installed_and_loaded_and_none_is_built(node):
    host = node("prebuilt").host
    kernel = host.check_output("uname -r")
    listed = host.check_output("dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Version}\n' '*nvidia*'")
    assert sorted(line.split("|")[1:] for line in listed.splitlines() if line[1] == "i") == [
        [name.format(kernel=kernel), f"{PREBUILT}-0ubuntu1"] for name in PACKAGES
    ]
    assert host.check_output("apt-mark showhold").split() == [name.format(kernel=kernel) for name in PACKAGES]
    assert host.check_output("dkms status") == ""
    assert host.check_output("modinfo -F signer nvidia") == "Canonical Ltd. Kernel Module Signing"
    assert host.check_output("mokutil --sb-state") == "SecureBoot enabled"
    assert host.file("/sys/module/nvidia/version").content_string.strip() == PREBUILT
    assert host.check_output("nvidia-smi --query-gpu=driver_version --format=csv,noheader") == PREBUILT


@pytest.mark.parametrize("name", ["fresh", "prebuilt"])
def test_nothing_outside_the_node_was_asked_for_anything(node, name):
    host = node(name).host
    assert "state DOWN" in host.check_output("ip -oneline link show dev eth0")
    # packets for which there was no route: a name that somebody looked up would be one
    counter = "awk '/^Ip: [0-9]/ {print $13}' /proc/net/snmp"
    assert host.check_output(counter) == "0"
    # the counter does count: beside it, in a network of its own without any route
    look_up = "getent hosts developer.download.nvidia.com"
    assert int(host.check_output("unshare --net sh -c %s", f"{look_up} || :; {counter}")) > 0
