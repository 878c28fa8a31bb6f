# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""site.yml on distributions that no scenario of molecule has, from a bare node to its removal, with a mirror.

They are nodes of a kin whose package manager is the genuine one, and which call themselves by that name: RHEL 8 is
driven through the dnf command, Debian 13 judges signatures by sqv, Ubuntu has other names before 590 than after it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import Node
from upgrade_fleet import MIRROR

ROOT = Path(__file__).resolve().parents[3]
OLD, NEW = "580.126.16", "590.48.01"
RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ", re.MULTILINE)


class Kin(t.NamedTuple):
    """`image` and `os` as the lab has them. `packages` and `holds` are commands; `named` is in what the first lists."""

    image: str
    os: str
    packages: str
    holds: str
    named: str


DEB = ("dpkg-query -W -f '${Package} ${Version}\\n' | sort", "apt-mark showhold")
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
        """How many tasks changed something, and what was said."""
        known = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self.node.name,
            "ansible_python_interpreter": "/usr/bin/python3",
            "accel_gpu_expected": {"count": 1},
            **MIRROR,
            **variables,
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"children": {"gpu_nodes": {"hosts": {self.node.host: known}}}}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
        argv = [program, "-i", str(inventory), "accel.gpu.site", *flags]
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=600, check=False)
        changed = {host: int(count) for host, count in RECAP.findall(done.stdout)}
        assert done.returncode == 0 and self.node.host in changed, done.stdout + done.stderr
        return changed[self.node.host], done.stdout

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
    kind, site = kin
    node, wish = site.node, {"gpu_driver_version": OLD, "mig_geometry": [{"gpus": "all", "instances": {"1g.10gb": 7}}]}
    bare = node.out(kind.packages)
    foretold, _said = site.run("--check", **wish)
    assert foretold > 0
    assert (node.out(kind.packages), site.driver()) == (bare, ("", ""))
    site.run(**wish)
    assert site.driver() == (OLD, OLD)
    assert kind.named in node.out(kind.packages)
    assert "nvidia" in node.out(kind.holds)
    assert [one["profile"] for one in node.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    for flags in ((), ("--check",)):
        assert site.run(*flags, **wish)[0] == 0

    # A newer wish waits while the module is loaded.
    installed = node.out(kind.packages)
    changed, said = site.run(**{**wish, "gpu_driver_version": NEW})
    assert (changed, site.driver(), node.out(kind.packages)) == (0, (OLD, OLD), installed)
    assert f"upgrade pending {OLD} → {NEW}" in said
    changed, _said = site.run(**{**wish, "gpu_driver_version": NEW, "gpu_driver_change_loaded": True})
    assert changed > 0
    assert site.driver() == (NEW, NEW)
    assert [one["profile"] for one in node.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    assert site.run(**{**wish, "gpu_driver_version": NEW})[0] == 0

    # Nothing of it stays.
    gone = {"gpu_driver_state": "absent", "gpu_driver_change_loaded": True}
    site.run(**gone)
    assert (node.out(kind.packages), node.out(kind.holds), site.driver()) == (bare, "", ("", ""))
    assert node.out("find /etc -name '*accel-gpu-driver*' -o -path /etc/modprobe.d/accel-gpu.conf") == ""
    assert site.run(**gone)[0] == 0
