# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of a package manager and what it answers. Value objects and texts only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import DiskFullError

# Packages without which a hold has no effect: dnf's locks are a plugin.
HOLD_TOOLS = ("python3-dnf-plugin-versionlock",)


class Package(t.NamedTuple):
    """A package that is there. `version` as the manager writes it, with epoch and revision."""

    name: str
    version: str
    arch: str


class Change(t.NamedTuple):
    """What happens to one package: `before` is None for an installation, `after` for a removal. `beside`: it is
    installed beside other versions of itself, which stay, as kernels and their headers are.

    apt writes a package of a foreign architecture as name:arch, all others without.
    """

    name: str
    before: t.Optional[str]
    after: t.Optional[str]
    beside: bool = False


class Transaction(t.NamedTuple):
    """What a transaction does or did, in the manager's order. `download_bytes` is what was not in the cache, and None
    where it was not asked; of dnf it is rounded, since dnf tells it so. `full`: why it does not fit on the disk."""

    changes: t.Tuple[Change, ...] = ()
    download_bytes: t.Optional[int] = None
    full: t.Optional[DiskFullError] = None

    @property
    def removed(self) -> t.Tuple[str, ...]:
        return tuple(change.name for change in self.changes if change.after is None)

    @property
    def wanted(self) -> t.Dict[str, t.Optional[str]]:
        """Name → version afterwards."""
        return {change.name: change.after for change in self.changes}


class Request(t.NamedTuple):
    """What is wanted.

    `install` has (name, version), where None is the version that the manager prefers. `remove` names every package that
    may go, those that go because of others too; what is not installed is left out. `own_holds` names packages whose
    hold is the asker's own: they may change and are held afterwards as before. `module` is a dnf stream such as
    nvidia-driver:580-open, which is enabled instead of another; without a stream the module is reset.
    `purge` takes configuration files of the removed along (apt only; rpm keeps changed ones as .rpmsave).
    """

    install: t.Tuple[t.Tuple[str, t.Optional[str]], ...] = ()
    remove: t.Tuple[str, ...] = ()
    downgrade: bool = False
    recommends: bool = False
    module: t.Optional[str] = None
    own_holds: t.Tuple[str, ...] = ()
    purge: bool = False


class Origin(t.NamedTuple):
    """A repository that is configured: dnf and zypper know it by its name, apt by its address."""

    name: str
    url: str


class Source(t.NamedTuple):
    """A repository: (path, content) of its definition and of its key, as they are to lie on the node."""

    name: str
    files: t.Tuple[t.Tuple[str, bytes], ...]


def deb822(name: str, uri: str, suite: str, components: t.Sequence[str], key_path: str) -> bytes:
    """A .sources file of apt. A suite that ends with / is a flat repository and has no components."""
    lines = [
        f"X-Repolib-Name: {name}",
        "Types: deb",
        f"URIs: {uri}",
        f"Suites: {suite}",
        *([] if suite.endswith("/") else [f"Components: {' '.join(components)}"]),
        f"Signed-By: {key_path}",
    ]
    return ("\n".join(lines) + "\n").encode("utf-8")


def yum_repo(
    name: str, uri: str, key_path: str, title: str = "", repo_gpgcheck: bool = False, module_hotfixes: bool = False
) -> bytes:
    """A .repo file of dnf. `repo_gpgcheck` needs a repository whose index is signed (repomd.xml.asc)."""
    pairs = [
        ("name", title or name),
        ("baseurl", uri),
        ("enabled", "1"),
        ("gpgcheck", "1"),
        ("repo_gpgcheck", str(int(repo_gpgcheck))),
        ("gpgkey", f"file://{key_path}"),
        *([("module_hotfixes", "1")] if module_hotfixes else []),
    ]
    return _ini(name, pairs)


def zypp_repo(name: str, uri: str, key_path: str, title: str = "") -> bytes:
    """A .repo file of zypper."""
    pairs = [
        ("name", title or name),
        ("enabled", "1"),
        ("autorefresh", "0"),
        ("baseurl", uri),
        ("type", "rpm-md"),
        ("gpgcheck", "1"),
        ("gpgkey", f"file://{key_path}"),
    ]
    return _ini(name, pairs)


def _ini(section: str, pairs: t.Iterable[t.Tuple[str, str]]) -> bytes:
    lines = [f"[{section}]", *(f"{key}={value}" for key, value in pairs)]
    return ("\n".join(lines) + "\n").encode("utf-8")
