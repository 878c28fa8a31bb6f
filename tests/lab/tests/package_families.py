# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Package managers on nodes of the lab, and the packages that a driver consists of for each."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from labctl import image, nodes
from labctl.inventory import NodeSpec
from labctl.repos import KEYS, URL
from packages_node import PackagesNode

SCENARIO = f"packages-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
OLD, NEW = "580.95.05", "580.126.16"
KEY = "/etc/accel-lab-test.asc"
# what may not change while a repository is only looked at
STATE = (
    "find /etc /var/lib/dpkg /var/lib/apt /var/cache/apt /var/lib/rpm /var/lib/dnf /var/cache/dnf /var/lib/zypp "
    "/var/cache/zypp /tmp /var/tmp -xdev '(' -type f -o -type l ')' 2>/dev/null | sort | "
    "xargs -d '\\n' sha256sum 2>/dev/null"
)


@dataclasses.dataclass(frozen=True)
class Family:
    """One package manager, with the packages that a driver consists of there."""

    image: str
    folder: str
    repository: str
    names: tuple[str, ...]
    form: str
    stream: str | None = None
    system: str = ""

    def version(self, driver: str) -> str:
        return self.form.format(driver)

    def request(self, driver: str, **more: t.Any) -> dict[str, t.Any]:
        wanted = [[name, self.version(driver)] for name in self.names]
        return {"install": wanted, **({"module": self.stream} if self.stream else {}), **more}

    @property
    def address(self) -> str:
        return f"{URL}/nvidia/{self.repository}/x86_64"

    def source(self, folder: str = "nvidia", key: str = "good", server: str = URL) -> list[t.Any]:
        address = f"{server}/{folder}/{self.repository}/x86_64"
        texts = {
            "driver": ("nv.sources", f"Types: deb\nURIs: {address}\nSuites: ./\nSigned-By: {KEY}\n"),
            "el": ("nv.repo", f"[nv]\nname=nv\nbaseurl={address}\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://{KEY}\n"),
            "suse": ("nv.repo", f"[nv]\nname=nv\nbaseurl={address}\nenabled=1\ngpgcheck=1\ngpgkey=file://{KEY}\n"),
        }
        name, text = texts[self.image.replace("13", "")]
        return [["nv", [[f"{self.folder}/{name}", text], [KEY, KEYS[key].public()]]]]


FAMILIES = {
    "apt": Family(
        "driver",
        "/etc/apt/sources.list.d",
        "debian12",
        ("libnvidia-ml1", "libcuda1", "nvidia-driver-cuda", "nvidia-modprobe"),
        "{}-1",
    ),
    "dnf": Family(
        "el",
        "/etc/yum.repos.d",
        "rhel9",
        ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        "3:{}-1.el9",
        "nvidia-driver:580-open",
    ),
    "zypper": Family(
        "suse",
        "/etc/zypp/repos.d",
        "sles15",
        # all that depend on each other by version: zypper goes back only to what is named
        (
            "nvidia-compute-G06",
            "nvidia-compute-utils-G06",
            "nvidia-open-driver-G06",
            "libnvidia-ml",
            "nvidia-common-G06",
            "nvidia-modprobe",
            "nvidia-persistenced",
        ),
        "{}-1",
    ),
}
OTHERS = {
    # its apt judges signatures by sqv
    "apt13": dataclasses.replace(FAMILIES["apt"], image="driver13", repository="debian13"),
    "rhel8": dataclasses.replace(FAMILIES["dnf"], repository="rhel8", form="3:{}-1.el8", system="rocky8"),
    "rhel10": dataclasses.replace(
        FAMILIES["dnf"], repository="rhel10", form="3:{}-1.el10", system="rocky10", stream=None
    ),
}


@dataclasses.dataclass(frozen=True)
class Case:
    family: Family
    node: PackagesNode

    def configure(self) -> None:
        """The repository as a role would write it, and an index of it; once."""
        if self.node.run(f"test -e {KEY}").returncode == 0:
            return
        for _name, files in self.family.source():
            for path, text in files:
                self.node.out(f"mkdir -p $(dirname {path}); cat >{path} <<'END'\n{text}END\n")
        # dnf and zypper know a repository by its name, apt by its address
        assert self.node.ask(("trust", KEY), ("refresh", 0, [["nv", self.family.address]])).last is True

    def installed(self) -> dict[str, str]:
        found = self.node.ask(("installed", list(self.family.names))).last
        return {one["name"]: one["version"] for one in found}

    def all_at(self, driver: str) -> dict[str, str]:
        return {name: self.family.version(driver) for name in self.family.names}


def start(kind: str) -> Case:
    """A node of its own with the package manager of that name."""
    family = {**FAMILIES, **OTHERS}[kind]
    spec = NodeSpec(kind, ("t4",), state="no_module", image=family.image, os=family.system, sources="lab")
    nodes.up(SCENARIO, [spec], image.ensure(family.image))
    node = PackagesNode(nodes.container_name(SCENARIO, kind))
    node.install_room()
    # repositories that the node has from the start
    node.ask(("refresh", 0))
    return Case(family, node)
