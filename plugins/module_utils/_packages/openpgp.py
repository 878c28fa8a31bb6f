# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of OpenPGP public keys without gpg, which a node need not have. PRIVATE to the collection.

RFC 4880 and RFC 9580: armor, packet headers, and the fingerprint of a version 4 key, which is the SHA-1 of 0x99, the
length of the key packet and the packet. No signature is checked here; that is done by who verifies a repository.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

from .._errors import WishError

# tags of packets: a public key, and a private one with its subkeys
_PUBLIC = 6
_SECRET = (5, 7)
_ARMOR = re.compile(rb"^-----BEGIN PGP ([A-Z ]+)-----[ \t]*\r?\n(.*?)^-----END PGP \1-----", re.DOTALL | re.MULTILINE)
_CRC_START, _CRC_POLYNOMIAL = 0xB704CE, 0x1864CFB


def fingerprints(key: bytes) -> t.Tuple[str, ...]:
    """The fingerprint of each primary key, 40 hexadecimal digits in capitals. Raises WishError where there is none."""
    found = []
    for tag, body in _packets(dearmor(key)):
        if tag in _SECRET:
            raise WishError("the key is a private key; give the public one (gpg --armor --export)")
        if tag == _PUBLIC:
            found.append(_fingerprint(body))
    if not found:
        raise WishError("the key has no OpenPGP public key in it; give what gpg --export writes")
    return tuple(found)


def dearmor(key: bytes) -> bytes:
    """The binary form; what is binary already stays as it is. Several armored blocks become one."""
    if key[:1] and key[0] & 0x80:
        return key
    blocks = _ARMOR.findall(key)
    if not blocks:
        raise WishError("the key is neither an armored nor a binary OpenPGP key; give what gpg --export writes")
    if key.count(b"-----BEGIN PGP ") != len(blocks):
        raise WishError("the armored key has a block that does not end; give what gpg --export writes, whole")
    for kind, _text in blocks:
        if kind != b"PUBLIC KEY BLOCK":
            raise WishError(f"the key is a {kind.decode('ascii').lower()}; give a public key block")
    return b"".join(_block(text) for _kind, text in blocks)


def _block(text: bytes) -> bytes:
    """Header lines (Version, Comment), then an empty line, base64 and a checksum that may be left out."""
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index(b"") + 1 if b"" in lines else 0
    body = [line for line in lines[start:] if line and not line.startswith(b"=")]
    checksum = next((line[1:] for line in lines[start:] if line.startswith(b"=")), None)
    try:
        data = base64.b64decode(b"".join(body), validate=True)
        wanted = None if checksum is None else int.from_bytes(base64.b64decode(checksum, validate=True), "big")
    except binascii.Error as error:
        raise WishError(f"the armored key is damaged ({error}); copy it again, whole") from None
    if wanted is not None and _crc(data) != wanted:
        raise WishError("the armored key is damaged (its checksum does not fit); copy it again, whole")
    return data


def _crc(data: bytes) -> int:
    value = _CRC_START
    for byte in data:
        value ^= byte << 16
        for _bit in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= _CRC_POLYNOMIAL
    return value & 0xFFFFFF


_Header = t.Tuple[int, int, int]  # tag, where the body starts, its length


def _packets(data: bytes) -> t.Iterator[t.Tuple[int, bytes]]:
    """(tag, body) of each packet."""
    place = 0
    while place < len(data):
        head = data[place]
        if not head & 0x80:
            raise _damaged(place)
        tag, start, length = _new_header(data, place) if head & 0x40 else _old_header(data, place)
        if start + length > len(data):
            raise _damaged(place)
        yield tag, data[start : start + length]
        place = start + length


def _new_header(data: bytes, place: int) -> _Header:
    tag, first = data[place] & 0x3F, int.from_bytes(data[place + 1 : place + 2], "big")
    if first < 192:
        return tag, place + 2, first
    if first < 224:
        return tag, place + 3, ((first - 192) << 8) + int.from_bytes(data[place + 2 : place + 3], "big") + 192
    if first == 255:
        return tag, place + 6, int.from_bytes(data[place + 2 : place + 6], "big")
    # partial lengths are for data packets alone
    raise _damaged(place)


def _old_header(data: bytes, place: int) -> _Header:
    tag, kind = (data[place] & 0x3C) >> 2, data[place] & 0x03
    if kind == 3:
        raise _damaged(place)
    size = 1 << kind
    return tag, place + 1 + size, int.from_bytes(data[place + 1 : place + 1 + size], "big")


def _fingerprint(body: bytes) -> str:
    version = body[0] if body else 0
    if version != 4:
        raise WishError(
            f"the key is an OpenPGP key of version {version}; only version 4 is known here; give a key of "
            "version 4, or install the key and its repository yourself"
        )
    digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body)
    return digest.hexdigest().upper()


def _damaged(place: int) -> WishError:
    return WishError(f"the key is damaged at byte {place}; copy it again, whole")
