# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""site.yml on distributions that no scenario of molecule has, from a bare node to its removal, with a mirror.

They are nodes of a kin whose package manager is the genuine one, and which call themselves by that name: RHEL 8 is
driven through the dnf command, Debian 13 judges signatures by sqv, Ubuntu has other names before 590 than after it.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import Node
from site_play import site
from upgrade_fleet import MIRROR

OLD, NEW = "580.126.16", "590.48.01"


class Kin(t.NamedTuple):
    """`image` and `os` as the lab has them. `packages` and `holds` are commands; `named` is in what the first lists."""

    image: str
    os: str
    packages: str
    holds: str
    named: str


# Of a package that another one has replaced dpkg keeps a line ("rc") until it is purged.
DEB = (
    "dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\\n' | grep '^.i' | cut -c 4- | sort",
    "apt-mark showhold",
)
RPM = ("rpm -qa | sort", "dnf -q versionlock list")
KIN = {
    "rhel8": Kin("el", "rocky8", *RPM, named=f"nvidia-driver-cuda-{OLD}-1.el8"),
    "debian13": Kin("driver13", "", *DEB, named=f"nvidia-driver-cuda {OLD}-1"),
    "ubuntu2204": Kin("driver", "ubuntu2204", *DEB, named=f"libnvidia-compute-580 {OLD}-0ubuntu1"),
    "ubuntu2604": Kin("driver", "ubuntu2604", *DEB, named=f"libnvidia-compute-580 {OLD}-0ubuntu1"),
}


class Site:
    """site.yml on one node."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self.folder = folder

    def run(self, *flags: str, **variables: t.Any) -> tuple[int, str]:
        return site(self.node, self.folder, *flags, **MIRROR, **variables)

    def driver(self) -> tuple[str, str]:
        """(loaded, library)"""
        library = self.node.out(
            "ls /usr/lib/*-linux-gnu /usr/lib64 2>/dev/null | sed -n 's/^libnvidia-ml.so.\\(.*\\..*\\)/\\1/p'"
        )
        return self.node.out("cat /sys/module/nvidia/version 2>/dev/null || true"), library


@pytest.fixture(params=list(KIN))
def kin(request: pytest.FixtureRequest, tmp_path: Path) -> t.Iterator[tuple[Kin, Site]]:
    kind = KIN[request.param]
    scenario = f"families-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    spec = NodeSpec(request.param, ("a100-80gb",), state="no_driver", image=kind.image, os=kind.os, sources="lab")
    try:
        nodes.up(scenario, (spec,), image.ensure(kind.image))
        yield kind, Site(Node(spec.host, scenario=scenario), tmp_path)
    finally:
        nodes.down(scenario)


@pytest.mark.full
def test_from_a_bare_node_to_its_removal(kin: tuple[Kin, Site]) -> None:
    kind, one = kin
    node, wish = one.node, {"gpu_driver_version": OLD, "mig_geometry": [{"gpus": "all", "instances": {"1g.10gb": 7}}]}
    bare = node.out(kind.packages)
    foretold, _said = one.run("--check", **wish)
    assert foretold > 0
    assert (node.out(kind.packages), one.driver()) == (bare, ("", ""))
    one.run(**wish)
    assert one.driver() == (OLD, OLD)
    assert kind.named in node.out(kind.packages)
    assert "nvidia" in node.out(kind.holds)
    assert [one["profile"] for one in node.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    for flags in ((), ("--check",)):
        assert one.run(*flags, **wish)[0] == 0

    # A newer wish waits while the module is loaded.
    installed = node.out(kind.packages)
    changed, said = one.run(**{**wish, "gpu_driver_version": NEW})
    assert (changed, one.driver(), node.out(kind.packages)) == (0, (OLD, OLD), installed)
    assert f"upgrade pending {OLD} → {NEW}" in said
    changed, _said = one.run(**{**wish, "gpu_driver_version": NEW, "gpu_driver_change_loaded": True})
    assert changed > 0
    assert one.driver() == (NEW, NEW)
    assert [one["profile"] for one in node.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    assert one.run(**{**wish, "gpu_driver_version": NEW})[0] == 0

    # Nothing of it stays.
    gone = {"gpu_driver_state": "absent", "gpu_driver_change_loaded": True}
    one.run(**gone)
    left = set(node.out(kind.packages).splitlines()) ^ set(bare.splitlines())
    assert (left, node.out(kind.holds), one.driver()) == (set(), "", ("", ""))
    assert node.out("find /etc -name '*accel-gpu-driver*' -o -path /etc/modprobe.d/accel-gpu.conf") == ""
    assert one.run(**gone)[0] == 0
