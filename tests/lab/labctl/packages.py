# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of the lab's packages: which repository has which package in which version, whatever its format.

A repository lists sets; a set lists driver versions and packages. A package of a set exists once for each version whose
branch lies within `since` and `until` (or is `only`), with `latest: true` for the newest version of each branch alone,
with `foreach: kernel` once more for each kernel. A package's own `version` makes it one package, whatever the driver.

In names and relations stand $version (580.126.16), $branch (580), $full (version and release as the package manager
has them), $kernel, and $running and $next, the kernel that runs and the one that boots next. A relation may be
given as depends_until_580 or depends_since_590 where it differs between branches.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import string
import typing as t
from pathlib import Path

import yaml

from labctl.common import LAB, LabError

CATALOGUE = LAB / "packages"
RELATIONS = ("depends", "recommends", "provides", "conflicts", "replaces")
ROLES = frozenset(
    (
        "meta", "transitional", "filler", "library", "utils", "module-dkms", "module-precompiled", "kernel-support",
        "firmware", "persistenced", "modprobe", "fabricmanager", "imex", "nvlsm", "pinning", "keyring", "kernel-image",
        "kernel-headers", "stand-in", "versionlock",
    )
)  # fmt: skip
FIELDS = frozenset(
    (
        "role", "name", "version", "release", "release_since", "since", "until", "only", "latest", "foreach", "flavour",
        "module", "component", "architecture", "pin", "commands", "verified", *RELATIONS,
    )
)  # fmt: skip
Row = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Package:
    """One version of one package."""

    name: str
    version: str  # of the software: 580.126.16
    full: str  # as the package manager has it: 580.126.16-1
    role: str
    component: str = "main"
    architecture: str = "native"  # or "all"
    flavour: str = ""  # of modules: open or proprietary
    module: str = "nvidia"  # the first module's name
    kernel: str = ""
    pin: str = ""
    commands: tuple[str, ...] = ()
    relations: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def branch(self) -> str:
        return self.version.partition(".")[0]

    def related(self, kind: str) -> tuple[str, ...]:
        return self.relations.get(kind, ())


@dataclasses.dataclass(frozen=True)
class Repository:
    """One repository as the catalogue has it; `signed` maps the first folder of its path to a key's name."""

    name: str
    format: str
    path: str
    sets: tuple[str, ...]
    signed: t.Mapping[str, str]
    suite: str = ""
    components: tuple[str, ...] = ()
    module: str = ""  # of dnf, whose streams its packages are in


@dataclasses.dataclass(frozen=True)
class Kernels:
    """The kernel that runs on this machine, and so in every node, and the one that a node would boot next."""

    running: str
    next: str

    def of(self, word: str) -> str:
        return {"running": self.running, "next": self.next}[word]


class Catalogue:
    """All files of the catalogue together."""

    def __init__(self, folder: Path = CATALOGUE) -> None:
        self.repositories: dict[str, Repository] = {}
        self.sets: dict[str, Row] = {}
        for path in sorted(folder.glob("*.yml")):
            document = yaml.safe_load(path.read_text())
            for name, row in document.get("repositories", {}).items():
                self.repositories[name] = _repository(name, row)
            self.sets.update(document.get("sets", {}))
        for repository in self.repositories.values():
            for name in repository.sets:
                if name not in self.sets:
                    raise LabError(f"repository {repository.name}: there is no set {name!r} in {folder.name}/*.yml")

    def of_format(self, prefix: str) -> list[Repository]:
        return [one for one in self.repositories.values() if one.format.startswith(prefix)]

    def packages(self, name: str, kernels: Kernels) -> list[Package]:
        """Every package of set `name`, in the order of the catalogue."""
        found: list[Package] = []
        rows: Row = self.sets[name]["packages"]
        for key, row in rows.items():
            _check(f"set {name}, package {key}", row)
            found += _versions(self.sets[name], key, row, kernels)
        return found


