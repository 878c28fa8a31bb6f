# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wish of a resident as it is stored on the node, from which the agent brings it back at boot. PRIVATE.

A document is {"version": 1, "options": {...}} with the options of the resident's module.
"""

from __future__ import annotations

import json
import posixpath
import typing as t

from ._diff import Tracker
from ._files import Files

FOLDER = "/etc/accel-gpu/wish.d"
VERSION = 1
_MODE = 0o644


def path_of(resident: str) -> str:
    return f"{FOLDER}/{resident}.json"


def document(options: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """What is stored of these options; what is empty is not declared."""
    return {
        "version": VERSION,
        "options": {name: value for name, value in options.items() if value not in (None, [], {})},
    }


def read(files: Files, path: str) -> t.Any:
    """The document; whatever else the file is differs from every document and so is written anew."""
    text = files.read_text(path)
    if text is None:
        return None
    mode = files.mode(path)
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if mode == _MODE else {"mode": f"{mode:04o}", "document": found}


def write(files: Files, path: str, wish: t.Optional[t.Mapping[str, t.Any]]) -> None:
    files.write_json(path, wish, mode=_MODE)


def remove(files: Files, *paths: str) -> None:
    """The files, and their folders where they are empty then."""
    for path in paths:
        files.remove(path)
    for path in paths:
        prune(files, path)


def prune(files: Files, path: str) -> None:
    """The folder of a file of ours and the one above it, where nothing is in them."""
    files.prune(posixpath.dirname(path), top=posixpath.dirname(posixpath.dirname(path)))


def tell(tracker: Tracker, path: str, written: bool, removed: bool, why_removed: str) -> None:
    """The actions about the file."""
    if written:
        tracker.act("write_wish", path, "the wish that the node agent brings back at boot differs")
    if removed:
        tracker.act("remove_wish", path, why_removed)
