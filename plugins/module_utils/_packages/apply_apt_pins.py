# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preferences of apt for one call. PRIVATE to the collection.

apt takes the newest version of what a package depends on, even where only another one fits: `(= 580.126.16-1)` of a
driver is then a conflict as soon as 590 is there. So the versions asked for are preferred for the time of the call.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t

from .._files import Files
from .objects import Request

_PREFERENCES = "/etc/apt/preferences"
# Above the pins of NVIDIA's pinning packages (1001), which name a whole branch. apt_preferences(5): from 1000 on also a
# version older than the installed one is taken; apt-get still refuses that where downgrades are not allowed.
_PRIORITY = 1100


@contextlib.contextmanager
def preferring(files: Files, request: Request) -> t.Iterator[t.Tuple[str, ...]]:
    """Options of apt-get that prefer the versions of `request`, whichever package has them. The node's own file of
    preferences is read with them; apt reads this one before those in preferences.d, and the first that fits counts."""
    versions = sorted({version for _name, version in request.install if version is not None})
    if not versions:
        yield ()
        return
    text = pins(versions) + (files.read_text(_PREFERENCES) or "")
    descriptor, path = tempfile.mkstemp(prefix="accel-gpu-", suffix=".pref")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
        yield ("-o", f"Dir::Etc::Preferences={path}")
    finally:
        os.unlink(path)


def pins(versions: t.Sequence[str]) -> str:
    """An expression in slashes counts as a list of all names, which goes before pins of `*`. Pure."""
    return "".join(f"Package: /./\nPin: version {version}\nPin-Priority: {_PRIORITY}\n\n" for version in versions)
