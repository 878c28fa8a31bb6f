# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of all scenarios share: the scenario's nodes, seen through Docker."""

from __future__ import annotations

import json

import pytest
import testinfra


class Node:
    """One simulated node. `host` is testinfra's; layouts are read with the simulator, not with the tested code."""

    def __init__(self, scenario: str, name: str) -> None:
        self.host = testinfra.get_host(f"docker://accel-{scenario}-{name}")

    def show(self) -> dict:
        return json.loads(self.host.check_output("gpusim show --json"))

    def gpu(self, index: int) -> dict:
        return self.show()["gpus"][index]

    def mode(self, index: int) -> tuple:
        """(current, pending)"""
        mig = self.gpu(index)["mig"]
        return bool(mig["current"]), bool(mig["pending"])

    def layout(self, index: int) -> list:
        """ "3g.40gb 4:4" by placement."""
        return [text for text, instance in self.instances(index)]

    def instances(self, index: int) -> list:
        """(text, instance) by placement."""
        found = sorted(self.gpu(index)["instances"], key=lambda entry: entry["placement"]["start"])
        return [
            (f"{entry['profile']} {entry['placement']['start']}:{entry['placement']['size']}", entry) for entry in found
        ]

    def compute(self, index: int) -> list:
        """Profiles of the compute instances, by placement of their GPU instance."""
        return [
            sorted(compute["profile"] for compute in instance["compute_instances"])
            for text, instance in self.instances(index)
        ]

    def profiles(self, index: int) -> list:
        return sorted(text.split()[0] for text in self.layout(index))

    def active(self, unit: str) -> bool:
        return self.host.service(unit).is_running

    def json(self, path: str) -> dict:
        return json.loads(self.host.file(path).content_string)


@pytest.fixture
def node(request):
    """node("a100") is that host of the scenario which the test belongs to."""
    scenario = request.path.parents[1].name
    return lambda name: Node(scenario, name)
