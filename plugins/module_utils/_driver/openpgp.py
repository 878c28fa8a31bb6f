# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of OpenPGP keys, read from their armored text. Pure. PRIVATE to the collection.

Only what names a primary key: whether it signed something is for the package manager to judge. RFC 4880, sections 4.2,
6.2 and 12.2 (version 4 keys).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_BLOCK = re.compile(_BEGIN + r"\r?\n(?:[^\r\n:]+:[^\r\n]*\r?\n)*\r?\n(.*?)" + _END, re.DOTALL)
_PUBLIC_KEY = 6


def fingerprints(armored: str) -> t.Tuple[str, ...]:
    """Of every primary key in the text, as 40 upper-case digits. Raises ValueError where there is none."""
    found: t.List[str] = []
    for block in _BLOCK.findall(armored):
        lines = [line.strip() for line in block.splitlines()]
        # The line with = is a checksum.
        body = "".join(line for line in lines if line and not line.startswith("="))
        try:
            found += [
                _fingerprint(packet)
                for tag, packet in _packets(base64.b64decode(body, validate=True))
                if tag == _PUBLIC_KEY
            ]
        except (binascii.Error, IndexError):
            raise ValueError("its block is damaged") from None
    if not found:
        raise ValueError("there is no public key block in it")
    return tuple(found)


def _fingerprint(packet: bytes) -> str:
    if packet[0] != 4:
        raise ValueError(f"a key of version {packet[0]}; only version 4 is read")
    return hashlib.sha1(b"\x99" + len(packet).to_bytes(2, "big") + packet).hexdigest().upper()


def _packets(data: bytes) -> t.Iterator[t.Tuple[int, bytes]]:
    """(tag, body) of each packet; bodies of unknown length end the walk."""
    place = 0
    while place < len(data):
        head = data[place]
        if head & 0x40:
            tag = head & 0x3F
            length, start = _new_length(data, place + 1)
        else:
            tag = (head >> 2) & 0x0F
            width = 1 << (head & 0x03)
            if width == 8:
                return
            start = place + 1 + width
            length = int.from_bytes(data[place + 1 : start], "big")
        if length < 0 or start + length > len(data):
            raise IndexError(start)
        yield tag, data[start : start + length]
        place = start + length


def _new_length(data: bytes, place: int) -> t.Tuple[int, int]:
    first = data[place]
    if first < 192:
        return first, place + 1
    if first < 224:
        return ((first - 192) << 8) + data[place + 1] + 192, place + 2
    if first == 255:
        return int.from_bytes(data[place + 1 : place + 5], "big"), place + 5
    return -1, place
