# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._drain import slurm
from ansible_collections.accel.gpu.plugins.module_utils._drain.model import Situation
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain import scontrol

OURS = "accel.gpu 20261125T223000Z-ab12: new driver"
JOB = "Slurm job 1 of ada(1001)"


@pytest.mark.parametrize(
    ("state", "reason", "jobs", "expected"),
    [
        ("IDLE", "", "", Situation(False)),
        ("IDLE+NOT_RESPONDING", "", "", Situation(False)),
        ("IDLE+MAINTENANCE+RESERVED", "", "", Situation(False)),
        ("MIXED", "", scontrol.job(), Situation(False, working=(JOB,))),
        ("MIXED+DRAIN", OURS, scontrol.job(), Situation(True, OURS, working=(JOB,))),
        ("ALLOCATED+DRAIN", OURS, scontrol.job(), Situation(True, OURS, working=(JOB,))),
        ("IDLE+DRAIN", OURS, scontrol.job(state="COMPLETED"), Situation(True, OURS)),
        # The job ended between the two questions, or its epilog still runs.
        ("MIXED+DRAIN", OURS, "", Situation(True, OURS, working=("Slurm is still ending a job",))),
        ("IDLE+COMPLETING+DRAIN", OURS, "", Situation(True, OURS, working=("Slurm is still ending a job",))),
        ("IDLE+DRAIN", "bad [A1] dimm", "", Situation(True, "bad [A1] dimm")),
        ("DOWN+NOT_RESPONDING", "bad dimm", "", Situation(False, "bad dimm", "DOWN")),
        ("DOWN*+DRAIN", "Not responding", "", Situation(True, "Not responding", "DOWN")),
        ("UNKNOWN", "", "", Situation(False, unusable="UNKNOWN")),
        ("IDLE+POWERED_DOWN", "", "", Situation(False, unusable="POWERED_DOWN")),
        ("IDLE+REBOOT_ISSUED+DRAIN", "kernel", "", Situation(True, "kernel", "REBOOT_ISSUED")),
    ],
)
def test_states(state, reason, jobs, expected):
    assert slurm.situation(scontrol.node(state, reason), jobs, "s1") == expected


def test_jobs_of_other_nodes_hold_nothing():
    jobs = scontrol.job(2, nodes="s[2-9]") + scontrol.job(3, nodes="s[1-2]") + scontrol.job(4, "PENDING", "s1")
    found = slurm.situation(scontrol.node("MIXED"), jobs, "s1")
    assert found is not None
    assert found.working == ("Slurm job 3 of ada(1001)",)


@pytest.mark.parametrize("text", ["", "Node s1 not found\n"])
def test_no_state(text):
    assert slurm.situation(text, "", "s1") is None
