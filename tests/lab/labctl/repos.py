# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The apt repositories of the lab as files of an image, made from the catalogue and kept below .build/lab."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import typing as t
from pathlib import Path

from labctl import deb
from labctl.common import BUILD, IMAGE, LAB, LabError
from labctl.files import Entry, tree
from labctl.openpgp import Key
from labctl.packages import CATALOGUE, Catalogue, Kernels, Package, Repository, machine_kernels
from labctl.payload import URL, Target

# where the repositories lie on a node; its server shows them below URL
PLACE = "srv/accel-lab/repos"
KEYS = {
    "good": Key("good"),
    # what Debian 13 refuses since February 2026
    "sha1": Key("sha1", digest="sha1"),
    "expired": Key("expired", valid_days=30),
}
# installed in every node that has the repositories
PREINSTALLED = ("dkms", "initramfs-tools", "mokutil", "linux-image-amd64", "linux-headers-amd64")
SOURCES = (
    "labctl/files.py",
    "labctl/deb.py",
    "labctl/openpgp.py",
    "labctl/packages.py",
    "labctl/payload.py",
    "labctl/repos.py",
)


def entries(kernels: Kernels | None = None) -> list[Entry]:
    """All repositories below PLACE, built if catalogue, builder or kernel have changed."""
    kernels = kernels or machine_kernels()
    folder = BUILD / "lab" / f"repos-{_digest(kernels)}"
    if not folder.is_dir():
        _write(folder, build(kernels))
    return tree(folder, PLACE)


def build(kernels: Kernels) -> list[Entry]:
    """Every repository, the keys, and what is preinstalled."""
    catalogue = Catalogue()
    found: dict[str, Entry] = {}
    for repository in catalogue.of_format("deb-"):
        for entry in _repository(catalogue, repository, kernels):
            found[entry.path] = entry
    wanted = [*PREINSTALLED, f"linux-image-{kernels.running}", f"linux-headers-{kernels.running}"]
    for name in wanted:
        package = _first(catalogue, ("kernels-debian", "stand-ins"), name, kernels)
        found[f"installed/{deb.file_name(package)}"] = Entry(
            f"installed/{deb.file_name(package)}", 0o644, deb.build(package, Target())
        )
    for entry in key_entries():
        found[entry.path] = entry
    return list(found.values())


def key_entries() -> list[Entry]:
    """Each key armored and binary, and a table of all."""
    found = []
    table: dict[str, t.Any] = {"url": URL, "keys": {}}
    for name, key in KEYS.items():
        found += [
            Entry(f"keys/{name}.asc", 0o644, key.public().encode()),
            Entry(f"keys/{name}.gpg", 0o644, key.binary()),
        ]
        table["keys"][name] = {
            "fingerprint": key.fingerprint,
            "armored": f"{URL}/keys/{name}.asc",
            "digest": key.digest,
        }
    return [*found, Entry("keys/keys.json", 0o644, (json.dumps(table, indent=1) + "\n").encode())]


def _repository(catalogue: Catalogue, repository: Repository, kernels: Kernels) -> list[Entry]:
    packages = [one for name in repository.sets for one in catalogue.packages(name, kernels)]
    place = f"{URL}/{repository.path}"
    target = Target(release=repository.name, url=place)
    pool = {deb.file_name(one): deb.build(one, target) for one in packages}
    if repository.format == "deb-archive":
        return deb.archive(repository, pool, packages, KEYS["good"])
    if repository.format != "deb-flat":
        raise LabError(f"repository {repository.name}: there is no format {repository.format!r}")
    where = f"pool/{repository.name}"
    found = [Entry(f"{where}/{name}", 0o644, data) for name, data in pool.items()]
    _first_folder, _slash, below = repository.path.partition("/")
    for folder, key in repository.signed.items():
        found += deb.flat(f"{folder}/{below}", pool, packages, where, KEYS.get(key))
    return found


def _first(catalogue: Catalogue, sets: t.Sequence[str], name: str, kernels: Kernels) -> Package:
    for one in sets:
        for package in catalogue.packages(one, kernels):
            if package.name == name:
                return package
    raise LabError(f"no set of {', '.join(sets)} has the package {name!r}")


def _digest(kernels: Kernels) -> str:
    total = hashlib.sha256(repr(dataclasses.astuple(kernels)).encode())
    shared = IMAGE / "node/files/usr/lib/accel-lab/ko.py"
    for path in [*sorted(CATALOGUE.glob("*.yml")), *(LAB / name for name in SOURCES), shared]:
        data = path.read_bytes()
        total.update(f"{path.name} {len(data)}\n".encode() + data)
    return total.hexdigest()[:12]


def _write(folder: Path, found: t.Iterable[Entry]) -> None:
    """Beside its place first: an interrupted build leaves no half repository behind."""
    for old in folder.parent.glob("repos-*"):
        shutil.rmtree(old)
    draft = folder.with_name(f"draft-{os.getpid()}")
    for entry in found:
        path = draft / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.link:
            path.symlink_to(entry.content.decode())
        else:
            path.write_bytes(entry.content)
            path.chmod(entry.mode)
    draft.rename(folder)
