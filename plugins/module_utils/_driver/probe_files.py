# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small looks at files of a node. Reads only; what only root may read counts as absent. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from .._files import Files

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
    for _link in range(_LINKS):
        try:
            target = os.readlink(files.path(path))
        except OSError:
            return path if os.path.exists(files.path(path)) else None
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return None


def is_folder(files: Files, path: str) -> bool:
    found = resolve(files, path)
    return found is not None and os.path.isdir(files.path(found))
