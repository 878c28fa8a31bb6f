# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults: the n-th call fails, hangs or kills, seen through unmodified programs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import typing as t

import pytest
from harness import Sim

NodeMaker = t.Callable[..., Sim]

CREATE_TWICE = """
import pynvml as nv
nv.nvmlInit()
gpu = nv.nvmlDeviceGetHandleByIndex(0)
for number in (1, 2, 3):
    try:
        nv.nvmlDeviceCreateGpuInstance(gpu, 19)
        print(number, "made", flush=True)
    except nv.NVMLError as error:
        print(number, error.value, flush=True)
"""


def _hopper_with_mig(node: NodeMaker) -> Sim:
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    return sim


def test_only_the_nth_call_fails_and_makes_nothing(node: NodeMaker) -> None:
    sim = _hopper_with_mig(node)
    sim.gpusim("fault", "nvmlDeviceCreateGpuInstance", "--nth", "2", "--code", "NVML_ERROR_UNKNOWN", check=True)
    done = sim.run(sys.executable, "-c", CREATE_TWICE, check=True)
    assert done.stdout.splitlines() == ["1 made", "2 999", "3 made"]
    assert len(sim.gpu(0)["instances"]) == 2


def test_fault_counts_over_processes_and_acts_several_times(node: NodeMaker) -> None:
    sim = _hopper_with_mig(node)
    sim.gpusim(
        "fault", "nvmlDeviceCreateGpuInstance", "--nth", "2", "--times", "2", "--code",
        "NVML_ERROR_INSUFFICIENT_RESOURCES", check=True,
    )  # fmt: skip
    codes = [sim.smi("mig", "-cgi", "19").returncode for _turn in range(4)]
    assert codes == [0, 23, 23, 0]


def test_fault_on_one_gpu_spares_the_other(node: NodeMaker) -> None:
    sim = node("t4*2")
    sim.gpusim("fault", "nvmlDeviceGetUUID", "--gpu", "1", "--code", "NVML_ERROR_GPU_IS_LOST", check=True)
    assert sim.smi("--query-gpu=uuid", "--format=csv,noheader", "-i", "0").returncode == 0
    assert sim.smi("--query-gpu=uuid", "--format=csv,noheader", "-i", "1").returncode == 15


def test_fault_after_the_call_took_effect(node: NodeMaker) -> None:
    sim = _hopper_with_mig(node)
    sim.gpusim("fault", "nvmlDeviceCreateGpuInstance", "--when", "after", "--code", "NVML_ERROR_UNKNOWN", check=True)
    assert sim.smi("mig", "-cgi", "19").returncode == 255
    assert len(sim.gpu(0)["instances"]) == 1


def test_hang_holds_the_caller_and_nobody_else(node: NodeMaker) -> None:
    sim = _hopper_with_mig(node)
    sim.gpusim("fault", "nvmlDeviceCreateGpuInstance", "--hang", check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        sim.smi("mig", "-cgi", "19", timeout=2)
    started = time.monotonic()
    assert sim.smi("mig", "-cgi", "19").returncode == 0
    assert time.monotonic() - started < 30


def test_hang_of_some_seconds_returns(node: NodeMaker) -> None:
    sim = node("t4")
    sim.gpusim("fault", "nvmlDeviceGetUUID", "--hang", "1", check=True)
    started = time.monotonic()
    assert sim.smi("-L").returncode == 0
    assert time.monotonic() - started >= 1


def test_kill_ends_the_caller_at_the_call(node: NodeMaker) -> None:
    sim = _hopper_with_mig(node)
    sim.gpusim("fault", "nvmlDeviceCreateGpuInstance", "--nth", "2", "--kill", check=True)
    done = sim.run(sys.executable, "-c", CREATE_TWICE)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "1 made\n")
    assert len(sim.gpu(0)["instances"]) == 1
    assert sim.run(sys.executable, "-c", CREATE_TWICE).stdout.startswith("1 made"), "the lock was not left held"


def test_killgroup_ends_the_whole_process_group(node: NodeMaker) -> None:
    sim = node("t4")
    sim.gpusim("fault", "nvmlDeviceGetUUID", "--killgroup", check=True)
    script = f"'{sim.folder}/gpusim-bin/nvidia-smi' -L; echo still here"
    done = sim.run("sh", "-c", script, start_new_session=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_faults_are_listed_and_cleared(node: NodeMaker) -> None:
    sim = node("t4")
    sim.gpusim("fault", "*", "--nth", "5", "--kill", check=True)
    assert "nth=5" in sim.gpusim("faults", check=True).stdout
    sim.gpusim("clearfaults", check=True)
    assert sim.gpusim("faults", check=True).stdout == ""
    assert sim.smi("-L").returncode == 0
