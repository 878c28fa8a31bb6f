# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drain of a node of Slurm, on a clock that only sleeping moves."""

from __future__ import annotations

from ansible_collections.accel.gpu.plugins.module_utils._drain import core
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import declare
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports

OURS = "accel.gpu run7: new driver"
OPTIONS = {
    "state": "drained",
    "provider": "slurm",
    "node": "s1",
    "run": "run7",
    "note": "new driver",
    "purpose": None,
    "adopt": False,
    "adopt_run": None,
    "timeout": 60.0,
    "poll": 10.0,
    "on_timeout": "lift",
    "command": None,
}


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def no_nvml():
    raise AssertionError("draining needs no NVML")


def run(scheduler, check=False, **options):
    result = {}
    ports = Ports(run=scheduler, files=Files("/nonexistent"), open_nvml=no_nvml, check=check)
    declare(core, {**OPTIONS, **options}, ports, result)
    return result
