# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes whose driver comes from packages: what apt, dpkg and modprobe do there is what they do on a machine."""

from __future__ import annotations

import json
import typing as t

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import SCENARIO, Node

PACKAGED = f"{SCENARIO}-packages"
URL = "http://127.0.0.1:8099"
OLD, NEW = "580.95.05", "580.126.16"
BOTH = ("running", "next")
SPECS = tuple(
    # the lab's own archive is small, and apt quick on it
    NodeSpec(host, (board,), state="no_driver", image="driver", sources="lab", **more)
    for host, board, more in (
        ("plain", "h100-80gb-sxm5", {"nvswitches": ("22a3",), "kernels": BOTH}),
        ("secure", "a30-24gb", {"secure_boot": True, "nouveau": True}),
        ("ubuntu", "a30-24gb", {"os": "ubuntu2404"}),
        ("debian", "t4", {}),
    )
)


class PackagedNode(Node):
    """A node and its package manager."""

    def source(self, folder: str, key: str, release: str = "debian12") -> str:
        """Make `folder` the only source besides those of the node, refresh, and return what apt says."""
        line = f"deb [signed-by=/srv/accel-lab/repos/keys/{key}.asc] {URL}/{folder}/{release}/x86_64/ /"
        self.out(f"echo '{line}' > /etc/apt/sources.list.d/lab.list")
        only = "-o Dir::Etc::sourcelist=sources.list.d/lab.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
        done = self.run(f"apt-get update -q -o Acquire::Retries=0 {only} 2>&1; echo status=$?")
        return done.stdout

    def install(self, words: str) -> str:
        return self.out(f"DEBIAN_FRONTEND=noninteractive apt-get install -qy --allow-downgrades {words} 2>&1")

    def fails(self, command: str) -> str:
        """All that a command says that must not succeed."""
        done = self.run(f"({command}) 2>&1")
        assert done.returncode != 0, f"{command}: {done.stdout}"
        return done.stdout

    def version(self, package: str) -> str:
        return self.out(f"dpkg-query -W -f '${{Version}}' {package}")

    def loaded(self) -> str:
        return self.out("cat /sys/module/nvidia/version")

    def named(self) -> str:
        """How the loaded driver names itself, by which the two flavours are told apart."""
        return self.out("head -n 1 /proc/driver/nvidia/version")


@pytest.fixture(scope="module")
def packaged() -> t.Iterator[None]:
    try:
        nodes.up(PACKAGED, SPECS, image.ensure("driver"))
        yield
    finally:
        nodes.down(PACKAGED)


@pytest.fixture
def plain(packaged: None) -> PackagedNode:
    return PackagedNode("plain", scenario=PACKAGED)


@pytest.fixture
def secure(packaged: None) -> PackagedNode:
    return PackagedNode("secure", scenario=PACKAGED)


def test_what_a_fresh_node_has(plain: PackagedNode) -> None:
    running, following = plain.out("uname -r"), plain.out("ls /lib/modules | grep -v $(uname -r)")
    assert following.endswith("-lab-amd64")
    assert plain.out("ls /boot").split() == [
        f"{name}-{kernel}" for name in ("config", "initrd.img", "vmlinuz") for kernel in (running, following)
    ]
    assert plain.out("lsinitramfs /boot/initrd.img-* | grep -c modprobe.d")
    assert "10de:22a3" in plain.out("lspci -nn -d 10de::0680")
    for path in ("/usr/bin/nvidia-smi", "/sys/module/nvidia"):
        assert plain.run(f"test -e {path}").returncode == 1, path


def test_apt_takes_good_signatures_only(plain: PackagedNode) -> None:
    keys = json.loads(plain.out("cat /srv/accel-lab/repos/keys/keys.json"))["keys"]
    assert f"EXPKEYSIG {keys['expired']['fingerprint'][-16:]}" in plain.source("nvidia-expired", "expired")
    assert "is not signed" in plain.source("nvidia-unsigned", "good")
    assert f"NO_PUBKEY {keys['good']['fingerprint'][-16:]}" in plain.source("nvidia", "sha1")
    # this release of Debian does not mind how a key is bound; the next one does
    assert "status=0" in plain.source("nvidia-sha1", "sha1")
    assert "status=0" in plain.source("nvidia", "good")


def test_a_version_of_the_meta_package_alone_pins_nothing(plain: PackagedNode) -> None:
    told = plain.out(f"apt-get install -s nvidia-open={OLD}-1")
    assert f"Inst nvidia-open ({OLD}-1" in told
    assert "Inst libnvidia-ml1 (620.12.04-1" in told


