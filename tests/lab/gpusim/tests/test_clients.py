# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unmodified NVML clients from PyPI and Debian run on the simulated library and show what is there."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import typing as t
from pathlib import Path

import nvtop_package
import pytest
from harness import LIBRARY, ROOT, Sim

NodeMaker = t.Callable[..., Sim]

PYNVML_PROGRAM = """
import json, pynvml as nv
nv.nvmlInit()
out = {"driver": nv.nvmlSystemGetDriverVersion(), "gpus": []}
for index in range(nv.nvmlDeviceGetCount()):
    handle = nv.nvmlDeviceGetHandleByIndex(index)
    out["gpus"].append({
        "name": nv.nvmlDeviceGetName(handle),
        "uuid": nv.nvmlDeviceGetUUID(handle),
        "memory": nv.nvmlDeviceGetMemoryInfo(handle).total // 2**20,
        "memory_v2": nv.nvmlDeviceGetMemoryInfo(handle, version=nv.nvmlMemory_v2).total // 2**20,
        "capability": nv.nvmlDeviceGetCudaComputeCapability(handle),
        "temperature": nv.nvmlDeviceGetTemperature(handle, nv.NVML_TEMPERATURE_GPU),
        "pids": [process.pid for process in nv.nvmlDeviceGetComputeRunningProcesses(handle)],
    })
assert nv.nvmlDeviceGetHandleByUUID(out["gpus"][0]["uuid"]).contents is not None
nv.nvmlShutdown()
print(json.dumps(out))
"""

PYNVML_MIG_PROGRAM = """
import json, pynvml as nv
nv.nvmlInit()
gpu = nv.nvmlDeviceGetHandleByIndex(0)
assert nv.nvmlDeviceSetMigMode(gpu, 1) == nv.NVML_SUCCESS
profile = nv.nvmlDeviceGetGpuInstanceProfileInfo(gpu, nv.NVML_GPU_INSTANCE_PROFILE_3_SLICE, version=2)
place = nv.c_nvmlGpuInstancePlacement_t()
place.start, place.size = 4, 4
gi = nv.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, profile.id, nv.byref(place))
span = nv.nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, nv.NVML_COMPUTE_INSTANCE_PROFILE_3_SLICE, 0)
ci = nv.nvmlGpuInstanceCreateComputeInstance(gi, span.id)
device = nv.nvmlComputeInstanceGetInfo_v2(ci).device
print(json.dumps({
    "profile": [profile.id, profile.name.decode() if isinstance(profile.name, bytes) else profile.name],
    "placement": nv.nvmlGpuInstanceGetInfo(gi).placement.start,
    "is_mig": bool(nv.nvmlDeviceIsMigDeviceHandle(device).value),
    "uuid": nv.nvmlDeviceGetUUID(device),
    "by_index": nv.nvmlDeviceGetUUID(nv.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0)),
    "parent": nv.nvmlDeviceGetUUID(nv.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device)),
    "sm": nv.nvmlDeviceGetAttributes(device).multiprocessorCount,
}))
"""


def test_pynvml_reads_a_mixed_node(node: NodeMaker) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5", driver="570.133.20")
    pid = sim.occupy(1)
    told = json.loads(sim.run(sys.executable, "-c", PYNVML_PROGRAM, check=True).stdout)
    assert told["driver"] == "570.133.20"
    assert [gpu["name"] for gpu in told["gpus"]] == ["NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"]
    assert [gpu["uuid"] for gpu in told["gpus"]] == [gpu["uuid"] for gpu in sim.show()["gpus"]]
    assert [gpu["capability"] for gpu in told["gpus"]] == [[8, 0], [9, 0]]
    assert [gpu["pids"] for gpu in told["gpus"]] == [[], [pid]]
    assert all(gpu["memory"] == gpu["memory_v2"] > 80000 for gpu in told["gpus"])


