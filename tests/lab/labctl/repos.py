# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repositories of the lab as files of an image, made from the catalogue and kept below .build/lab."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import typing as t
from pathlib import Path

from labctl import deb, rpm, rpmmd
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
    "sha1": Key("sha1", bound_by="sha1"),
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
    "labctl/rpm.py",
    "labctl/rpmmd.py",
)


def entries(kernels: Kernels | None = None, kind: str = "deb") -> list[Entry]:
    """All repositories of deb or rpm below PLACE, built if catalogue, builder or kernel have changed."""
    kernels = kernels or machine_kernels()
    folder = BUILD / "lab" / f"{kind}-repos-{_digest(kernels)}"
    if not folder.is_dir():
        _write(folder, f"{kind}-repos-*", build(kernels) if kind == "deb" else build_rpm(kernels))
    return tree(folder, PLACE)


def build(kernels: Kernels) -> list[Entry]:
    """Every repository, the keys, and what is preinstalled."""
    catalogue = Catalogue()
    found: dict[str, Entry] = {}
    for repository in catalogue.of_format("deb-"):
        for entry in _repository(catalogue, repository, kernels):
            found[entry.path] = entry
    for package in preinstalled(catalogue, kernels):
        path = f"installed/{deb.file_name(package)}"
        found[path] = Entry(path, 0o644, deb.build(package, Target()))
    for entry in key_entries():
        found[entry.path] = entry
    return list(found.values())


def preinstalled(catalogue: Catalogue, kernels: Kernels) -> list[Package]:
    """The lab's stand-ins and the running kernel with its headers."""
    known = [one for name in ("kernels-debian", "stand-ins") for one in catalogue.packages(name, kernels)]
    names = {package.name: package for package in reversed(known)}
    return [names[name] for name in PREINSTALLED] + [one for one in known if one.kernel == kernels.running]


def build_rpm(kernels: Kernels) -> list[Entry]:
    """Every rpm repository, the keys, and what the family's nodes have installed from the start."""
    catalogue = Catalogue()
    found = {entry.path: entry for entry in key_entries()}
    for repository in catalogue.of_format("rpm"):
        place = f"{URL}/{repository.path}"
        target = Target(libraries="usr/lib64", release=repository.name, url=place)
        rpms: dict[str, rpm.Rpm] = {}
        for name in repository.sets:
            epoch = catalogue.sets[name].get("epoch", 0)
            for package in [*catalogue.packages(name, kernels), *_kernel_devel(name, kernels)]:
                one = rpm.rpm(package, epoch, repository.module if epoch else "", target)
                rpms.setdefault(one.file_name, one)
        _folder, _slash, below = repository.path.partition("/")
        # the packages themselves are always in order: their index is what a mirror breaks
        files = rpmmd.built(rpms.values(), KEYS["good"])
        for folder, key in repository.signed.items():
            for entry in rpmmd.repository(f"{folder}/{below}".rstrip("/"), files, KEYS.get(key)):
                found[entry.path] = entry
    return list(found.values())


def _kernel_devel(name: str, kernels: Kernels) -> list[Package]:
    """rpm's versions have no dash, a kernel's release may have several."""
    if name != "stand-ins-rpm":
        return []
    found = []
    for kernel in (kernels.running, kernels.next):
        version, _dash, release = kernel.partition("-")
        full = f"{version}-{release.replace('-', '_') or '1'}"
        for devel, role in (("kernel-core", "kernel-image"), ("kernel-devel", "kernel-headers")):
            found.append(Package(devel, version, full, role, kernel=kernel))
    return found


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
            "bound_by": key.bound_by,
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


def _digest(kernels: Kernels) -> str:
    total = hashlib.sha256(repr(dataclasses.astuple(kernels)).encode())
    shared = IMAGE / "node/files/usr/lib/accel-lab/ko.py"
    for path in [*sorted(CATALOGUE.glob("*.yml")), *(LAB / name for name in SOURCES), shared]:
        data = path.read_bytes()
        total.update(f"{path.name} {len(data)}\n".encode() + data)
    return total.hexdigest()[:12]


def _write(folder: Path, others: str, found: t.Iterable[Entry]) -> None:
    """Beside its place first: an interrupted build leaves no half repository behind."""
    for old in folder.parent.glob(others):
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
