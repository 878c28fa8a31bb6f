# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An initramfs as the kernel reads it: a compressed cpio archive (newc), written and read here."""

from __future__ import annotations

import gzip
import typing as t
from pathlib import PurePosixPath

MAGIC, END = b"070701", "TRAILER!!!"
HEADER_BYTES = 110
FOLDER, FILE = 0o040755, 0o100644


def write(files: t.Mapping[str, bytes]) -> bytes:
    """The archive of `files`, by paths without a leading slash."""
    folders = {str(one) for name in files for one in PurePosixPath(name).parents if str(one) != "."}
    entries = dict.fromkeys(folders, (FOLDER, b""))
    entries.update({name: (FILE, data) for name, data in files.items()})
    body = b"".join(_entry(number, name, *entries[name]) for number, name in enumerate(sorted(entries), start=1))
    return gzip.compress(body + _entry(0, END, 0, b""), compresslevel=1, mtime=0)


def read(archive: bytes) -> t.Dict[str, bytes]:
    """The files of an archive."""
    data, place = gzip.decompress(archive), 0
    found: t.Dict[str, bytes] = {}
    while data[place : place + len(MAGIC)] == MAGIC:
        words = [int(data[place + start : place + start + 8], 16) for start in range(6, HEADER_BYTES, 8)]
        mode, size, name_bytes = words[1], words[6], words[11]
        start = _aligned(place + HEADER_BYTES + name_bytes)
        name = data[place + HEADER_BYTES : place + HEADER_BYTES + name_bytes - 1].decode()
        if name == END:
            break
        if mode & 0o170000 == 0o100000:
            found[name] = data[start : start + size]
        place = _aligned(start + size)
    return found


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    label = name.encode() + b"\0"
    words = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(label), 0)
    head = MAGIC + "".join(f"{word:08X}" for word in words).encode() + label
    return head + bytes(_aligned(len(head)) - len(head)) + data + bytes(-len(data) % 4)


def _aligned(place: int) -> int:
    return place + -place % 4