def test_pinned_version_is_installed_and_loaded(plain: PackagedNode) -> None:
    plain.install(f"nvidia-driver-pinning-{OLD}")
    plain.install("nvidia-open nvidia-fabricmanager")
    assert {plain.version(name) for name in ("nvidia-open", "libnvidia-ml1", "nvidia-fabricmanager")} == {f"{OLD}-1"}
    # for the running kernel and the one that boots next, readable for the genuine modinfo
    for kernel in plain.out("ls /lib/modules").split():
        assert plain.out(f"modinfo -k {kernel} -F version nvidia") == OLD
        assert plain.out(f"modinfo -k {kernel} -F license nvidia-uvm") == "Dual MIT/GPL"
    assert plain.run("nvidia-smi").returncode == 9
    plain.out("modprobe nvidia && modprobe nvidia_uvm")
    assert f"Driver Version: {OLD}" in plain.out("nvidia-smi")
    assert plain.loaded() == OLD
    assert " Open Kernel Module " in plain.named()


def test_driver_is_there_again_after_a_reboot(plain: PackagedNode) -> None:
    plain.restart()
    assert plain.loaded() == OLD
    assert plain.out("systemctl is-active nvidia-persistenced") == "active"
    assert f"Driver Version: {OLD}" in plain.out("nvidia-smi")


def test_library_of_another_version_does_not_match_until_the_module_is_loaded_anew(plain: PackagedNode) -> None:
    plain.install("nvidia-driver-pinning-580")
    assert "daemon-reload" in plain.out("cat /var/lib/dpkg/info/nvidia-persistenced.postinst")
    plain.install("nvidia-open")
    assert (plain.version("libnvidia-ml1"), plain.loaded()) == (f"{NEW}-1", OLD)
    mismatch = plain.run("nvidia-smi")
    assert (mismatch.returncode, "version mismatch" in mismatch.stdout + mismatch.stderr) == (18, True)
    plain.out("systemctl stop nvidia-persistenced; modprobe -r nvidia_uvm nvidia_modeset; modprobe -r nvidia; true")
    plain.out("chgrp video /dev/nvidia0; chmod 0600 /dev/nvidia0 /dev/nvidia-uvm")
    plain.out("modprobe nvidia")
    # nvidia-modprobe has them as the driver's parameters say
    files = plain.out("stat --format '%n %U %G %a' /dev/nvidia0 /dev/nvidia-uvm /dev/nvidia-caps/*").splitlines()
    assert files == [
        "/dev/nvidia0 root root 666",
        "/dev/nvidia-uvm root root 666",
        "/dev/nvidia-caps/nvidia-cap1 root root 400",
        "/dev/nvidia-caps/nvidia-cap2 root root 444",
    ]
    assert plain.loaded() == NEW
    assert f"Driver Version: {NEW}" in plain.out("nvidia-smi")


def test_fabric_manager_wants_exactly_the_drivers_version(plain: PackagedNode) -> None:
    assert "Not Started" in plain.out("nvidia-smi -q | grep -A1 Fabric")
    plain.out("systemctl start nvidia-fabricmanager")
    assert "Completed" in plain.out("nvidia-smi -q | grep -A1 Fabric")
    plain.install(f"nvidia-fabricmanager={OLD}-1")
    assert plain.run("systemctl is-active nvidia-fabricmanager").stdout.strip() == "failed"
    told = plain.out("journalctl -u nvidia-fabricmanager -o cat")
    assert f"interface version {OLD} don't match with driver version {NEW}" in told


def test_faults_are_those_of_a_real_package_manager(plain: PackagedNode) -> None:
    quick = "apt-get install -qy -o Acquire::Retries=0"
    many = "nvidia-imex libnvsdm libnvidia-nscq cuda-drivers"
    plain.out("accel-lab lock 1")
    assert "Could not get lock /var/lib/dpkg/lock-frontend" in plain.fails(f"{quick} nvlsm")
    plain.out("sleep 1; accel-lab interrupt")
    assert "dpkg was interrupted" in plain.fails(f"{quick} nvlsm")
    plain.out("dpkg --configure -a && accel-lab disk full")
    assert "You don't have enough free space in /var/cache/apt/archives/" in plain.fails(f"{quick} {many}")
    plain.out("accel-lab disk free && systemctl stop accel-lab-repos")
    assert "Could not connect to 127.0.0.1:8099" in plain.fails(f"{quick} nvlsm")
    plain.out("systemctl start accel-lab-repos && accel-lab fail nvlsm")
    assert "the script of nvlsm fails" in plain.fails(f"{quick} nvlsm")
    assert plain.out("dpkg-query -W -f '${Status}' nvlsm") == "install ok half-configured"
    plain.out("accel-lab fail && dpkg --configure -a")
    assert plain.out("dpkg-query -W -f '${Status}' nvlsm") == "install ok installed"


def test_builds_fail_as_those_of_dkms(plain: PackagedNode) -> None:
    module = f"nvidia/{NEW}"
    plain.out(f"dkms remove {module} --all && accel-lab headers hide")
    assert "headers for kernel" in plain.fails(f"dkms install {module}")
    # the package goes on without the module, as Debian's dkms has it
    assert "was skipped since the" in plain.install("--reinstall nvidia-kernel-open-dkms")
    assert "not found" in plain.fails("modinfo nvidia")
    plain.out(f"accel-lab headers show && dkms remove {module} --all && accel-lab dkms --fail")
    told = plain.fails("apt-get install -qy --reinstall nvidia-kernel-open-dkms")
    assert "Bad return status for module build" in told
    plain.out("accel-lab dkms --seconds 0 && dpkg --configure -a")
    assert plain.out("dkms status").splitlines()[0].endswith(": installed")


