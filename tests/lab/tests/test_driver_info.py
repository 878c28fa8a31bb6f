# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What driver_info tells of the lab's nodes, in every state that a node can be in."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from labctl import nodes
from simulated import SCENARIO

ROOT = pathlib.Path(__file__).resolve().parents[3]
VERSION = "580.126.16"


HOSTS = ("a100", "h100", "bare", "idle", "empty", "plain")


@pytest.fixture(scope="module")
def answers(started: dict[str, nodes.Started], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, t.Any]]:
    """One run of the module on every node."""
    folder = tmp_path_factory.mktemp("driver_info")
    hosts = {host: {"ansible_host": nodes.container_name(SCENARIO, host)} for host in HOSTS}
    both = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": both}}), encoding="utf-8")
    program = pathlib.Path(sys.executable).with_name("ansible")
    done = subprocess.run(
        [str(program), "-i", str(folder / "inventory.json"), "all", "-m", "accel.gpu.driver_info", "-t", str(folder)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return {host: json.loads((folder / host).read_text(encoding="utf-8")) for host in HOSTS}


@pytest.mark.parametrize(
    ("host", "state", "message", "boards"),
    [
        ("h100", "loaded", None, ["hopper", "hopper", "ampere"]),
        ("bare", "missing", "no NVIDIA driver is on this node; install it (role gpu_driver)", ["ampere"]),
        (
            "idle",
            "installed",
            f"driver {VERSION} is installed, no GPU reachable: its kernel module is not loaded; load it (modprobe "
            "nvidia)",
            ["ampere"],
        ),
        (
            "empty",
            "no_gpu",
            f"driver {VERSION} is installed and loaded, no GPU reachable: the PCI tree has no GPU of NVIDIA",
            [],
        ),
        ("plain", "missing", "no NVIDIA driver is on this node; install it (role gpu_driver)", []),
    ],
)
def test_each_state_of_a_node_is_told(
    answers: dict[str, dict[str, t.Any]], host: str, state: str, message: str | None, boards: list[str]
) -> None:
    answer = answers[host]
    assert answer["changed"] is False
    assert (answer["driver"]["state"], answer["driver"]["message"]) == (state, message)
    assert [gpu["generation"] for gpu in answer["gpus"]] == boards
    assert answer["distribution"]["family"] == "debian"
    assert answer["kernels"]["running"]["release"] == os.uname().release


def test_a_loaded_driver_is_told_with_its_dependents_and_holders(answers: dict[str, dict[str, t.Any]]) -> None:
    answer = answers["a100"]
    assert answer["driver"]["module_version"] == answer["driver"]["library_version"] == VERSION
    assert answer["driver"]["flavour"] == "open"
    assert answer["driver"]["dependents"] == ["nvidia_modeset", "nvidia_uvm"]
    assert answer["driver"]["parameters"]["nvidia"]["NVreg_EnableMSI"] == "1"
    assert [holder["unit"] for holder in answer["holders"]] == ["nvidia-persistenced.service"]
    assert answer["units"]["nvidia-persistenced.service"] == {"enabled": True, "active": True, "failed": False}
    assert answer["busy"] == []
