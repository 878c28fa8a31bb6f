# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an initramfs carries of NVIDIA and nouveau. Pure: works on streams. PRIVATE to the collection.

An initramfs is a row of cpio archives (form newc): some as they are, such as microcode and, on Ubuntu, modules; the
last one is compressed. Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..model import Initramfs, Kernel
from .modinfo import canonical

_HEADER = 110
_MAGICS = (b"070701", b"070702")
_END = "TRAILER!!!"
_CHUNK = 1 << 20
_NOUVEAU = re.compile(r"(?:^|/)nouveau\.ko(?:\.(?:xz|zst|gz))?$")
_RULES = re.compile(r"(?:^|/)(?:etc|lib|run)/modprobe\.d/[^/]+\.conf$")
_BLACKLIST = re.compile(rb"^\s*(?:blacklist\s+nouveau|install\s+nouveau\s+\S*/(?:false|true))\s*$", re.MULTILINE)

COMPRESSIONS: t.Tuple[t.Tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x89LZO", "lzo"),
)


class Stream(t.Protocol):
    def read(self, size: int) -> bytes: ...


@dataclass
class Found:
    """What was seen so far. `modules` are the files of NVIDIA's module as they lie inside, by path."""

    nouveau: bool = False
    blacklisted: bool = False
    modules: t.Dict[str, bytes] = field(default_factory=dict)


def compression(start: bytes) -> str:
    """The name of the compression that begins so; "" for none that is known."""
    return next((name for magic, name in COMPRESSIONS if start.startswith(magic)), "")


def scan(stream: Stream, found: Found) -> bytes:
    """Reads archives up to the end or to what is none, and answers the first bytes of that; b"" at the end.

    Raises ValueError where an archive is broken.
    """
    while True:
        start = _aligned(stream)
        if start not in _MAGICS:
            return start
        while _entry(stream, start, found):
            start = _exactly(stream, 6)


def _aligned(stream: Stream) -> bytes:
    """The first six bytes after padding; archives begin at multiples of four."""
    while True:
        word = stream.read(4)
        if word != b"\0\0\0\0":
            return word + stream.read(2) if len(word) == 4 else b""


def _entry(stream: Stream, magic: bytes, found: Found) -> bool:
    if magic not in _MAGICS:
        raise ValueError("a header is missing")
    header = _exactly(stream, _HEADER - 6)
    size, length = int(header[48:56], 16), int(header[88:96], 16)
    name = _exactly(stream, length + -(_HEADER + length) % 4)[: length - 1].decode("utf-8", "replace")
    if name == _END:
        return False
    padded = size + -size % 4
    if _is_read(name):
        _take(name, _exactly(stream, padded)[:size], found)
    else:
        _skip(stream, padded)
        found.nouveau = found.nouveau or _NOUVEAU.search(name) is not None
    return True


def _is_read(name: str) -> bool:
    return canonical(name) == "nvidia" or _RULES.search(name) is not None


def _take(name: str, content: bytes, found: Found) -> None:
    if canonical(name):
        if content:  # a hard link's content stands with the last name, a symbolic link's is a path
            found.modules[name] = content
    elif blacklists_nouveau(content):
        found.blacklisted = True


def blacklists_nouveau(rules: bytes) -> bool:
    """Whether a file of modprobe.d keeps nouveau from loading."""
    return _BLACKLIST.search(rules) is not None


def _exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("it ends in the middle of an archive")
    return data


def _skip(stream: Stream, size: int) -> None:
    while size > 0:
        size -= len(_exactly(stream, min(size, _CHUNK)))


# --- what is known of a file needs no second look ------------------------------------------------------------------


def remember(kernels: t.Iterable[t.Optional[Kernel]]) -> t.Dict[str, t.Any]:
    """For the record of a run: what each initramfs carries, so that a later look at the same file is not needed."""
    images = [kernel.initramfs for kernel in kernels if kernel is not None and kernel.initramfs is not None]
    return {
        image.path: {"stamp": image.stamp, "versions": list(image.versions), "nouveau": image.nouveau}
        for image in images
        if image.stamp and not image.unread
    }


def recall(record: t.Any, path: str, stamp: str) -> t.Optional[Initramfs]:
    """What `remember` wrote of this very file; None where it is another one, or unknown."""
    known = record.get(path) if isinstance(record, dict) else None
    if not isinstance(known, dict) or known.get("stamp") != stamp:
        return None
    versions = known.get("versions")
    if not isinstance(versions, list) or not isinstance(known.get("nouveau"), bool):
        return None
    return Initramfs(path, tuple(str(one) for one in versions), known["nouveau"], stamp=stamp)