def test_secure_boot_takes_enrolled_keys_only(secure: PackagedNode) -> None:
    assert secure.out("mokutil --sb-state") == "SecureBoot enabled"
    assert "nouveau" in secure.out("lsmod")
    assert "status=0" in secure.source("nvidia", "good")
    secure.out("accel-lab dkms --seconds 0")
    secure.install("nvidia-driver-pinning-580")
    secure.install("nvidia-open")
    key = "/var/lib/dkms/mok.pub"
    assert secure.out("modinfo -F signer nvidia") == "DKMS module signing key"
    secure.out("rmmod nouveau")
    refused = secure.run("modprobe nvidia")
    assert (refused.returncode, refused.stderr) == (
        1,
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n",
    )
    assert "is not enrolled" in secure.run(f"mokutil --test-key {key}").stdout
    secure.out(f"printf 'a\\na\\n' | mokutil --import {key}")
    # nobody at the console: the key goes on waiting; and the blacklist counts once it is in the initramfs
    secure.out("echo blacklist nouveau > /etc/modprobe.d/nouveau.conf")
    secure.restart()
    assert "nouveau" in secure.out("lsmod")
    assert "SHA1 Fingerprint" in secure.out("mokutil --list-new")
    secure.out("update-initramfs -u && accel-lab enrol")
    secure.restart()
    assert "is already enrolled" in secure.run(f"mokutil --test-key {key}").stdout
    assert (secure.loaded(), "nouveau" in secure.out("lsmod")) == (NEW, False)


@pytest.mark.full
def test_ubuntus_names(packaged: None) -> None:
    node = PackagedNode("ubuntu", scenario=PACKAGED)
    assert 'VERSION_CODENAME="noble"' in node.out("cat /etc/os-release")
    node.out("apt-get update -q")
    kernel = node.out("uname -r")
    told = node.out("apt-get install -s nvidia-driver-570-server-open")
    assert f"Inst nvidia-driver-580-server-open ({NEW}-0ubuntu1" in told
    words = f"linux-modules-nvidia-580-server-open-{kernel} nvidia-utils-580-server"
    node.install(words)
    assert node.out("modinfo -F signer nvidia") == "Canonical Ltd. Kernel Module Signing"
    node.out("modprobe nvidia")
    assert f"Driver Version: {NEW}" in node.out("nvidia-smi")
    node.out("rmmod nvidia && apt-get purge -qy 'linux-modules-nvidia-*' 'libnvidia-*' 'nvidia-*'")
    assert node.run("modprobe nvidia").returncode == 1
    # NVIDIA's own repository, across the change of names
    node.out("accel-lab dkms --seconds 0")
    assert "status=0" in node.source("nvidia", "good", "ubuntu2404")
    node.install("nvidia-driver-pinning-580")
    node.install("nvidia-open")
    assert node.version("libnvidia-compute-580") == f"{NEW}-0ubuntu1"
    node.install("nvidia-driver-pinning-590")
    node.install("nvidia-open")
    assert node.version("libnvidia-compute") == "590.48.01-0ubuntu1"
    assert "not-installed" in node.out("dpkg-query -W -f '${Status}' nvidia-dkms-580-open")


def test_debians_names(packaged: None) -> None:
    node = PackagedNode("debian", scenario=PACKAGED)
    node.out("apt-get update -q")
    node.install("nvidia-driver nvidia-smi")
    assert node.out("modinfo -F version nvidia-current") == "535.309.01"
    assert node.run("modinfo nvidia").returncode == 1
    assert "blacklist nouveau" in node.out("cat /etc/modprobe.d/nvidia-blacklists-nouveau.conf")
    node.restart()
    assert node.loaded() == "535.309.01"
    # Debian's own name stands for the proprietary modules
    assert " Kernel Module " in node.named() and "Open" not in node.named()
    assert node.run("apt-get install -s nvidia-open-kernel-dkms").returncode == 100


@pytest.mark.full
def test_debian_13_refuses_a_key_that_sha1_binds() -> None:
    scenario = f"{SCENARIO}-trixie"
    node = PackagedNode("n", scenario=scenario)
    try:
        nodes.up(scenario, [NodeSpec("n", ("t4",), state="no_driver", image="driver13")], image.ensure("driver13"))
        assert "SHA1 is not considered secure" in node.source("nvidia-sha1", "sha1")
        assert "not live" in node.source("nvidia-expired", "expired")
        assert "status=0" in node.source("nvidia", "good", "debian13")
        node.install("nvidia-open")
        node.out("modprobe nvidia")
        assert "Driver Version: 620.12.04" in node.out("nvidia-smi")
    finally:
        nodes.down(scenario)
