# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rpm packages, written here: equal catalogues give equal files, and no tool is needed.

The format is that of rpm 4: a lead, a header of signatures, the header proper, a cpio archive. Headers have a region,
by which rpm knows that nothing was added. labctl/rpmmd.py makes repositories of them.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
import struct
import typing as t
from pathlib import PurePosixPath

from labctl.files import Entry
from labctl.openpgp import SIGNED_AT, Key
from labctl.packages import Package
from labctl.payload import Payload, Target, payload

ARCHITECTURE = "x86_64"
LEAD_SIZE = 96
INT16, INT32, STRING, BINARY, STRINGS, TRANSLATED = 3, 4, 6, 7, 8, 9
ALIGNED = {INT16: 2, INT32: 4}
REGION_HEADER, REGION_SIGNATURES = 63, 62
LESS, GREATER, EQUAL = 2, 4, 8
SENSES = {"": 0, "<": LESS, "<=": LESS | EQUAL, "=": EQUAL, ">=": GREATER | EQUAL, ">": GREATER}
SHA256 = 8
REGULAR, LINK = 0o100000, 0o120000
CONFIG, NOREPLACE = 1, 16
# kind of relation -> tags of names, flags and versions
RELATIONS = {
    "provides": (1047, 1112, 1113),
    "requires": (1049, 1048, 1050),
    "conflicts": (1054, 1053, 1055),
    "obsoletes": (1090, 1114, 1115),
    "recommends": (5046, 5048, 5047),
}
# moment -> tags of the script and of the program that runs it
SCRIPTS = {"post": (1024, 1086), "preun": (1025, 1087), "postun": (1026, 1088)}
Value = t.Union[int, str, bytes, t.Sequence[int], t.Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Dependency:
    name: str
    sense: str = ""
    version: str = ""


@dataclasses.dataclass(frozen=True)
class Rpm:
    """One rpm: what its header says, which repositories repeat."""

    package: Package
    epoch: int
    streams: tuple[str, ...]  # name:stream of the dnf modules that it belongs to
    relations: t.Mapping[str, tuple[Dependency, ...]]
    content: Payload

    @property
    def version(self) -> str:
        return self.package.full.rpartition("-")[0]

    @property
    def release(self) -> str:
        return self.package.full.rpartition("-")[2]

    @property
    def architecture(self) -> str:
        return "noarch" if self.package.architecture == "all" else ARCHITECTURE

    @property
    def file_name(self) -> str:
        return f"{self.package.name}-{self.package.full}.{self.architecture}.rpm"

    @property
    def nevra(self) -> str:
        return f"{self.package.name}-{self.epoch}:{self.package.full}.{self.architecture}"


def rpm(package: Package, epoch: int, module: str, target: Target) -> Rpm:
    """What the catalogue says in Debian's words, in rpm's: a relation to the own version has the epoch too."""
    own = f"{epoch}:{package.full}" if epoch else package.full
    found = {
        "provides": (Dependency(package.name, "=", own), *_dependencies(package, "provides", own)),
        # scripts are for the shell
        "requires": (Dependency("/bin/sh"), *_dependencies(package, "depends", own)),
        "conflicts": _dependencies(package, "conflicts", own),
        "obsoletes": _dependencies(package, "replaces", own),
        "recommends": _dependencies(package, "recommends", own),
    }
    return Rpm(package, epoch, streams(package, module), found, payload(package, target))


def streams(package: Package, module: str) -> tuple[str, ...]:
    """The streams of NVIDIA's module: one for each branch and flavour, one that goes on to the newest branch."""
    if not module:
        return ()
    both = {"open": ("-open", "open-dkms"), "dkms": ("-dkms", "latest-dkms")}
    only = {"nvidia-open": "open", "cuda-drivers": "dkms"}.get(package.name)
    kinds = [only] if only else {"open": ["open"], "proprietary": ["dkms"]}.get(package.flavour, ["open", "dkms"])
    return tuple(f"{module}:{name}" for kind in kinds for name in (f"{package.branch}{both[kind][0]}", both[kind][1]))


def _dependencies(package: Package, kind: str, own: str) -> tuple[Dependency, ...]:
    found = []
    for words in package.related(kind):
        match = re.fullmatch(r"(\S+)(?: \((\S+) (\S+)\))?", words)
        assert match is not None, words
        version = match[3] or ""
        found.append(Dependency(match[1], match[2] or "", own if version == package.full else version))
    return tuple(found)


def build(one: Rpm, key: Key | None) -> tuple[bytes, tuple[int, int]]:
    """The .rpm file, and where in it the header lies."""
    archive = _cpio(one.content.files)
    packed = gzip.compress(archive, compresslevel=6, mtime=0)
    head = _header(REGION_HEADER, _tags(one, packed))
    signatures: dict[int, tuple[int, Value]] = {
        269: (STRING, hashlib.sha1(head).hexdigest()),
        273: (STRING, hashlib.sha256(head).hexdigest()),
        1000: (INT32, [len(head) + len(packed)]),
        1004: (BINARY, hashlib.md5(head + packed).digest()),
        1007: (INT32, [len(archive)]),
    }
    if key is not None:
        signatures[268] = (BINARY, key.signature(head))
    front = _header(REGION_SIGNATURES, signatures)
    front += b"\0" * (-len(front) % 8)
    start = LEAD_SIZE + len(front)
    return _lead(one) + front + head + packed, (start, start + len(head))


def _lead(one: Rpm) -> bytes:
    name = f"{one.package.name}-{one.package.full}".encode()[:65]
    return struct.pack(">4sBBHH66sHH16s", b"\xed\xab\xee\xdb", 3, 0, 0, 1, name, 1, 5, b"")


def _tags(one: Rpm, packed: bytes) -> dict[int, tuple[int, Value]]:
    package = one.package
    words = f"stand-in of the lab ({package.role})"
    tags: dict[int, tuple[int, Value]] = {
        100: (STRINGS, ["C"]),
        1000: (STRING, package.name),
        1001: (STRING, one.version),
        1002: (STRING, one.release),
        1004: (TRANSLATED, [words]),
        1005: (TRANSLATED, [words]),
        1006: (INT32, [SIGNED_AT]),
        1007: (STRING, "lab.invalid"),
        1009: (INT32, [sum(len(entry.content) for entry in one.content.files)]),
        1014: (STRING, "GPL-3.0-or-later"),
        1016: (TRANSLATED, ["Unspecified"]),
        1021: (STRING, "linux"),
        1022: (STRING, one.architecture),
        1044: (STRING, f"{package.name}-{package.full}.src.rpm"),
        1064: (STRING, "4.16.1"),
        1124: (STRING, "cpio"),
        1125: (STRING, "gzip"),
        1126: (STRING, "6"),
        5092: (STRINGS, [hashlib.sha256(packed).hexdigest()]),
        5093: (INT32, [SHA256]),
    }
    if one.epoch:
        tags[1003] = (INT32, [one.epoch])
    if one.streams:
        tags[5096] = (STRING, f"{one.streams[0]}:1:lab")
    for kind, numbers in RELATIONS.items():
        rows = one.relations[kind]
        if rows:
            tags[numbers[0]] = (STRINGS, [row.name for row in rows])
            tags[numbers[1]] = (INT32, [SENSES[row.sense] for row in rows])
            tags[numbers[2]] = (STRINGS, [row.version for row in rows])
    for moment, text in scripts(one).items():
        tags[SCRIPTS[moment][0]] = (STRING, text)
        tags[SCRIPTS[moment][1]] = (STRING, "/bin/sh")
    return {**tags, **_files(one.content)}


def scripts(one: Rpm) -> dict[str, str]:
    """rpm tells a script how many versions of the package there will be: 0 is a removal, 1 the first installation.

    The old version's preun runs after the new one's post, so what leaves a version must name it.
    """
    name, content = one.package.name, one.content
    fails = (
        f"if grep -qsx '{name}' /etc/accel-lab/fail; then\n"
        f"    echo 'lab: the script of {name} fails, as /etc/accel-lab/fail wants it' >&2\n    exit 1\nfi\n"
    )
    found = {"post": f"{fails}{content.configure}"}
    if content.leave or content.stop:
        found["preun"] = f'{content.leave}if [ "$1" = 0 ]; then\n:\n{content.stop}fi\n'
    if content.removed:
        found["postun"] = content.removed
    return found


def _files(content: Payload) -> dict[int, tuple[int, Value]]:
    entries = sorted(content.files, key=lambda one: one.path)
    if not entries:
        return {}
    folders = sorted({f"/{PurePosixPath(one.path).parent}/" for one in entries})
    numbers = range(1, len(entries) + 1)
    return {
        1028: (INT32, [len(one.content) for one in entries]),
        1030: (INT16, [_mode(one) for one in entries]),
        1033: (INT16, [0 for _one in entries]),
        1034: (INT32, [SIGNED_AT for _one in entries]),
        1035: (STRINGS, ["" if one.link else hashlib.sha256(one.content).hexdigest() for one in entries]),
        1036: (STRINGS, [one.content.decode() if one.link else "" for one in entries]),
        1037: (INT32, [CONFIG | NOREPLACE if f"/{one.path}" in content.settings else 0 for one in entries]),
        1039: (STRINGS, ["root" for _one in entries]),
        1040: (STRINGS, ["root" for _one in entries]),
        1045: (INT32, [0xFFFFFFFF for _one in entries]),
        1095: (INT32, [1 for _one in entries]),
        1096: (INT32, list(numbers)),
        1097: (STRINGS, ["" for _one in entries]),
        1116: (INT32, [folders.index(f"/{PurePosixPath(one.path).parent}/") for one in entries]),
        1117: (STRINGS, [PurePosixPath(one.path).name for one in entries]),
        1118: (STRINGS, folders),
        5011: (INT32, [SHA256]),
    }


def _mode(entry: Entry) -> int:
    return (LINK if entry.link else REGULAR) | entry.mode


def _header(region: int, tags: t.Mapping[int, tuple[int, Value]]) -> bytes:
    """Index and store. The region's own entry comes first in the index, its trailer last in the store."""
    rows, store = [], b""
    for tag, (kind, value) in sorted(tags.items()):
        count, data = _stored(kind, value)
        store += b"\0" * (-len(store) % ALIGNED.get(kind, 1))
        rows.append(struct.pack(">IIII", tag, kind, len(store), count))
        store += data
    index = struct.pack(">IIII", region, BINARY, len(store), 16) + b"".join(rows)
    store += struct.pack(">IIiI", region, BINARY, -len(index), 16)
    return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", len(rows) + 1, len(store)) + index + store


def _stored(kind: int, value: Value) -> tuple[int, bytes]:
    if isinstance(value, bytes):
        return len(value), value
    if isinstance(value, str):
        return 1, value.encode() + b"\0"
    assert not isinstance(value, int)
    if kind in ALIGNED:
        return len(value), struct.pack(f">{len(value)}{'H' if kind == INT16 else 'I'}", *value)
    return len(value), b"".join(str(one).encode() + b"\0" for one in value)


def _cpio(entries: t.Iterable[Entry]) -> bytes:
    """The newc form."""
    found = b""
    for number, one in enumerate(sorted(entries, key=lambda entry: entry.path), start=1):
        found += _member(f"./{one.path}", number, _mode(one), one.content)
    return found + _member("TRAILER!!!", 0, 0, b"")


def _member(name: str, number: int, mode: int, data: bytes) -> bytes:
    written = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, SIGNED_AT if number else 0, len(data), 0, 0, 0, 0, len(written), 0)
    head = b"070701" + b"".join(f"{field:08x}".encode() for field in fields) + written
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
