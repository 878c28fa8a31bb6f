# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repositories of rpm packages: repomd.xml, what it names, its signature, and streams of dnf modules."""

from __future__ import annotations

import gzip
import hashlib
import typing as t
from xml.sax.saxutils import escape, quoteattr

import yaml

from labctl.files import Entry
from labctl.openpgp import SIGNED_AT, Key
from labctl.rpm import SENSES, Dependency, Rpm, build

COMMON = 'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'
FILELISTS = 'xmlns="http://linux.duke.edu/metadata/filelists"'
OTHER = 'xmlns="http://linux.duke.edu/metadata/other"'
WORDS = {"=": "EQ", "<": "LT", "<=": "LE", ">": "GT", ">=": "GE"}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


Built = tuple[Rpm, bytes, tuple[int, int]]  # and where the header lies


def built(rpms: t.Iterable[Rpm], key: Key | None) -> list[Built]:
    """The files, once for all repositories that have them."""
    return [(one, *build(one, key)) for one in rpms]


def repository(root: str, rpms: t.Sequence[Built], key: Key | None) -> list[Entry]:
    """The packages, and their index signed by `key`; None signs nothing."""
    found: list[Entry] = []
    primary, filelists, other = [], [], []
    for one, data, where in rpms:
        digest = hashlib.sha256(data).hexdigest()
        found.append(Entry(f"{root}/{one.file_name}", 0o644, data))
        primary.append(_primary(one, data, digest, where))
        filelists.append(_listed(one, digest, "".join(f"<file>/{escape(name)}</file>" for name in _names(one))))
        other.append(_listed(one, digest, ""))
    count = f'packages="{len(rpms)}"'
    indices = {
        "primary": f"{HEAD}<metadata {COMMON} {count}>\n{''.join(primary)}</metadata>\n",
        "filelists": f"{HEAD}<filelists {FILELISTS} {count}>\n{''.join(filelists)}</filelists>\n",
        "other": f"{HEAD}<otherdata {OTHER} {count}>\n{''.join(other)}</otherdata>\n",
    }
    streams = modules([row[0] for row in rpms])
    if streams:
        indices["modules"] = streams
    return found + _index(root, indices, key)


def modules(rpms: t.Iterable[Rpm]) -> str:
    """modules.yaml: each stream with its packages."""
    streams: dict[str, list[Rpm]] = {}
    for one in rpms:
        for stream in one.streams:
            streams.setdefault(stream, []).append(one)
    return "".join(_stream(name, members) for name, members in streams.items())


def _stream(name: str, members: t.Sequence[Rpm]) -> str:
    module, _colon, stream = name.partition(":")
    names = {one.package.name for one in members}
    profiles = {"default": {"rpms": sorted(names & {"nvidia-open", "cuda-drivers"})}}
    document = {
        "document": "modulemd",
        "version": 2,
        "data": {
            "name": module,
            "stream": stream,
            "version": 1,
            "context": "lab",
            "arch": "x86_64",
            "summary": f"stand-ins of the lab, stream {stream}",
            "description": f"stand-ins of the lab, stream {stream}",
            "license": {"module": ["GPL-3.0-or-later"]},
            "dependencies": [{}],
            "profiles": profiles,
            "artifacts": {"rpms": sorted({one.nevra for one in members})},
        },
    }
    return yaml.safe_dump(document, explicit_start=True, explicit_end=True, sort_keys=False)


def _index(root: str, indices: t.Mapping[str, str], key: Key | None) -> list[Entry]:
    found, rows = [], []
    for kind, text in indices.items():
        plain = text.encode()
        packed = gzip.compress(plain, mtime=0)
        digest, name = hashlib.sha256(packed).hexdigest(), f"{kind}.{'yaml' if kind == 'modules' else 'xml'}.gz"
        found.append(Entry(f"{root}/repodata/{name}", 0o644, packed))
        rows.append(
            f'<data type="{kind}"><checksum type="sha256">{digest}</checksum>'
            f'<open-checksum type="sha256">{hashlib.sha256(plain).hexdigest()}</open-checksum>'
            f'<location href="repodata/{name}"/><timestamp>{SIGNED_AT}</timestamp>'
            f"<size>{len(packed)}</size><open-size>{len(plain)}</open-size></data>\n"
        )
    space = 'xmlns="http://linux.duke.edu/metadata/repo"'
    listed = f"{HEAD}<repomd {space}><revision>{SIGNED_AT}</revision>\n{''.join(rows)}</repomd>\n".encode()
    found.append(Entry(f"{root}/repodata/repomd.xml", 0o644, listed))
    if key is not None:
        found += [
            Entry(f"{root}/repodata/repomd.xml.asc", 0o644, key.detached(listed).encode()),
            Entry(f"{root}/repodata/repomd.xml.key", 0o644, key.public().encode()),
            Entry(f"{root}/{key.fingerprint[-8:].lower()}.pub", 0o644, key.public().encode()),
        ]
    return found


def _primary(one: Rpm, data: bytes, digest: str, where: tuple[int, int]) -> str:
    size = sum(len(entry.content) for entry in one.content.files)
    relations = "".join(_relation(kind, rows) for kind, rows in one.relations.items() if rows)
    # dnf and zypper look for programs by their paths here, for all others in filelists
    programs = "".join(
        f"<file>/{escape(name)}</file>" for name in _names(one) if "bin/" in name or name.startswith("etc")
    )
    return (
        f'<package type="rpm"><name>{escape(one.package.name)}</name><arch>{one.architecture}</arch>{_version(one)}'
        f'<checksum type="sha256" pkgid="YES">{digest}</checksum><summary>{escape(one.package.role)}</summary>'
        f"<description>stand-in of the lab</description><packager/><url/>"
        f'<time file="{SIGNED_AT}" build="{SIGNED_AT}"/>'
        f'<size package="{len(data)}" installed="{size}" archive="{size}"/><location href={quoteattr(one.file_name)}/>'
        f"<format><rpm:license>GPL-3.0-or-later</rpm:license><rpm:vendor/><rpm:group>Unspecified</rpm:group>"
        f"<rpm:buildhost>lab.invalid</rpm:buildhost>"
        f"<rpm:sourcerpm>{escape(one.package.name)}-{one.package.full}.src.rpm</rpm:sourcerpm>"
        f'<rpm:header-range start="{where[0]}" end="{where[1]}"/>{relations}{programs}</format></package>\n'
    )


def _listed(one: Rpm, digest: str, inside: str) -> str:
    return (
        f'<package pkgid="{digest}" name={quoteattr(one.package.name)} arch="{one.architecture}">{_version(one)}'
        f"{inside}</package>\n"
    )


def _version(one: Rpm) -> str:
    return f'<version epoch="{one.epoch}" ver={quoteattr(one.version)} rel={quoteattr(one.release)}/>'


def _names(one: Rpm) -> list[str]:
    return sorted(entry.path for entry in one.content.files)


def _relation(kind: str, rows: t.Iterable[Dependency]) -> str:
    return f"<rpm:{kind}>{''.join(map(_entry, rows))}</rpm:{kind}>"


def _entry(row: Dependency) -> str:
    assert row.sense in SENSES, row
    if not row.sense:
        return f"<rpm:entry name={quoteattr(row.name)}/>"
    epoch, _colon, rest = row.version.rpartition(":")
    version, _dash, release = rest.partition("-")
    last = f" rel={quoteattr(release)}" if release else ""
    flags = f'flags="{WORDS[row.sense]}" epoch="{epoch or 0}"'
    return f"<rpm:entry name={quoteattr(row.name)} {flags} ver={quoteattr(version)}{last}/>"