def test_pynvml_makes_a_mig_device(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    told = json.loads(sim.run(sys.executable, "-c", PYNVML_MIG_PROGRAM, check=True).stdout)
    assert told["profile"] == [9, "MIG 3g.40gb"]
    assert (told["placement"], told["is_mig"], told["sm"]) == (4, True, 60)
    assert told["uuid"] == told["by_index"] and told["uuid"].startswith("MIG-")
    assert told["parent"] == sim.gpu(0)["uuid"]


def test_every_function_that_pynvml_calls_and_the_header_declares_is_exported() -> None:
    import pynvml

    source = Path(pynvml.__file__).read_text()
    called = set(re.findall(r'_nvmlGetFunctionPointer\("(nvml\w+)"\)', source))
    assert len(called) > 350
    header = (ROOT / ".build" / "nvml" / "nvml.h").read_text()
    library = ctypes.CDLL(str(LIBRARY))
    missing = {name for name in called if f" DECLDIR {name}(" in header and not hasattr(library, name)}
    assert missing == set()


def test_nvitop_shows_gpus_and_processes(node: NodeMaker) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5")
    pid = sim.occupy(0, mem=20480)
    sim.control("set 1 utilization 73")
    env = dict(sim.env, COLUMNS="130", LINES="60", TERM="xterm", LANG="C.UTF-8")
    done = sim.run(sys.executable, "-m", "nvitop", "--once", "--no-unicode", check=True, env=env)
    assert "Traceback" not in done.stdout
    assert re.search(r"\b0\b.*A100-SXM4-80GB", done.stdout)
    assert re.search(r"\b1\b.*H100 80GB HBM3", done.stdout)
    assert "73%" in done.stdout
    assert re.search(rf"\| +0 +{pid} C +\S+ 20\.00GiB ", done.stdout)


def test_nvitop_lists_mig_devices(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    sim.smi("mig", "-cgi", "9,9", "-C", check=True)
    program = (
        "from nvitop import Device\nfor m in Device(0).mig_devices(): print(m.name().rpartition('MIG ')[2], m.uuid())"
    )
    lines = sim.run(sys.executable, "-c", program, check=True).stdout.split()
    listed = re.findall(r"MIG (\S+) +Device +\d+: \(UUID: (\S+)\)", sim.smi("-L").stdout)
    assert [tuple(lines[i : i + 2]) for i in (0, 2)] == listed
    assert [profile for profile, _uuid in listed] == ["3g.40gb", "3g.40gb"]


def test_gpustat_shows_gpus_and_processes(node: NodeMaker) -> None:
    sim = node("a100-80gb,t4")
    pid = sim.occupy(0, mem=1024)
    sim.control("set 0 temperature 64")
    told = json.loads(sim.run(sys.executable, "-m", "gpustat", "--json", check=True).stdout)
    first, second = told["gpus"]
    assert (first["name"], second["name"]) == ("NVIDIA A100-SXM4-80GB", "Tesla T4")
    assert first["temperature.gpu"] == 64
    assert [(process["pid"], process["gpu_memory_usage"]) for process in first["processes"]] == [(pid, 1024)]
    assert second["processes"] == []
    text = sim.run(sys.executable, "-m", "gpustat", "--no-color", "--show-pid", check=True).stdout
    assert re.search(rf"\[0\] NVIDIA A100-SXM4-80GB +\| +64.C.*/{pid}\(1024M\)", text)


@pytest.fixture(scope="session")
def nvtop() -> Path:
    """The unmodified Debian package; without one the machine cannot show this proof, and says so."""
    folder = ROOT / ".build" / "nvtop"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return nvtop_package.program(folder)
    except nvtop_package.Unavailable as error:
        pytest.skip(str(error))


def test_nvtop_draws_gpus_and_processes(node: NodeMaker, nvtop: Path) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5")
    pid = sim.occupy(1, mem=4096)
    wanted = ("A100-SXM4-80GB", "H100", str(pid))
    screen, code = _on_terminal([str(nvtop)], sim.env, lambda text: all(word in text for word in wanted))
    assert all(word in screen for word in wanted), screen
    assert re.search(r"4096MiB|4\.000?GiB|4096", screen)
    assert code == 0, "key q ends it"


def _on_terminal(
    argv: t.List[str], env: t.Dict[str, str], is_done: t.Callable[[str], bool]
) -> t.Tuple[str, t.Optional[int]]:
    """Run a full-screen program on a pseudo terminal until `is_done` of its text, then press q."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    child = subprocess.Popen(
        argv,
        env=dict(env, TERM="xterm", LANG="C.UTF-8"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        text = _read_until(leader, is_done)
        os.write(leader, b"q")
        text += _read_until(leader, lambda _text: child.poll() is not None)
        return text, child.wait(timeout=5)
    finally:
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        os.close(leader)


def _read_until(leader: int, is_done: t.Callable[[str], bool], limit: float = 20.0) -> str:
    raw, deadline = b"", time.monotonic() + limit
    while time.monotonic() < deadline and not is_done(_plain(raw)):
        if select.select([leader], [], [], 0.1)[0]:
            try:
                raw += os.read(leader, 65536)
            except OSError:
                break
    return _plain(raw)


def _plain(raw: bytes) -> str:
    """Terminal output without its control sequences."""
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|\([A-B0]|[=>])", " ", raw.decode(errors="replace"))
