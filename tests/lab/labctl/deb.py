# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages and apt repositories, written here: equal catalogues give equal files, and no tool is needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import typing as t
from pathlib import PurePosixPath

from labctl.files import Entry
from labctl.openpgp import SIGNED_AT, Key
from labctl.packages import Package, Repository
from labctl.payload import Payload, Target, payload

ARCHITECTURE = "amd64"
RELEASE_DATE = "Sun, 01 Jun 2025 00:00:00 UTC"
FIELDS = {
    "depends": "Depends",
    "recommends": "Recommends",
    "provides": "Provides",
    "conflicts": "Conflicts",
    "replaces": "Replaces",
}


def file_name(package: Package) -> str:
    architecture = "all" if package.architecture == "all" else ARCHITECTURE
    return f"{package.name}_{package.full}_{architecture}.deb"


def build(package: Package, target: Target) -> bytes:
    """The .deb file."""
    content = payload(package, target)
    control = [_text("control", stanza(package))]
    if content.settings:
        control.append(_text("conffiles", "".join(f"{path}\n" for path in content.settings)))
    control += [Entry(name, 0o755, text.encode()) for name, text in scripts(package, content).items()]
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", _tarball(control)),
        ("data.tar.gz", _tarball(content.files)),
    ]
    return b"!<arch>\n" + b"".join(_member(name, data) for name, data in members)


def stanza(package: Package) -> str:
    """The package's control file."""
    rows = {
        "Package": package.name,
        "Version": package.full,
        "Architecture": "all" if package.architecture == "all" else ARCHITECTURE,
        "Maintainer": "accel.gpu lab <lab@lab.invalid>",
        "Section": f"{package.component}/kernel" if package.component != "main" else "kernel",
        "Priority": "optional",
        "Source": _source(package),
    }
    rows.update({FIELDS[kind]: ", ".join(words) for kind, words in package.relations.items() if words})
    rows["Description"] = f"stand-in of the lab ({package.role}{', ' + package.flavour if package.flavour else ''})"
    if package.role == "transitional":
        rows["Description"] = f"transitional package of the lab to {package.related('depends')[0].split()[0]}"
    return "".join(f"{key}: {value}\n" for key, value in rows.items())


def scripts(package: Package, content: Payload) -> dict[str, str]:
    """The maintainer scripts by name: postinst, which may be told to fail, and those that have something to do."""
    fails = (
        f"if grep -qsx '{package.name}' /etc/accel-lab/fail; then\n"
        f"    echo 'lab: the script of {package.name} fails, as /etc/accel-lab/fail wants it' >&2\n    exit 1\nfi\n"
    )
    found = {"postinst": f'[ "$1" = configure ] || exit 0\n{fails}{content.configure}'}
    if content.leave or content.stop:
        stop = f'if [ "$1" = remove ]; then\n:\n{content.stop}fi\n'
        found["prerm"] = f'case "$1" in remove|upgrade|deconfigure) ;; *) exit 0;; esac\n{content.leave}{stop}'
    if content.removed:
        found["postrm"] = f'case "$1" in remove|upgrade) ;; *) exit 0;; esac\n{content.removed}'
    return {name: f"#!/bin/sh\nset -e\n{text}" for name, text in found.items()}


def index(files: t.Sequence[tuple[Package, str, bytes]]) -> str:
    """A Packages file; of each package its place in the repository and its bytes."""
    blocks = []
    for package, place, data in files:
        sums = f"MD5sum: {hashlib.md5(data).hexdigest()}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        blocks.append(f"{stanza(package)}Filename: {place}\nSize: {len(data)}\n{sums}")
    return "\n".join(blocks)


def release(rows: t.Mapping[str, str], files: t.Mapping[str, bytes]) -> str:
    """A Release file for `files`, by their paths below it."""
    head = "".join(f"{key}: {value}\n" for key, value in {**rows, "Date": RELEASE_DATE}.items() if value)
    for field, digest in (("MD5Sum", "md5"), ("SHA256", "sha256")):
        head += f"{field}:\n"
        head += "".join(
            f" {hashlib.new(digest, data).hexdigest()} {len(data)} {path}\n" for path, data in files.items()
        )
    return head


