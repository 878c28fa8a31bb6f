# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which driver is on this node's disk: modules that packages installed, or the one that the lab put there itself."""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

import ko
import sim

MODULES = Path("/lib/modules")
# the version of the driver that came with the node instead of packages
BAKED = sim.STATE.parent / "baked"
# Debian renames the files; the modules' own names stay
FIRST_NAMES = ("nvidia", "nvidia-current", "nvidia-current-open")
# depmod's order
FOLDERS = ("updates", "extra", "weak-updates", "kernel")
MODPROBE_FOLDERS = ("etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d")


class Driver(t.NamedTuple):
    """A module that modprobe would find: its version, and its file unless it came with the node."""

    version: str
    path: t.Optional[Path]
    facts: t.Mapping[str, str]


def find(module: str) -> t.Optional[Driver]:
    """The file of `module` (nvidia_uvm) for the running kernel, else the driver that came with the node."""
    suffix = module[len("nvidia") :].replace("_", "-") if module.startswith("nvidia") else ""
    # gdrdrv, nvidia_fs and others that no package of the lab has come along with the driver
    path = module_file(suffix if suffix in ko.SUFFIXES else "", os.uname().release)
    if path is not None:
        facts = ko.read(path)
        return Driver(facts.get("version", ""), path, facts)
    return Driver(baked(), None, {}) if baked() else None


def module_file(suffix: str, kernel: str) -> t.Optional[Path]:
    wanted = {f"{first}{suffix}.ko" for first in FIRST_NAMES}
    for folder in FOLDERS:
        for path in sorted((MODULES / kernel / folder).rglob("*.ko")):
            if path.name in wanted:
                return path
    return None


def baked() -> str:
    return BAKED.read_text().strip() if BAKED.exists() else ""


def settings(root: Path = Path("/")) -> str:
    """All of modprobe's settings below `root`, as one text."""
    found = [path for folder in MODPROBE_FOLDERS for path in sorted((root / folder).glob("*.conf"))]
    return "\n".join(path.read_text() for path in found if path.exists())


def blocked(module: str, text: str) -> bool:
    """Whether these settings keep udev from loading `module` by itself."""
    name = re.escape(module).replace("_", "[-_]")
    return bool(
        re.search(rf"^\s*(blacklist\s+{name}\s*$|install\s+{name}\s+/bin/(false|true))", text, flags=re.MULTILINE)
    )
