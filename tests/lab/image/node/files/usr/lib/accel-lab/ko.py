# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel module files of the lab: an object without code whose .modinfo section and signature every tool can read.

The package builder of the lab uses this file too, so it imports nothing of the node.
"""

from __future__ import annotations

import hashlib
import struct
import typing as t
from pathlib import Path

# the file's name behind the first module's -> what it depends on
SUFFIXES = {"": "", "-modeset": "nvidia", "-drm": "nvidia-modeset,nvidia", "-uvm": "nvidia", "-peermem": "nvidia"}
LICENSES = {"open": "Dual MIT/GPL", "proprietary": "NVIDIA"}
SIGNATURE_END = b"~Module signature appended~\n"
# RSA, SHA-256, and a signer that stands in clear before the signature (the form before PKCS #7, which kmod still reads)
ALGORITHM, HASH, CLEAR_SIGNER = 1, 4, 1
TRAILER = ">BBBBB3xI"
SECTION_NULL, SECTION_DATA, SECTION_SYMBOLS, SECTION_STRINGS = 0, 1, 2, 3
HEADER_BYTES = 64


class Signer(t.NamedTuple):
    """Who signs, and the number of the key (20 bytes)."""

    name: str
    key_id: bytes


def file_names(first: str) -> t.List[str]:
    """The files that belong together: nvidia.ko, nvidia-modeset.ko, or Debian's nvidia-current.ko and so on."""
    return [f"{first}{suffix}.ko" for suffix in SUFFIXES]


def module(suffix: str, version: str, kernel: str, flavour: str, signer: t.Optional[Signer] = None) -> bytes:
    """One module file, `suffix` of SUFFIXES. Its own name is nvidia…, however the file is called."""
    facts = {
        "license": LICENSES[flavour],
        "version": version,
        "srcversion": hashlib.sha256(f"{suffix}{version}".encode()).hexdigest()[:24].upper(),
        "depends": SUFFIXES[suffix],
        "name": f"nvidia{suffix}".replace("-", "_"),
        "vermagic": f"{kernel} SMP preempt mod_unload modversions ",
    }
    if not suffix:
        facts["firmware"] = f"nvidia/{version}/gsp_ga10x.bin"
        facts["alias"] = "pci:v000010DEd*sv*sd*bc03sc02i00*"
    image = _object(b"".join(f"{key}={value}".encode() + b"\0" for key, value in facts.items()))
    return image if signer is None else image + _signature(image, signer)


def read(path: Path) -> t.Dict[str, str]:
    """What stands in a module file: its .modinfo, and signer and sig_key if it is signed."""
    data = path.read_bytes()
    offset, size = _section(data, ".modinfo")
    facts: t.Dict[str, str] = {}
    for entry in data[offset : offset + size].split(b"\0"):
        key, _equal, value = entry.decode().partition("=")
        if key:
            facts.setdefault(key, value)
    if data.endswith(SIGNATURE_END):
        end = len(data) - len(SIGNATURE_END) - struct.calcsize(TRAILER)
        _algo, _hash, _kind, signer_bytes, key_bytes, signed = struct.unpack_from(TRAILER, data, end)
        start = end - signed - key_bytes - signer_bytes
        facts["signer"] = data[start : start + signer_bytes].decode()
        facts["sig_key"] = data[start + signer_bytes : start + signer_bytes + key_bytes].hex()
    return facts


def _signature(image: bytes, signer: Signer) -> bytes:
    name = signer.name.encode()
    value = hashlib.sha256(image + signer.key_id).digest()
    trailer = struct.pack(TRAILER, ALGORITHM, HASH, CLEAR_SIGNER, len(name), len(signer.key_id), len(value))
    return name + signer.key_id + value + trailer + SIGNATURE_END


def _object(modinfo: bytes) -> bytes:
    """A relocatable ELF file for x86-64 with .modinfo and an empty table of symbols."""
    sections = [
        ("", SECTION_NULL, b""),
        (".modinfo", SECTION_DATA, modinfo),
        (".gnu.linkonce.this_module", SECTION_DATA, bytes(64)),
        (".symtab", SECTION_SYMBOLS, bytes(24)),
        (".strtab", SECTION_STRINGS, b"\0"),
    ]
    names = b"\0".join(name.encode() for name, _kind, _data in sections) + b"\0.shstrtab\0"
    sections.append((".shstrtab", SECTION_STRINGS, names))
    body, table = b"", b""
    for number, (name, kind, data) in enumerate(sections):
        link = number + 1 if kind == SECTION_SYMBOLS else 0
        entry = 24 if kind == SECTION_SYMBOLS else 0
        place = names.index(name.encode() + b"\0") if name else 0
        offset = HEADER_BYTES + len(body) if kind else 0
        table += struct.pack("<IIQQQQIIQQ", place, kind, 0, 0, offset, len(data), link, 0, 1, entry)
        body += data + bytes(-len(data) % 8)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    start = HEADER_BYTES + len(body)
    head += struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, start, 0, HEADER_BYTES, 0, 0, 64, len(sections), len(sections) - 1
    )
    return head + body + table


def _section(data: bytes, wanted: str) -> t.Tuple[int, int]:
    """Offset and size of a section; (0, 0) if there is none."""
    (table,) = struct.unpack_from("<Q", data, 40)
    _size, count, names = struct.unpack_from("<HHH", data, 58)
    (names_offset,) = struct.unpack_from("<Q", data, table + names * 64 + 24)
    for number in range(count):
        place, _kind, _flags, _address, offset, size = struct.unpack_from("<IIQQQQ", data, table + number * 64)
        start = names_offset + place
        if data[start : data.index(b"\0", start)].decode() == wanted:
            return offset, size
    return 0, 0
