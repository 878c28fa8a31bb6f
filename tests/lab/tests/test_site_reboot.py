# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last reboot of site.yml: never over somebody's work; what was owed is there afterwards, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import Node

SCENARIO = f"reboottest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SPEC = NodeSpec("reboot1", ("a100-80gb",))
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    nodes.up(SCENARIO, (SPEC,), image.ensure())
    one = Node(SPEC.host, scenario=SCENARIO)
    # A machine comes up again by itself; a container is started by Docker.
    subprocess.run(["docker", "update", "--restart", "always", one.name], check=True, capture_output=True, timeout=60)
    yield one
    nodes.down(SCENARIO)


def site(node: Node, folder: Path) -> str:
    variables = {
        "ansible_connection": "community.docker.docker",
        "ansible_host": node.name,
        "ansible_python_interpreter": "/usr/bin/python3",
        "accel_gpu_expected": {"count": 1},
        "mig_geometry": [{"gpus": "all", "instances": {"1g.10gb": 7}}],
        "mig_apply": "next_boot",
        "site_reboot": True,
    }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"children": {"gpu_nodes": {"hosts": {node.host: variables}}}}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
    argv = [program, "-i", str(inventory), "accel.gpu.site"]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def boot(node: Node) -> str:
    return node.out("cat /proc/sys/kernel/random/boot_id")


@pytest.mark.full
def test_a_node_that_works_is_not_rebooted(node: Node, tmp_path: Path) -> None:
    pid = node.out("gpusim occupy 0 --spawn").split()[-1]
    before = boot(node)
    told = site(node, tmp_path)
    assert "owes a reboot (a stored MIG wish is applied at boot) and is not rebooted: GPU " in told
    assert f"is used by process {pid}" in told
    assert boot(node) == before
    assert node.out(f"ps -o pid= -p {pid}").split() == [pid]
    node.out(f"gpusim release 0 --pid {pid}")


def test_an_idle_node_is_rebooted_once_and_gets_no_driver(node: Node, tmp_path: Path) -> None:
    before = boot(node)
    told = site(node, tmp_path)
    assert boot(node) != before
    assert [one["profile"] for one in node.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    assert "Report what is still owed" not in told or "is applied at boot" not in told
    # A driver that nobody declares is not installed on the way.
    assert node.run("test -e /etc/apt/sources.list.d/accel-gpu-driver.sources").returncode == 1
    after = boot(node)
    site(node, tmp_path)
    assert boot(node) == after
