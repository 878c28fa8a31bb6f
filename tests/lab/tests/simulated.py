# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes on which the lab's own tests run."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import typing as t

from labctl import nodes
from labctl.inventory import NodeSpec

# own nodes for each worker of a parallel run
SCENARIO = f"labtest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
HOLDER = "nvidia-persistenced.service"
SPECS = (
    NodeSpec("a100", ("a100-80gb",), units=(HOLDER, "docker.service")),
    NodeSpec("h100", ("h100-80gb-sxm5", "h100-80gb-sxm5", "a100-40gb")),
    NodeSpec("bare", ("a30-24gb",), state="no_driver"),
    NodeSpec("idle", ("a30-24gb",), state="no_module"),
    NodeSpec("empty", (), state="no_gpu"),
    NodeSpec("plain", (), state="plain"),
)


@dataclasses.dataclass(frozen=True)
class Node:
    """One running node and how to run commands in it."""

    host: str
    scenario: str = dataclasses.field(default=SCENARIO, kw_only=True)

    @property
    def name(self) -> str:
        return nodes.container_name(self.scenario, self.host)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        argv = ["docker", "exec", self.name, "/bin/sh", "-c", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def out(self, command: str) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def show(self) -> dict[str, t.Any]:
        return json.loads(self.out("gpusim show --json"))

    def restart(self, hard: bool = False) -> nodes.Started:
        return nodes.restart(self.scenario, self.host, hard)
