# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Distributions on which the driver is installed, and the repositories it comes from. PRIVATE to the collection.

Sources: [guide] is NVIDIA's driver installation guide, editions 615 and 620; [suse] are the installation notes of
SUSE's NVIDIA packager (G07, February 2026); [measured] was measured with the real packages in November 2026.
"""

from __future__ import annotations

import datetime
import typing as t

# The network repositories of NVIDIA; a mirror's address stands for this one. Source: [guide].
BASE = "https://developer.download.nvidia.com/compute/cuda/repos"


class Platform(t.NamedTuple):
    """One row for each distribution release. `layout` names the row in driver_packages, `directory` the repository
    below BASE. `architectures` maps the kernel's name to the repository's. `own` are the branches that the
    distribution has itself, newest first, in `components` of its archive. `streams`: NVIDIA's repository has dnf
    modules here."""

    layout: str
    directory: str
    architectures: t.Mapping[str, str]
    own: t.Tuple[str, ...] = ()
    components: t.Tuple[str, ...] = ()
    streams: bool = False


_X86 = {"x86_64": "x86_64"}
_ALL = {"x86_64": "x86_64", "aarch64": "sbsa"}

# [measured] of both: open modules and persistenced, the driver, the firmware
_EVERY = ("contrib", "non-free", "non-free-firmware")
_DEBIAN = {
    # [measured] 535 and 550; [guide] names x86_64 alone for both
    "12": Platform("debian", "debian12", _X86, ("535",), _EVERY),
    "13": Platform("debian", "debian13", _X86, ("550",), _EVERY),
}
# Own branches: packages.ubuntu.com, nvidia-headless-<branch>-server. 570 is left out: there it is a transitional
# package that installs 580. 535 in 26.04 was not seen.
_UBUNTU = {
    "22.04": Platform("ubuntu", "ubuntu2204", _ALL, ("595", "580", "535"), ("restricted",)),
    "24.04": Platform("ubuntu", "ubuntu2404", _ALL, ("595", "580", "535"), ("restricted",)),
    "26.04": Platform("ubuntu", "ubuntu2604", _ALL, ("595", "580"), ("restricted",)),
}
# [guide]: modularity on 8 and 9, none on 10. The sbsa directories of 8 and 10 are not verified.
_RHEL = {
    "8": Platform("rhel", "rhel8", _ALL, streams=True),
    "9": Platform("rhel", "rhel9", _ALL, streams=True),
    "10": Platform("rhel", "rhel10", _ALL),
}
_SLES = {"15": Platform("sles", "sles15", _ALL)}  # [suse]: sles15/x86_64 and sles15/sbsa

# By ID of os-release, then by release: the whole VERSION_ID where it is a key, else what stands before its first dot.
DISTRIBUTIONS: t.Dict[str, t.Mapping[str, Platform]] = {
    "debian": _DEBIAN,
    "ubuntu": _UBUNTU,
    "rhel": _RHEL,
    "rocky": _RHEL,
    "almalinux": _RHEL,
    "ol": _RHEL,
    "centos": _RHEL,
    "sles": _SLES,
}

# For messages.
SUPPORTED = (
    "Debian 12 and 13; Ubuntu 22.04, 24.04 and 26.04; RHEL, Rocky Linux, AlmaLinux, Oracle Linux and CentOS 8, 9 and "
    "10; SLES 15"
)

# --- signing keys ---

DEB_OLD = "EB693B3035CD5710E231E123A4B469963BF863CC"
DEB_13 = "02182E60104FCDC26EAE1B8597A5D4CB8793F200"
RPM = "610C7B14E068A878070DA4E99CD0A493D42D0685"


class Key(t.NamedTuple):
    """`file` is its name in a repository's directory. `sha1`: its own signatures are made with SHA-1."""

    file: str
    sha1: bool = False


KEYS: t.Dict[str, Key] = {
    # cuda-repo-management#39: every deb repository but debian13 keeps it; full fingerprint: azhpc-images
    DEB_OLD: Key("3bf863cc.pub", sha1=True),
    # third parties: several independent projects that verify the repository name this fingerprint
    DEB_13: Key("8793F200.pub"),
    # NVIDIA/yum-packaging-nvidia-driver, guide for RHEL 8, shows the fingerprint; file name: the .repo files of [guide]
    RPM: Key("D42D0685.pub"),
}

# Which key signs a repository; the others of their kind have DEB_OLD and RPM.
SIGNED_BY: t.Dict[str, str] = {"debian13": DEB_13}
SIGNED_BY_FAMILY: t.Dict[str, str] = {"debian": DEB_OLD, "rhel": RPM, "suse": RPM}

# Distributions that no longer accept signatures with SHA-1, and since when: apt of Debian 13 verifies with sqv, whose
# policy ends them on this day. Source: cuda-repo-management#39 and claytono/infra#1334.
SHA1_REFUSED: t.Dict[t.Tuple[str, str], datetime.date] = {("debian", "13"): datetime.date(2026, 2, 1)}
