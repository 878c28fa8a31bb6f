# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Version numbers of drivers, in NVIDIA's form and in those of package managers. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

# "580.126.16", "575.64"; in packages "3:580.126.16-1.el9", "580.126.09-0ubuntu0.24.04.1", "595.71.05_k6.4.0-1.1".
_DRIVER = re.compile(r"^(?:\d+:)?(\d{3}\.\d{2,3}(?:\.\d{2})?)(?![.\d])")
_EXACT = re.compile(r"^\d{3}\.\d{2,3}(?:\.\d{2})?$")


def nvidia(version: t.Optional[str]) -> t.Optional[str]:
    """NVIDIA's version in that of a package, None where it carries none."""
    found = _DRIVER.match(version or "")
    return found.group(1) if found else None


def is_exact(text: str) -> bool:
    return bool(_EXACT.match(text))


def branch(version: str) -> str:
    """ "580" of "580.126.16"."""
    return version.partition(".")[0]


def key(version: str) -> t.Tuple[int, ...]:
    """For sorting versions of NVIDIA's form, and branches."""
    return tuple(int(part) for part in version.split("."))


def older(version: str, than: str) -> bool:
    return key(version) < key(than)
