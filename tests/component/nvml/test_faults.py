# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that are broken: hanging, lost and forbidden GPUs, no driver, a library that does not fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    DriverMismatchError,
    DriverMissingError,
    GpuHungError,
    GpuLostError,
    NotRootError,
    NvmlError,
    SessionDiedError,
)
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import SUBSETS, open_session


@pytest.fixture
def brief():
    with open_session(deadline=0.5) as session:
        yield session


def pci(sim, index):
    return sim.gpu(index)["pci"].lower()[-12:]


def test_a_hanging_gpu_is_named_and_hides_no_other(node, brief):
    sim = node("a100-80gb,h100-80gb-sxm5,a30-24gb")
    sim.control("fault nvmlDeviceGetName nth=1 hang gpu=1")
    before = time.monotonic()
    snapshot = brief.snapshot(SUBSETS)
    assert time.monotonic() - before < 10
    assert [gpu.index for gpu in snapshot.gpus] == [0, 2]
    (failure,) = snapshot.failures
    assert (failure.index, failure.kind, failure.pci) == (1, "gpu_hung", pci(sim, 1))
    assert failure.message.startswith(f"nvmlDeviceGetName on GPU {pci(sim, 1)} did not answer within 0.5 s; ")


def test_two_hanging_gpus(node, brief):
    sim = node("a100-80gb,h100-80gb-sxm5,a30-24gb")
    sim.control("fault nvmlDeviceGetName nth=1 hang gpu=0")
    sim.control("fault nvmlDeviceGetMigMode nth=1 hang gpu=2")
    snapshot = brief.snapshot()
    assert [gpu.index for gpu in snapshot.gpus] == [1]
    assert [(failure.index, failure.kind) for failure in snapshot.failures] == [(0, "gpu_hung"), (2, "gpu_hung")]


def test_a_driver_that_hangs_at_init(node, brief):
    sim = node("a100-80gb")
    sim.control("fault nvmlInitWithFlags nth=1 hang")
    with pytest.raises(GpuHungError, match=r"^nvmlInitWithFlags did not answer within 0.5 s; ") as caught:
        brief.snapshot()
    assert caught.value.facts["gpu"] is None


def test_a_hanging_change_is_an_error_and_the_session_goes_on(node, brief):
    sim = node("h100-80gb-sxm5")
    uuid = brief.snapshot().gpus[0].uuid
    sim.control("fault nvmlDeviceSetMigMode nth=1 hang")
    with pytest.raises(GpuHungError, match=f"nvmlDeviceSetMigMode on GPU {pci(sim, 0)} did not answer"):
        brief.set_mig_mode(uuid, True)
    assert brief.set_mig_mode(uuid, True) == "success"


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetName", "nvmlDeviceGetMigMode"])
def test_a_killed_session_says_where_it_was(call, node, brief):
    sim = node("a100-80gb")
    sim.control(f"fault {call} nth=1 kill")
    with pytest.raises(SessionDiedError) as caught:
        brief.snapshot()
    assert f"ended (SIGKILL) in {call}" in caught.value.message
    assert len(brief.snapshot().gpus) == 1


def test_a_lost_gpu_hides_no_other(node, session):
    sim = node("a100-80gb,h100-80gb-sxm5")
    uuid = session.snapshot().gpus[0].uuid
    sim.control("set 0 lost 1")
    snapshot = session.snapshot(SUBSETS)
    assert [gpu.index for gpu in snapshot.gpus] == [1]
    (failure,) = snapshot.failures
    assert failure.kind == "gpu_lost"
    assert "GPU_IS_LOST (the GPU fell off the bus); drain the node and reset this GPU" in failure.message
    with pytest.raises(GpuLostError):
        session.mig_state(uuid)


@pytest.mark.parametrize("when", ["2", "1"])
def test_a_lost_gpu_has_its_uuid_as_long_as_it_tells_it(when, node, session):
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.control(f"set 0 lost {when}")
    (failure,) = session.snapshot().failures
    assert failure.uuid == (sim.gpu(0)["uuid"] if when == "2" else None)


def test_a_gpu_that_is_lost_while_it_is_read_keeps_its_address(node, session):
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.control("fault nvmlDeviceGetMigMode nth=1 code=NVML_ERROR_GPU_IS_LOST gpu=0")
    snapshot = session.snapshot()
    assert [gpu.index for gpu in snapshot.gpus] == [1]
    assert snapshot.failures[0].pci == pci(sim, 0)
    assert snapshot.failures[0].uuid == sim.gpu(0)["uuid"]


@pytest.mark.parametrize("code", ["UNKNOWN", "TIMEOUT", "CORRUPTED_INFOROM", "NO_PERMISSION"])
def test_one_reading_that_fails_is_noted_and_costs_nothing_else(code, node, session):
    sim = node("a100-80gb")
    sim.control(f"fault nvmlDeviceGetPowerUsage nth=1 code=NVML_ERROR_{code}")
    (gpu,) = session.snapshot(("health",)).gpus
    assert gpu.health["power"]["draw"] is None
    assert [(failure["call"], failure["code_name"]) for failure in gpu.failures] == [("nvmlDeviceGetPowerUsage", code)]
    assert gpu.health["temperature"]["gpu"] is not None


def test_a_process_list_that_fails_is_not_an_empty_one(node, session):
    sim = node("a100-80gb")
    sim.control("fault nvmlDeviceGetComputeRunningProcesses_v3 nth=1 code=NVML_ERROR_UNKNOWN")
    (gpu,) = session.snapshot().gpus
    assert not gpu.processes_complete
    assert gpu.failures[0]["call"] == "nvmlDeviceGetComputeRunningProcesses_v3"


