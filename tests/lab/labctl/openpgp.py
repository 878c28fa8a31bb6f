# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenPGP keys and signatures of the lab's repositories, by RFC 4880, without gpg.

A key is made from its name alone: everybody's lab has the same fingerprints, equal catalogues make equal images, and no
secret lies in the repository. The keys are worthless outside the lab for that very reason.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import math
import random
import struct
import typing as t

# Keys and signatures carry fixed dates, or nothing would be reproducible.
KEY_CREATED = 1704067200  # 2024-01-01
SIGNED_AT = 1748736000  # 2025-06-01
DAY = 86400
KEY_BITS = 2048
RSA = 1
HASHES: dict[str, tuple[int, str]] = {
    # number of OpenPGP; DigestInfo prefix of PKCS #1
    "sha1": (2, "3021300906052b0e03021a05000414"),
    "sha512": (10, "3051300d060960864801650304020305000440"),
}
PUBLIC_KEY, SECRET_KEY, USER_ID, SIGNATURE = 6, 5, 13, 2
BINARY, TEXT, POSITIVE_CERTIFICATION = 0x00, 0x01, 0x13


@dataclasses.dataclass(frozen=True)
class Key:
    """An RSA key with one user id; 0 days: it never expires.

    `bound_by` is the digest of the signature by which the key vouches for itself; all others are SHA-512. That NVIDIA's
    old key is bound by SHA-1 is why Debian 13 refuses it.
    """

    name: str
    bound_by: str = "sha512"
    valid_days: int = 0

    @property
    def user_id(self) -> str:
        return f"accel.gpu lab, {self.name} key <{self.name}@lab.invalid>"

    @functools.cached_property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """n, e, d, p and q."""
        return _rsa(self.name)

    @property
    def body(self) -> bytes:
        """The public key packet's body, of which the fingerprint is made."""
        n, e = self.numbers[:2]
        return struct.pack(">BIB", 4, KEY_CREATED, RSA) + _mpi(n) + _mpi(e)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(_framed(self.body)).hexdigest().upper()

    def public(self) -> str:
        """The armored public key."""
        return _armor("PUBLIC KEY BLOCK", _packet(PUBLIC_KEY, self.body) + self._certified())

    def binary(self) -> bytes:
        """The public key as apt's .gpg files have it."""
        return _packet(PUBLIC_KEY, self.body) + self._certified()

    def secret(self) -> str:
        """The armored secret key, for tools that can only sign through gpg."""
        _n, _e, d, p, q = self.numbers
        # gpg wants p < q, and u the inverse of p modulo q
        p, q = sorted((p, q))
        numbers = b"".join(map(_mpi, (d, p, q, pow(p, -1, q))))
        body = self.body + b"\0" + numbers + struct.pack(">H", sum(numbers) % 65536)
        return _armor("PRIVATE KEY BLOCK", _packet(SECRET_KEY, body) + self._certified())

    def detached(self, data: bytes) -> str:
        """Release.gpg of a Release file, repomd.xml.asc of a repomd.xml."""
        return _armor("SIGNATURE", self._signature(BINARY, data, SIGNED_AT))

    def signature(self, data: bytes) -> bytes:
        """A detached signature in binary, as an rpm carries it."""
        return self._signature(BINARY, data, SIGNED_AT)

    def clear(self, text: str) -> str:
        """InRelease of a Release file: the text with its signature below."""
        lines = [line.rstrip() for line in text.rstrip("\n").split("\n")]
        signature = self._signature(TEXT, "\r\n".join(lines).encode(), SIGNED_AT)
        shown = "\n".join(f"- {line}" if line.startswith("-") else line for line in lines)
        head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
        return f"{head}{shown}\n{_armor('SIGNATURE', signature)}"

    def _certified(self) -> bytes:
        """The user id and the key's own signature on it."""
        name = self.user_id.encode()
        extra = [_subpacket(27, b"\x03")]  # may certify and sign
        if self.valid_days:
            extra.append(_subpacket(9, struct.pack(">I", self.valid_days * DAY)))
        signed = _framed(self.body) + struct.pack(">BI", 0xB4, len(name)) + name
        return _packet(USER_ID, name) + self._signature(
            POSITIVE_CERTIFICATION, signed, KEY_CREATED, extra, self.bound_by
        )

    def _signature(
        self, kind: int, data: bytes, when: int, extra: t.Sequence[bytes] = (), name: str = "sha512"
    ) -> bytes:
        number, prefix = HASHES[name]
        print_ = bytes.fromhex(self.fingerprint)
        hashed = _subpacket(33, b"\x04" + print_) + _subpacket(2, struct.pack(">I", when)) + b"".join(extra)
        head = struct.pack(">BBBBH", 4, kind, RSA, number, len(hashed)) + hashed
        digest = hashlib.new(name, data + head + struct.pack(">BBI", 4, 0xFF, len(head))).digest()
        unhashed = _subpacket(16, print_[-8:])
        n, _e, d = self.numbers[:3]
        size = (n.bit_length() + 7) // 8
        info = bytes.fromhex(prefix) + digest
        padded = b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info
        value = pow(int.from_bytes(padded, "big"), d, n)
        body = head + struct.pack(">H", len(unhashed)) + unhashed + digest[:2] + _mpi(value)
        return _packet(SIGNATURE, body)


@functools.cache
def _rsa(name: str) -> tuple[int, int, int, int, int]:
    source = random.Random(f"accel.gpu lab key {name}")
    e = 65537
    while True:
        p, q = _prime(source, KEY_BITS // 2), _prime(source, KEY_BITS // 2)
        order = (p - 1) * (q - 1)
        if p != q and math.gcd(e, order) == 1:
            return p * q, e, pow(e, -1, order), p, q


def _prime(source: random.Random, bits: int) -> int:
    while True:
        # the two highest bits make the product of two of them as long as it should be
        number = source.getrandbits(bits) | 3 << (bits - 2) | 1
        if math.gcd(number, _SMALL) == 1 and all(_passes(number, source) for _round in range(12)):
            return number


def _passes(number: int, source: random.Random) -> bool:
    """One round of Miller and Rabin."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    x = pow(source.randrange(2, number - 1), odd, number)
    if x in (1, number - 1):
        return True
    for _step in range(twos - 1):
        x = x * x % number
        if x == number - 1:
            return True
    return False


_SMALL = math.prod(n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))


def _mpi(number: int) -> bytes:
    bits = number.bit_length()
    return struct.pack(">H", bits) + number.to_bytes((bits + 7) // 8, "big")


def _framed(body: bytes) -> bytes:
    return struct.pack(">BH", 0x99, len(body)) + body


def _packet(tag: int, body: bytes) -> bytes:
    """A packet in the old format, with a length of two octets."""
    return struct.pack(">BH", 0x80 | tag << 2 | 1, len(body)) + body


def _subpacket(kind: int, data: bytes) -> bytes:
    return struct.pack("BB", len(data) + 1, kind) + data


def _armor(what: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    check = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode()
    return "\n".join([f"-----BEGIN PGP {what}-----", "", *lines, f"={check}", f"-----END PGP {what}-----", ""])


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc
