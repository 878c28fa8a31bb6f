# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a kernel module's file says of itself. Pure: works on bytes. PRIVATE to the collection.

The file is read and no program asked, so a node costs no process for it, and trees of other machines can be read.
Sources: elf(5) for the section .modinfo; include/linux/module_signature.h of the kernel for what follows a signed one.
"""

from __future__ import annotations

import re
import struct
import typing as t

from ..model import ModuleFile

Bytes = t.Union[bytes, memoryview]

# Debian adds -current, -tesla or -legacy to the name (driver.md 8); what else begins with nvidia is not the driver:
# nvidiafb, nvidia-fs, nvidia-wmi-ec-backlight.
_NAME = re.compile(
    r"nvidia(?:[-_](?:current|tesla(?:[-_]\d+)?|legacy[-_]\d+xx))?(?:[-_]open)?(?:[-_](?P<part>uvm|drm|modeset|peermem))?$"
)
_FILE = re.compile(r"(?P<stem>[^/]+)\.ko(?:\.(?:xz|zst|gz))?$")
_MAGIC = b"~Module signature appended~\n"
_TRAILER = struct.Struct(">5B3xI")  # algorithm, hash, id type, two lengths, and how long the signature is
_COMMON_NAME = b"\x06\x03\x55\x04\x03"  # the object identifier 2.5.4.3
_PROGRAM_FIELD = re.compile(r"^(\w+):\s+(.*)$", re.MULTILINE)


def canonical(path: str) -> t.Optional[str]:
    """ "nvidia" or "nvidia-uvm" for the file of a module of the driver, None for every other file."""
    file = _FILE.search(path)
    name = _NAME.match(file["stem"]) if file else None
    if name is None:
        return None
    return f"nvidia-{name['part']}" if name["part"] else "nvidia"


def fields(data: Bytes) -> t.Dict[str, str]:
    """The first value of each field in the section .modinfo; empty for what is no 64-bit ELF file."""
    section = _section(data, b".modinfo")
    found: t.Dict[str, str] = {}
    for word in bytes(section).split(b"\0"):
        name, sign, value = word.partition(b"=")
        if sign:
            found.setdefault(name.decode("ascii", "replace"), value.decode("utf-8", "replace"))
    return found


def module_file(path: str, data: Bytes) -> t.Optional[ModuleFile]:
    """None where the file tells no version."""
    known = fields(data)
    if "version" not in known:
        return None
    return ModuleFile("nvidia", path, known["version"], known.get("license", ""), signer(data))


def from_program(path: str, text: str) -> t.Optional[ModuleFile]:
    """The same from what the program modinfo prints of one file."""
    known: t.Dict[str, str] = {}
    for name, value in _PROGRAM_FIELD.findall(text):
        known.setdefault(name, value.strip())
    if "version" not in known:
        return None
    return ModuleFile("nvidia", path, known["version"], known.get("license", ""), known.get("signer") or None)


def signer(data: Bytes) -> t.Optional[str]:
    """The common name in the certificate that signed the module; None where nobody did."""
    end = len(data) - len(_MAGIC)
    if end < _TRAILER.size or bytes(data[end:]) != _MAGIC:
        return None
    size = _TRAILER.unpack(bytes(data[end - _TRAILER.size : end]))[5]
    start = end - _TRAILER.size - size
    if start < 0:
        return None
    return _common_name(bytes(data[start : start + size])) or "unknown"


def _common_name(signature: bytes) -> t.Optional[str]:
    """PKCS#7 with no certificate inside names its signer by issuer; a self-signed key is its own issuer."""
    at = signature.find(_COMMON_NAME)
    if at < 0:
        return None
    text = at + len(_COMMON_NAME)  # tag, length, and the name itself
    length = signature[text + 1] if len(signature) > text + 1 else 0
    return signature[text + 2 : text + 2 + length].decode("utf-8", "replace") or None


def _section(data: Bytes, wanted: bytes) -> Bytes:
    if bytes(data[:6]) != b"\x7fELF\x02\x01":
        return b""
    try:
        (table,) = struct.unpack_from("<Q", data, 0x28)
        size, count, names = struct.unpack_from("<3H", data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQ", data, table + number * size) for number in range(count)]
        start = headers[names][4]
        for header in headers:
            at = start + header[0]
            if bytes(data[at : at + len(wanted) + 1]) == wanted + b"\0":
                return data[header[4] : header[4] + header[5]]
    except (struct.error, IndexError):
        return b""  # cut off
    return b""
