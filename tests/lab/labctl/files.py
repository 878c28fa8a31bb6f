# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of an image before they are one."""

from __future__ import annotations

import dataclasses
import io
import os
import stat
import tarfile
import typing as t
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of an image: where it lies there, its mode and its bytes (a link's target when `link`)."""

    path: str
    mode: int
    content: bytes
    link: bool = False


def tree(folder: Path, prefix: str) -> list[Entry]:
    """All files and links below `folder`, as they are to lie below `prefix` on the node."""
    found: list[Entry] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != "__pycache__" and not one.startswith("."))
        for name in sorted(files):
            source = Path(parent) / name
            inside = str(Path(prefix) / source.relative_to(folder))
            if source.is_symlink():
                found.append(Entry(inside, 0o777, os.readlink(source).encode(), link=True))
            elif not name.startswith("."):
                # a checkout keeps the executable bit alone, and the umask is not to change the image
                mode = 0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644
                found.append(Entry(inside, mode, source.read_bytes()))
    return found


def archive(entries: t.Iterable[Entry]) -> bytes:
    """A tar archive of the entries, the same bytes for the same entries."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as bundle:
        for entry in sorted(entries, key=lambda one: one.path):
            info = tarfile.TarInfo(entry.path)
            info.mode = entry.mode
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.content.decode()
                bundle.addfile(info)
            else:
                info.size = len(entry.content)
                bundle.addfile(info, io.BytesIO(entry.content))
    return sink.getvalue()
