# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

DRIVER = "580.95.05"
RHEL = [
    "kmod-nvidia-open-dkms",
    "libnvidia-ml",
    "nvidia-driver-cuda",
    "nvidia-driver-cuda-libs",
    "nvidia-kmod-common",
    "nvidia-persistenced",
]
SLES = [
    "libnvidia-ml",
    "nvidia-common-G06",
    "nvidia-compute-G06",
    "nvidia-compute-utils-G06",
    "nvidia-modprobe",
    "nvidia-open-driver-G06",
    "nvidia-persistenced",
]
PACKAGES = {"modular": RHEL, "plain": RHEL, "sles": SLES}
REPOSITORIES = {
    "modular": ("/etc/yum.repos.d/accel-gpu-driver.repo", "rhel9"),
    "plain": ("/etc/yum.repos.d/accel-gpu-driver.repo", "rhel10"),
    "sles": ("/etc/zypp/repos.d/accel-gpu-driver.repo", "sles15"),
}
ALL = pytest.mark.parametrize("name", list(PACKAGES))


@ALL
def test_the_packages_of_the_wished_version_are_there_and_no_others(node, name):
    listed = node(name).host.check_output("rpm -qa --qf '%{NAME} %{VERSION}\n' '*nvidia*'")
    assert sorted(listed.splitlines()) == [f"{package} {DRIVER}" for package in PACKAGES[name]]


@pytest.mark.parametrize("name", ["modular", "plain"])
def test_versionlock_came_along_and_holds_them(node, name):
    host = node(name).host
    assert host.package("python3-dnf-plugin-versionlock").is_installed
    release = "el9" if name == "modular" else "el10"
    # dnf itself reads it: a newer version of the same stream is offered and not taken
    assert sorted(host.check_output("dnf -q versionlock list").split()) == [
        f"{package}-3:{DRIVER}-1.{release}.*" for package in RHEL
    ]
    assert host.check_output("dnf -q -y check-update '*nvidia*' || :") == ""


def test_zypper_holds_them(node):
    listed = node("sles").host.check_output("zypper -q locks")
    rows = [[cell.strip() for cell in line.split("|")] for line in listed.splitlines() if "package" in line]
    assert [row[1] for row in rows] == SLES


def test_dnf_is_in_the_stream_of_the_branch(node):
    enabled = node("modular").host.check_output("dnf -q module list --enabled nvidia-driver")
    assert [line.split()[1] for line in enabled.splitlines() if line.startswith("nvidia-driver")] == ["580-open"]
    assert not node("plain").host.file("/etc/dnf/modules.d/nvidia-driver.module").exists


@ALL
def test_the_repository_is_checked_by_the_mirrors_key(node, name):
    path, folder = REPOSITORIES[name]
    content = node(name).host.file(path).content_string.splitlines()
    assert f"baseurl=http://127.0.0.1:8099/nvidia/{folder}/x86_64/" in content
    assert "gpgcheck=1" in content
    assert "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-accel-gpu-driver" in content


@ALL
def test_the_driver_answers(node, name):
    host = node(name).host
    assert host.file("/sys/module/nvidia/version").content_string.strip() == DRIVER
    assert host.file("/sys/module/nvidia_uvm").exists
    assert host.check_output("nvidia-smi --query-gpu=driver_version --format=csv,noheader") == DRIVER
    assert host.file("/etc/modprobe.d/accel-gpu.conf").content_string.splitlines()[1:] == [
        "blacklist nouveau",
        "options nouveau modeset=0",
    ]
    assert host.service("nvidia-persistenced.service").is_enabled
    assert host.service("nvidia-persistenced.service").is_running
