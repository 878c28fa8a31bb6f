# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unmodified pynvml of the environment on the simulated library, and the library against the genuine header."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from harness import LIBRARY, ROOT, Sim

NodeMaker = t.Callable[..., Sim]
GEN = Path(__file__).resolve().parents[1] / "gen"

# Loaded as every client loads it: by name, through the loader's path.
HEAD = """
import ctypes, json
import pynvml as N

def answer(call, *args):
    try:
        return call(*args)
    except N.NVMLError as error:
        return "code %d" % error.value

N.nvmlInit()
"""

GETTERS = """
import inspect
out = {}
handle = N.nvmlDeviceGetHandleByIndex(0)
for name in dir(N):
    call = getattr(N, name)
    if not name.startswith(("nvmlDeviceGet", "nvmlDeviceIs")) or "GetHandleBy" in name or not callable(call):
        continue
    if sum(p.default is p.empty for p in inspect.signature(call).parameters.values()) == 1:
        out[name] = str(answer(call, handle))
print(json.dumps(out))
"""

LIFE = """
out = {}
def gpu():
    return N.nvmlDeviceGetHandleByIndex(0)
out["mode"] = [answer(N.nvmlDeviceSetMigMode, gpu(), 1), N.nvmlDeviceGetMigMode(gpu())]
profiles = {}
for number in range(N.NVML_GPU_INSTANCE_PROFILE_COUNT):
    info = answer(lambda: N.nvmlDeviceGetGpuInstanceProfileInfo(gpu(), number, version=2))
    if not isinstance(info, str):
        profiles[info.name if isinstance(info.name, str) else info.name.decode()] = [info.id, info.sliceCount]
out["profiles"] = profiles
place = N.c_nvmlGpuInstancePlacement_t(4, 4)
gi = N.nvmlDeviceCreateGpuInstanceWithPlacement(gpu(), 9, ctypes.byref(place))
out["again"] = answer(N.nvmlDeviceCreateGpuInstanceWithPlacement, gpu(), 9, ctypes.byref(place))
info = N.nvmlGpuInstanceGetInfo(gi)
out["gi"] = [info.id, info.profileId, info.placement.start, info.placement.size]
ci = N.nvmlGpuInstanceCreateComputeInstance(gi, 2)
mig = N.nvmlComputeInstanceGetInfo(ci).device
out["mig"] = [N.nvmlDeviceGetName(mig), N.nvmlDeviceGetUUID(mig)[:4], N.nvmlDeviceIsMigDeviceHandle(mig).value,
              N.nvmlDeviceGetGpuInstanceId(mig), N.nvmlDeviceGetMemoryInfo(mig).total >> 20,
              N.nvmlDeviceGetAttributes(mig).multiprocessorCount]
out["hole"] = answer(N.nvmlDeviceGetMigDeviceHandleByIndex, gpu(), 1)
out["gi busy"] = answer(N.nvmlGpuInstanceDestroy, gi)
out["end"] = [answer(N.nvmlComputeInstanceDestroy, ci), answer(N.nvmlGpuInstanceDestroy, gi)]
out["stale"] = answer(N.nvmlGpuInstanceGetInfo, gi)
print(json.dumps(out))
"""


def run(sim: Sim, program: str) -> t.Dict[str, t.Any]:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program], env=sim.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    result: t.Dict[str, t.Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("board", ["a30-24gb", "h200-141gb", "b200-180gb", "rtx-pro-6000-blackwell-96gb", "t4"])
def test_every_getter_answers_or_is_not_supported(node: NodeMaker, board: str) -> None:
    answers = run(node(board), GETTERS)
    assert len(answers) > 100
    codes = {name: text for name, text in answers.items() if text.startswith("code ")}
    assert set(codes.values()) == {"code 3"}, {name: text for name, text in codes.items() if text != "code 3"}
    for name in ("nvmlDeviceGetUUID", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetEccMode"):
        assert name not in codes
    assert ("nvmlDeviceGetMigMode" in codes) == (board == "t4")


def test_life_of_an_instance(node: NodeMaker) -> None:
    seen = run(node("h100-80gb-sxm5"), LIFE)
    assert seen["mode"] == [0, [1, 1]]
    assert seen["profiles"]["MIG 3g.40gb"] == [9, 3]
    assert seen["profiles"]["MIG 1g.10gb+me"] == [20, 1]
    assert seen["again"] == "code 23"
    assert seen["gi"] == [2, 9, 4, 4]
    assert seen["mig"] == ["NVIDIA H100 80GB HBM3 MIG 3g.40gb", "MIG-", 1, 2, 40448, 60]
    assert seen["hole"] == "code 6"
    assert seen["gi busy"] == "code 19"
    assert seen["end"] == [0, 0]
    assert seen["stale"] == "code 2"


def test_library_has_the_version_of_its_file(node: NodeMaker, tmp_path: Path) -> None:
    """As packages install it; under the module of another version it says so."""
    real = tmp_path / "libnvidia-ml.so.580.95.05"
    shutil.copy(LIBRARY, real)
    (tmp_path / LIBRARY.name).symlink_to(real.name)
    sim = node("t4", driver="590.48.01")
    sim.env["LD_LIBRARY_PATH"] = str(tmp_path)
    sim.control("node kernel_driver 580.95.05")
    versions = "print(json.dumps({'is': [N.nvmlSystemGetDriverVersion(), N.nvmlSystemGetNVMLVersion()]}))"
    assert run(sim, versions) == {"is": ["580.95.05", "580.95.05"]}
    sim.control("node kernel_driver 590.48.01")
    done = sim.run(sys.executable, "-c", HEAD)
    assert "NVMLError_LibRmVersionMismatch" in done.stdout


def test_every_function_of_the_header_is_exported() -> None:
    sys.path.insert(0, str(GEN))
    try:
        import stubs
    finally:
        sys.path.remove(str(GEN))
    header = (ROOT / ".build" / "nvml" / "nvml.h").read_text(encoding="utf-8")
    listing = subprocess.run(["nm", "-D", "--defined-only", str(LIBRARY)], capture_output=True, text=True, check=True)
    exported = {line.split()[-1] for line in listing.stdout.splitlines()}
    declared = stubs.declared(header)
    assert len(declared) > 400
    assert set(declared) - exported == set()
    assert exported - set(declared) == {"gpusim_control", "nvmlErrorString"}