@functools.lru_cache(maxsize=1)
def machine_kernels() -> Kernels:
    running = os.uname().release
    match = re.match(r"(\d+)\.(\d+)", running)
    if match is None:
        raise LabError(f"the running kernel {running!r} has no version to count on from")
    return Kernels(running, f"{match[1]}.{int(match[2]) + 1}.1-lab-amd64")


def branch_of(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0


def order(version: str) -> tuple[int, ...]:
    """Versions of drivers and kernels in their order."""
    return tuple(int(one) for one in re.findall(r"\d+", version))


def _repository(name: str, row: Row) -> Repository:
    words = {key: tuple(row.get(key, ())) for key in ("sets", "components")}
    return Repository(
        name,
        row["format"],
        row["path"],
        words["sets"],
        row["signed"],
        row.get("suite", ""),
        words["components"],
        row.get("module", ""),
    )


def _check(where: str, row: Row) -> None:
    for key in row:
        plain = re.sub(r"_(since|until)_\d+$", "", key)
        if plain not in FIELDS:
            raise LabError(f"{where}: unknown field {key!r}")
    if row.get("role") not in ROLES:
        raise LabError(f"{where}: role is {row.get('role')!r}; it must be one of {', '.join(sorted(ROLES))}")


def _versions(the_set: Row, key: str, row: Row, kernels: Kernels) -> list[Package]:
    wanted = [one for one in the_set["versions"] if _exists(row, branch_of(one))]
    if row.get("latest"):
        newest = {branch_of(one): one for one in sorted(wanted, key=order)}
        wanted = [one for one in wanted if newest[branch_of(one)] == one]
    if "version" in row:
        wanted = wanted[:1]
    each = ("running", "next") if row.get("foreach") == "kernel" else ("",)
    return [_package(the_set, key, row, version, kernels, word) for version in wanted for word in each]


def _exists(row: Row, branch: int) -> bool:
    if "only" in row:
        return bool(branch == row["only"])
    return bool(row.get("since", 0) <= branch <= row.get("until", branch))


def _package(the_set: Row, key: str, row: Row, driver: str, kernels: Kernels, word: str) -> Package:
    branch = branch_of(driver)
    own = row.get("version")
    full = own or driver + _release(the_set, row, branch)
    version = re.sub(r"-[^-]*$", "", own) if own else driver
    kernel = kernels.of(word) if word else ""

    def fill(text: str) -> str:
        words = {"kernel": kernel, "running": kernels.running, "next": kernels.next}
        # what no name of a package may hold
        words = {key: value.lower().replace("_", "-") for key, value in words.items()}
        return string.Template(text).substitute(version=version, branch=branch, full=full, **words)

    return Package(
        name=fill(row.get("name", key)),
        version=version,
        full=full,
        role=row["role"],
        component=row.get("component", the_set.get("component", "main")),
        architecture=row.get("architecture", "native"),
        flavour=row.get("flavour", ""),
        module=row.get("module", "nvidia"),
        kernel=kernel,
        pin=fill(row.get("pin", "")),
        commands=tuple(row.get("commands", ())),
        relations={kind: tuple(map(fill, _related(row, kind, branch))) for kind in RELATIONS},
    )


def _release(the_set: Row, row: Row, branch: int) -> str:
    """The package's own release, else the set's; either may change from a branch on."""
    source = row if "release" in row else the_set
    release: str = source.get("release", "")
    for since, changed in source.get("release_since", {}).items():
        if branch >= since:
            release = changed
    return release


def _related(row: Row, kind: str, branch: int) -> list[str]:
    found: list[str] = list(row.get(kind, ()))
    for key, words in row.items():
        match = re.fullmatch(rf"{kind}_(since|until)_(\d+)", key)
        if match and (branch >= int(match[2]) if match[1] == "since" else branch <= int(match[2])):
            found += words
    return found
