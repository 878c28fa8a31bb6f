# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which distribution a node runs, from the text of os-release. Pure. PRIVATE to the collection."""

from __future__ import annotations

import shlex
import typing as t

from ..model import Distribution

# Words of ID and ID_LIKE -> family. Source: the os-release files of the distributions themselves; ID_LIKE counts only
# where ID says nothing, so that an unknown descendant still has a family.
FAMILIES: t.Dict[str, str] = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "rhel",
    "rocky": "rhel",
    "almalinux": "rhel",
    "ol": "rhel",
    "centos": "rhel",
    "fedora": "rhel",
    "amzn": "rhel",
    "sles": "suse",
    "sle_hpc": "suse",
    "sles_sap": "suse",
    "suse": "suse",
    "opensuse": "suse",
    "opensuse-leap": "suse",
}


def fields(text: str) -> t.Dict[str, str]:
    """The assignments of an os-release file; its values are quoted as a shell does it."""
    found = {}
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if not sign or name.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            words = [value.strip("\"'")]  # a quote without its end: the rest still tells something
        found[name] = words[0] if words else ""
    return found


def distribution(text: str, arch: str) -> Distribution:
    """`family` is empty where neither ID nor ID_LIKE names a known one."""
    known = fields(text)
    words = [known.get("ID", "linux").lower(), *known.get("ID_LIKE", "").lower().split()]
    return Distribution(
        id=words[0],
        version=known.get("VERSION_ID", ""),
        family=next((FAMILIES[word] for word in words if word in FAMILIES), ""),
        codename=known.get("VERSION_CODENAME", ""),
        arch=arch,
        name=known.get("PRETTY_NAME") or known.get("NAME", "") or words[0],
    )
