# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last reboot of site.yml: never over somebody's work; what was owed is there afterwards, and nothing else."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import Node
from site_play import site

SCENARIO = f"reboottest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SPEC = NodeSpec("reboot1", ("a100-80gb",))


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    nodes.up(SCENARIO, (SPEC,), image.ensure())
    one = Node(SPEC.host, scenario=SCENARIO)
    # A machine comes up again by itself; a container is started by Docker.
    subprocess.run(["docker", "update", "--restart", "always", one.name], check=True, capture_output=True, timeout=60)
    yield one
    nodes.down(SCENARIO)


def rebooting(node: Node, folder: Path) -> str:
    """What site.yml says where a geometry waits for the next boot."""
    geometry = [{"gpus": "all", "instances": {"1g.10gb": 7}}]
    return " ".join(site(node, folder, mig_geometry=geometry, mig_apply="next_boot", site_reboot=True)[1].split())


def boot(node: Node) -> str:
    return node.out("cat /proc/sys/kernel/random/boot_id")


@pytest.mark.full
def test_a_node_that_works_is_not_rebooted(node: Node, tmp_path: Path) -> None:
    pid = node.out("gpusim occupy 0 --spawn").split()[-1]
    before = boot(node)
    told = rebooting(node, tmp_path)
    assert "owes a reboot (a stored MIG wish is applied at boot) and is not rebooted: GPU " in told
    assert f"is used by process {pid}" in told
    assert boot(node) == before
    assert node.out(f"ps -o pid= -p {pid}").split() == [pid]
    node.out(f"gpusim release 0 --pid {pid}")


def test_an_idle_node_is_rebooted_once_and_gets_no_driver(node: Node, tmp_path: Path) -> None:
    before = boot(node)
    told = rebooting(node, tmp_path)
    assert boot(node) != before
    assert [one["profile"] for one in node.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    assert "Report what is still owed" not in told or "is applied at boot" not in told
    # A driver that nobody declares is not installed on the way.
    assert node.run("test -e /etc/apt/sources.list.d/accel-gpu-driver.sources").returncode == 1
    after = boot(node)
    site(node, tmp_path)
    assert boot(node) == after
