# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the files of installed packages before they are replaced: repositories drop old versions. PRIVATE.

A file is taken from the package manager's own cache, else downloaded. What cannot be had is told: without it there is a
way back only as long as a repository still has that version.
"""

from __future__ import annotations

import glob
import os
import shutil
import typing as t

from ..._errors import AccelError
from ..record import CACHE

if t.TYPE_CHECKING:
    from ..._packages.objects import Package
    from ..._ports import Ports

_SECONDS = 600.0
# Where the managers keep what they downloaded: apt.conf(5) Dir::Cache::archives, dnf.conf(5) cachedir (dnf 5 calls it
# system_cachedir), zypp.conf packagesdir.
CACHES: t.Mapping[str, t.Tuple[str, ...]] = {
    "apt": ("/var/cache/apt/archives",),
    "dnf": ("/var/cache/dnf/*/packages", "/var/cache/libdnf5/*/packages"),
    "zypper": ("/var/cache/zypp/packages/*", "/var/cache/zypp/packages/*/*"),
}


def keep(ports: Ports, kind: str, packages: t.Sequence[Package]) -> t.Dict[str, str]:
    """Package -> its file in CACHE, for those whose file could be had."""
    kept: t.Dict[str, str] = {}
    folder = ports.files.path(CACHE)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    for package in packages:
        name = file_name(kind, package)
        path = os.path.join(folder, name)
        if os.path.isfile(path) or _copied(ports, kind, name, path) or _downloaded(ports, kind, package, path):
            kept[package.name] = name
    return kept


def prune(ports: Ports, kept: t.Collection[str]) -> None:
    """Only what the record names stays."""
    for name in ports.files.names(CACHE):
        if name not in kept:
            ports.files.remove(f"{CACHE}/{name}")
    ports.files.prune(CACHE)


def file_name(kind: str, package: Package) -> str:
    """As the manager calls it; apt writes the colon of an epoch as %3a, rpm leaves the epoch out."""
    stem = file_stem(kind, package.name, package.version)
    return f"{stem}_{package.arch}.deb" if kind == "apt" else f"{stem}.{package.arch}.rpm"


def file_stem(kind: str, name: str, version: str) -> str:
    if kind == "apt":
        return f"{name}_{version.replace(':', '%3a')}"
    return f"{name}-{version.partition(':')[2] or version}"


def _copied(ports: Ports, kind: str, name: str, path: str) -> bool:
    for cache in CACHES[kind]:
        for found in glob.glob(os.path.join(ports.files.path(cache), glob.escape(name))):
            _place(found, path)
            return True
    return False


def _downloaded(ports: Ports, kind: str, package: Package, path: str) -> bool:
    folder = os.path.join(os.path.dirname(path), ".new")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o755)
    try:
        code = ports.run(_argv(kind, package, folder), timeout=_SECONDS)[0]
        # apt-get download leaves the epoch in the name or not, so what came is taken, whatever it is called.
        found = sorted(os.listdir(folder)) if kind != "zypper" else []
        if code == 0 and found:
            _place(os.path.join(folder, found[0]), path)
            return True
        return code == 0 and _copied(ports, kind, os.path.basename(path), path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _argv(kind: str, package: Package, folder: str) -> t.List[str]:
    if kind == "apt":
        # It writes into the working directory; as root it may not use its own user there.
        words = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", f"{package.name}={package.version}"]
        return ["env", "-C", folder, *words]
    if kind == "dnf":
        return ["dnf", "-q", "-y", "download", f"--destdir={folder}", f"{package.name}-{package.version}"]
    return ["zypper", "--non-interactive", "--quiet", "download", f"{package.name}={package.version}"]


def _place(source: str, path: str) -> None:
    """A half copy never has the name of a whole one."""
    try:
        shutil.copyfile(source, f"{path}.part")
        os.replace(f"{path}.part", path)
    except OSError as error:
        raise AccelError(
            f"{path}: {error.strerror}; the old package's file is kept there before the package is replaced; make room",
            path=path,
        ) from error