@pytest.mark.parametrize(
    "call", ["nvmlDeviceGetMigMode", "nvmlDeviceGetGpuInstanceProfileInfoV", "nvmlDeviceGetGpuInstances"]
)
def test_a_mig_state_that_cannot_be_read_is_not_an_empty_one(call, node, session):
    """A plan over a half-read GPU would destroy what it did not see."""
    sim = node("h100-80gb-sxm5,h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    sim.control(f"fault {call} nth=1 code=NVML_ERROR_UNKNOWN gpu=0")
    snapshot = session.snapshot()
    assert [gpu.index for gpu in snapshot.gpus] == [1]
    assert [(failure.index, failure.kind) for failure in snapshot.failures] == [(0, "nvml")]


@pytest.mark.parametrize("call", ["nvmlGpuInstanceGetInfo", "nvmlComputeInstanceGetInfo_v2"])
@pytest.mark.parametrize(("times", "seen"), [(1, [0]), (9, [])])
def test_an_instance_that_goes_while_it_is_read_is_no_dead_gpu(call, times, seen, node, session):
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    sim.smi("mig", "-cgi", "19,19", "-C", check=True)
    sim.control(f"fault {call} nth=2 times={times} code=NVML_ERROR_NOT_FOUND")
    snapshot = session.snapshot()
    assert [gpu.index for gpu in snapshot.gpus] == seen
    assert all(len(gpu.mig.instances) == 2 for gpu in snapshot.gpus)
    assert len(snapshot.failures) == 1 - len(seen)


def test_older_forms_are_used_where_the_newest_is_missing(node, session):
    sim = node("h100-80gb-sxm5")
    pid = sim.occupy(0, kind="graphics", mem=64)
    wanted = session.snapshot(("mig", "processes", "health")).gpus[0]
    for call in (
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetGpuInstanceProfileInfoV",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetGpuFabricInfoV",
        "nvmlDeviceGetCurrentClocksEventReasons",
    ):
        sim.control(f"fault {call} nth=1 times=10000 code=NVML_ERROR_FUNCTION_NOT_FOUND")
    found = session.snapshot(("mig", "processes", "health")).gpus[0]
    assert [process.pid for process in found.processes] == [pid]
    assert found.health["temperature"]["gpu"] == wanted.health["temperature"]["gpu"]
    assert found.health["throttle"]["active"] == wanted.health["throttle"]["active"]
    assert [entry.id for entry in found.mig.profiles] == [entry.id for entry in wanted.mig.profiles]
    assert [entry.name for entry in found.mig.profiles] == [entry.name for entry in wanted.mig.profiles]


def test_mig_that_only_root_may_see_is_a_failure_of_the_right_kind(node, session, monkeypatch):
    node("h100-80gb-sxm5")
    monkeypatch.setenv("GPUSIM_EUID", "1000")
    snapshot = session.snapshot()
    assert snapshot.gpus == ()
    assert [failure.kind for failure in snapshot.failures] == ["permission"]
    assert "become root" in snapshot.failures[0].message


def test_a_driver_that_is_not_loaded(node, session):
    sim = node("a100-80gb")
    sim.control("unload")
    with pytest.raises(DriverMissingError, match="kernel module is not loaded") as caught:
        session.snapshot()
    assert caught.value.facts["state"] == "not_loaded"
    sim.control("load")
    assert len(session.snapshot().gpus) == 1


def test_a_node_without_state(node, session):
    node("")
    with pytest.raises(DriverMissingError):
        session.snapshot()


def test_library_and_module_of_different_versions(node, session):
    sim = node("a100-80gb")
    sim.control("fault nvmlInitWithFlags nth=1 code=NVML_ERROR_LIB_RM_VERSION_MISMATCH")
    with pytest.raises(DriverMismatchError, match="drain the node, then reload the nvidia modules or reboot"):
        session.snapshot()


def test_a_node_that_lets_nobody_in(node, session):
    sim = node("a100-80gb")
    sim.control("fault nvmlInitWithFlags nth=1 code=NVML_ERROR_NO_PERMISSION")
    with pytest.raises(NotRootError, match="become root"):
        session.snapshot()


def test_an_init_that_fails_otherwise_names_the_code(node, session):
    sim = node("a100-80gb")
    sim.control("fault nvmlInitWithFlags nth=1 code=NVML_ERROR_OPERATING_SYSTEM")
    with pytest.raises(NvmlError, match="nvmlInit failed: OPERATING_SYSTEM"):
        session.snapshot()


LOOK = """
import sys
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import open_session
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
try:
    with open_session() as session:
        print("GPUs", len(session.snapshot().gpus))
except AccelError as error:
    print(error.kind, error.facts, error.message)
"""


def test_a_node_without_library(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("driver_missing {'state': 'missing'} the NVIDIA library cannot be loaded")
    assert "role gpu_driver" in done.stdout


HANG = """
import os, sys
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import open_session
with open_session(deadline=0.5) as session:
    print(os.getpid(), flush=True)
    session.snapshot()
"""


def test_a_child_that_hangs_ends_by_itself_when_its_parent_was_killed(node):
    """Nobody is left to kill it, so its own alarm does."""
    sim = node("a100-80gb")
    sim.control("fault nvmlDeviceGetName nth=1 hang")
    parent = subprocess.Popen([sys.executable, "-c", HANG], env=sim.env, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    child = None
    deadline = time.monotonic() + 10
    while child is None and time.monotonic() < deadline:
        with open(f"/proc/{parent.pid}/task/{parent.pid}/children", encoding="ascii") as stream:
            listed = stream.read().split()
        child = int(listed[0]) if listed else None
    parent.send_signal(signal.SIGSTOP)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert child is not None
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{child}")