def signed(folder: str, text: str, key: Key | None) -> list[Entry]:
    """Release and, by a key, InRelease and Release.gpg."""
    found = [_text(f"{folder}/Release", text)]
    if key is not None:
        found += [
            _text(f"{folder}/InRelease", key.clear(text)),
            _text(f"{folder}/Release.gpg", key.detached(text.encode())),
        ]
    return found


def flat(
    root: str, pool: t.Mapping[str, bytes], packages: t.Sequence[Package], where: str, key: Key | None
) -> list[Entry]:
    """NVIDIA's form: everything in one folder, in which the packages are links to those in `where`."""
    names = [file_name(package) for package in packages]
    files = [(package, f"./{name}", pool[name]) for package, name in zip(packages, names)]
    listed = index(files).encode()
    indices = {"Packages": listed, "Packages.gz": gzip.compress(listed, mtime=0)}
    rows = {"Origin": "NVIDIA", "Label": "NVIDIA CUDA", "Architecture": ARCHITECTURE}
    up = "../" * len(PurePosixPath(root).parts)
    found = [Entry(f"{root}/{name}", 0o777, f"{up}{where}/{name}".encode(), link=True) for name in sorted(set(names))]
    found += [Entry(f"{root}/{name}", 0o644, data) for name, data in indices.items()]
    found += signed(root, release(rows, indices), key)
    if key is not None:
        found.append(_text(f"{root}/{key.fingerprint[-8:].lower()}.pub", key.public()))
    return found


def archive(
    repository: Repository, pool: t.Mapping[str, bytes], packages: t.Sequence[Package], key: Key | None
) -> list[Entry]:
    """A distribution's form: suites and components below dists, the packages below pool (one level above, shared)."""
    root, suite = repository.path, f"{repository.path}/dists/{repository.suite}"
    indices: dict[str, bytes] = {}
    found: list[Entry] = []
    for component in repository.components:
        mine = [one for one in packages if one.component == component]
        places = [f"pool/{component}/{file_name(one)}" for one in mine]
        files = [(one, place, pool[file_name(one)]) for one, place in zip(mine, places)]
        found += [Entry(f"{root}/{place}", 0o644, pool[file_name(one)]) for one, place in zip(mine, places)]
        listed = index(files).encode()
        below = f"{component}/binary-{ARCHITECTURE}"
        indices.update({f"{below}/Packages": listed, f"{below}/Packages.gz": gzip.compress(listed, mtime=0)})
    found += [Entry(f"{suite}/{path}", 0o644, data) for path, data in indices.items()]
    rows = {
        "Origin": root.capitalize(),
        "Label": root.capitalize(),
        "Suite": repository.suite,
        "Codename": repository.suite,
        "Architectures": ARCHITECTURE,
        "Components": " ".join(repository.components),
    }
    return found + signed(suite, release(rows, indices), key)


def _source(package: Package) -> str:
    return "nvidia-graphics-drivers" if "nvidia" in package.name else package.name


def _text(path: str, words: str) -> Entry:
    return Entry(path, 0o644, words.encode())


def _member(name: str, data: bytes) -> bytes:
    head = f"{name:<16}{SIGNED_AT:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


def _tarball(entries: t.Iterable[Entry]) -> bytes:
    """A tar archive with the folders above each file, which dpkg wants to see."""
    sink = io.BytesIO()
    known: set[str] = set()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as bundle:
        for entry in sorted(entries, key=lambda one: one.path):
            for parent in reversed(PurePosixPath(entry.path).parents):
                if str(parent) not in known:
                    known.add(str(parent))
                    folder = _info(f"./{parent}" if str(parent) != "." else "./", 0o755)
                    folder.type = tarfile.DIRTYPE
                    bundle.addfile(folder)
            info = _info(f"./{entry.path}", entry.mode)
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.content.decode()
                bundle.addfile(info)
            else:
                info.size = len(entry.content)
                bundle.addfile(info, io.BytesIO(entry.content))
    return gzip.compress(sink.getvalue(), compresslevel=6, mtime=0)


def _info(path: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.mtime, info.uname, info.gname = mode, SIGNED_AT, "root", "root"
    return info
