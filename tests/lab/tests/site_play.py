# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""site.yml on one node of the lab, started as a user starts it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

from simulated import Node

ROOT = Path(__file__).resolve().parents[3]
RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ", re.MULTILINE)


def site(node: Node, folder: Path, *flags: str, **variables: t.Any) -> tuple[int, str]:
    """How many tasks changed something, and what was said. `folder` gets the inventory."""
    known = {
        "ansible_connection": "community.docker.docker",
        "ansible_host": node.name,
        "ansible_python_interpreter": "/usr/bin/python3",
        "accel_gpu_expected": {"count": 1},
        **variables,
    }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"children": {"gpu_nodes": {"hosts": {node.host: known}}}}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
    argv = [program, "-i", str(inventory), "accel.gpu.site", *flags]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    changed = {host: int(count) for host, count in RECAP.findall(done.stdout)}
    assert done.returncode == 0 and node.host in changed, done.stdout + done.stderr
    return changed[node.host], done.stdout
