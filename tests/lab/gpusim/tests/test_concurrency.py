# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands in many processes at once: no lost update, no torn reading, and a vanishing process frees its instance."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor

from harness import Sim

NodeMaker = t.Callable[..., Sim]

# 16 processes of 4 threads; each call must count, each instance must have its slot alone.
HAMMER = """
import os, sys, threading
import pynvml as nv

TURNS = 150

def work():
    for turn in range(TURNS):
        nv.nvmlDeviceGetUUID(nv.nvmlDeviceGetHandleByIndex(1))
        try:
            gi = nv.nvmlDeviceCreateGpuInstance(nv.nvmlDeviceGetHandleByIndex(0), 19)
        except nv.NVMLError as error:
            assert error.value == nv.NVML_ERROR_INSUFFICIENT_RESOURCES, error
        else:
            nv.nvmlGpuInstanceDestroy(gi)

def process():
    nv.nvmlInit()
    failed = []
    threading.excepthook = lambda what: failed.append(what.exc_value)
    threads = [threading.Thread(target=work) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        print(repr(failed[0]), flush=True)
    os._exit(1 if failed else 0)

children = []
for number in range(16):
    child = os.fork()
    if child == 0:
        process()
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print("calls", 16 * 4 * TURNS, "failed", sum(code != 0 for code in codes))
"""


def test_no_call_and_no_instance_is_lost_by_sixteen_processes_of_four_threads(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5*2")
    sim.smi("-mig", "1", "-i", "0", check=True)
    sim.control("resetcounts")
    assert sim.run(sys.executable, "-c", HAMMER, check=True).stdout == "calls 9600 failed 0\n"
    counts = sim.counts()
    assert counts["nvmlDeviceGetUUID"] == counts["nvmlDeviceCreateGpuInstance"] == 9600
    assert counts["nvmlDeviceGetHandleByIndex_v2"] == 2 * 9600
    assert sim.gpu(0)["instances"] == []


def test_fourteen_smi_calls_fill_seven_slots_of_two_gpus_exactly(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5*2")
    sim.smi("-mig", "1", check=True)

    def create(number: int) -> subprocess.CompletedProcess[str]:
        return sim.smi("mig", "-cgi", "19", "-C", "-i", str(number % 2))

    with ThreadPoolExecutor(max_workers=6) as pool:
        done = list(pool.map(create, range(14)))
    assert [run.returncode for run in done] == [0] * 14, [run.stdout for run in done if run.returncode]
    for gpu in sim.show()["gpus"]:
        assert sorted(gi["placement"]["start"] for gi in gpu["instances"]) == [0, 1, 2, 3, 4, 5, 6]
    assert sim.smi("mig", "-cgi", "19", "-i", "0").returncode == 23


def test_readers_beside_a_writer_see_whole_states(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    churn = (
        "import pynvml as nv\nnv.nvmlInit()\ngpu = nv.nvmlDeviceGetHandleByIndex(0)\n"
        "for turn in range(300):\n"
        "    gi = nv.nvmlDeviceCreateGpuInstance(gpu, 9)\n"
        "    ci = nv.nvmlGpuInstanceCreateComputeInstance(gi, 2)\n"
        "    nv.nvmlComputeInstanceDestroy(ci)\n"
        "    nv.nvmlGpuInstanceDestroy(gi)\n"
        "print('done')\n"
    )
    with ThreadPoolExecutor(max_workers=4) as pool:
        writer = pool.submit(sim.run, sys.executable, "-c", churn)
        shown = [future.result() for future in [pool.submit(sim.gpusim, "show", "--json") for _turn in range(8)]]
    assert writer.result().stdout == "done\n"
    assert [run.returncode for run in shown] == [0] * 8
    assert sim.gpu(0)["instances"] == []


def test_command_line_and_smi_at_once_lose_no_update(node: NodeMaker) -> None:
    sim = node("a100-80gb*4")
    jobs = [lambda n=n: sim.gpusim("set", str(n), "temperature", str(60 + n)) for n in range(4)]
    jobs += [lambda n=n: sim.smi("-pl", str(250 + n), "-i", str(n)) for n in range(4)]
    jobs += [lambda n=n: sim.gpusim("occupy", str(n), "--spawn") for n in range(4)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        done = [future.result() for future in [pool.submit(job) for job in jobs]]
    assert [run.returncode for run in done] == [0] * 12, [run.stdout for run in done if run.returncode]
    query = sim.smi("--query-gpu=temperature.gpu,power.limit", "--format=csv,noheader,nounits", check=True)
    assert query.stdout.splitlines() == [f"{60 + n}, {250 + n}.00" for n in range(4)]
    assert [len(gpu["processes"]) for gpu in sim.show()["gpus"]] == [1, 1, 1, 1]
    for number, run in enumerate(done[8:]):
        sim.gpusim("release", str(number), "--pid", run.stdout.strip(), check=True)


def test_instance_is_busy_only_as_long_as_its_process_lives(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    sim.smi("mig", "-cgi", "9", "-C", check=True)
    instance = sim.gpu(0)["instances"][0]["id"]
    pid = sim.occupy(0, gi=instance, ci=0)
    refused = sim.smi("mig", "-dci")
    assert refused.returncode == 19
    assert refused.stdout.splitlines()[-1] == "Failed to destroy compute instances: In use by another client"
    sim.kill(pid)
    assert sim.smi("mig", "-dci").returncode == 0
    assert sim.smi("mig", "-dgi").returncode == 0
