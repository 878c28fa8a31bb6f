# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small looks at files of a node. Reads only; what only root may read counts as absent. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ..._files import Files

_LINKS = 40  # as many as the kernel follows


def line(files: Files, path: str) -> t.Optional[str]:
    """A file of one line without its end; None where it is not there, empty or not ours to read."""
    found = text(files, path).strip()
    return found or None


def text(files: Files, path: str) -> str:
    try:
        return files.read_text(path) or ""
    except OSError:
        return ""


def data(files: Files, path: str) -> t.Optional[bytes]:
    try:
        return files.read(path)
    except OSError:
        return None


def resolve(files: Files, path: str) -> t.Optional[str]:
    """Where a path leads on the node, links followed inside its root; None where it leads nowhere."""
    there, left, links = "/", path.split("/"), 0
    while left:
        part = left.pop(0)
        if part == "..":
            there = os.path.dirname(there)
        elif part not in ("", "."):
            here = os.path.join(there, part)
            try:
                target = os.readlink(files.path(here))
            except OSError:
                there = here
                continue
            links += 1
            if links > _LINKS:
                return None
            # Folders may be links too: where /lib is usr/lib, ../ in a link below it leads elsewhere than it reads.
            there = "/" if target.startswith("/") else there
            left = [*target.split("/"), *left]
    return there if os.path.exists(files.path(there)) else None


def is_folder(files: Files, path: str) -> bool:
    found = resolve(files, path)
    return found is not None and os.path.isdir(files.path(found))
