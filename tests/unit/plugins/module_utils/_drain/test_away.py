# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scheduler that does not answer, or not for this node."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import BlockedError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.draining import OURS, run
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.scontrol import SILENT, Slurm


def restarts(clock, begin, end, words=()):
    """A controller that is away between these seconds of the test, for commands with these words alone."""
    return lambda said: begin <= clock.now - 1000.0 < end and all(word in said for word in words)


@pytest.mark.parametrize("begin", [0, 10, 15, 5000])
def test_a_scheduler_that_restarts_ends_no_drain(clock, begin):
    slurm = Slurm(looks=600)
    slurm.silent = restarts(clock, begin, begin + 45)
    result = run(slurm, timeout=86400.0)
    assert (result["drained"], result["drained_by_us"], result["timed_out"]) == (True, True, False)
    assert slurm.told == [f"State=DRAIN Reason={OURS}"]


def test_a_scheduler_that_is_away_for_hours_is_waited_for_until_the_time_is_over(clock):
    slurm = Slurm(looks=9)
    slurm.silent = restarts(clock, 20, 40000)
    assert run(slurm, timeout=86400.0)["drained"] is True


def test_a_scheduler_that_restarts_when_the_time_is_over(clock):
    slurm = Slurm(looks=99)
    slurm.silent = restarts(clock, 55, 90)
    result = run(slurm, timeout=60.0)
    assert (result["timed_out"], result["drained_by_us"]) == (True, False)
    assert slurm.told == [f"State=DRAIN Reason={OURS}", "State=RESUME"]


@pytest.mark.parametrize(("state", "reason"), [("undrained", OURS), ("drained", "")])
def test_a_scheduler_that_restarts_when_it_is_told(clock, state, reason):
    slurm = Slurm("IDLE+DRAIN" if reason else "IDLE", reason)
    slurm.silent = restarts(clock, 0, 45, ["update"])
    result = run(slurm, state=state)
    assert (result["changed"], len(slurm.told)) == (True, 1)


def test_a_scheduler_that_never_comes_back_is_told(clock):
    slurm = Slurm(looks=99)
    slurm.silent = restarts(clock, 30, 10**9)
    with pytest.raises(BlockedError) as error:
        run(slurm, timeout=3600.0)
    assert error.value.message == (
        f"scontrol --oneliner show node s1: {SILENT.strip()}; "
        "the scheduler must answer before a node is drained or put back"
    )
    assert clock.now >= 1000.0 + 3600.0


def test_a_node_that_slurm_does_not_know():
    with pytest.raises(BlockedError) as error:
        run(Slurm(), node="s2")
    assert error.value.message == (
        "scontrol --oneliner show node s2: Node s2 not found; "
        "the scheduler must answer before a node is drained or put back"
    )


def test_no_scontrol():
    with pytest.raises(BlockedError) as error:
        run(lambda argv, timeout=None, stdin=None: (127, "", "scontrol: No such file or directory"))
    assert error.value.message == (
        "provider: scontrol: No such file or directory; run this on a host that has the scheduler's commands"
    )
