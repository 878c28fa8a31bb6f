# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that loads the library as Go programs do: lazily, symbol by symbol, newest name first."""

from __future__ import annotations

import ctypes
import json
import sys
import typing as t

from harness import LIBRARY, Sim

NodeMaker = t.Callable[..., Sim]

# What go-nvml does at start: dlopen with lazy binding, then for each versioned function the newest name that is there.
PROGRAM = """
import ctypes, json, os, sys
lib = ctypes.CDLL("libnvidia-ml.so.1", mode=os.RTLD_LAZY | os.RTLD_GLOBAL)

def newest(*names):
    for name in names:
        if hasattr(lib, name):
            return name, getattr(lib, name)
    raise SystemExit("none of %s" % (names,))

def check(code):
    assert code == 0, code

out = {}
assert not hasattr(lib, "nvmlNoSuchFunction_v9")
check(lib.nvmlInitWithFlags(ctypes.c_uint(0)))
count = ctypes.c_uint()
name, call = newest("nvmlDeviceGetCount_v2", "nvmlDeviceGetCount")
check(call(ctypes.byref(count)))
out["count"] = [name, count.value]
handle = ctypes.c_void_p()
name, call = newest("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex")
check(call(ctypes.c_uint(0), ctypes.byref(handle)))
out["handle"] = name
text = ctypes.create_string_buffer(96)
check(lib.nvmlDeviceGetUUID(handle, text, ctypes.c_uint(96)))
out["uuid"] = text.value.decode()
check(lib.nvmlSystemGetDriverVersion(text, ctypes.c_uint(80)))
out["driver"] = text.value.decode()
infos, size = None, ctypes.c_uint(0)
name, call = newest("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")
out["processes"] = [name, call(handle, ctypes.byref(size), None), size.value]
buffer = (ctypes.c_char * (24 * 8))()
size = ctypes.c_uint(8)
check(call(handle, ctypes.byref(size), buffer))
out["pid"] = int.from_bytes(bytes(buffer)[:4], sys.byteorder)
small = ctypes.create_string_buffer(4)
out["small"] = lib.nvmlDeviceGetName(handle, small, ctypes.c_uint(4))
lib.nvmlErrorString.restype = ctypes.c_char_p
out["words"] = lib.nvmlErrorString(7).decode()
check(lib.nvmlShutdown())
out["after"] = lib.nvmlDeviceGetCount_v2(ctypes.byref(count))
check(lib.nvmlInit_v2())
check(lib.nvmlShutdown())
print(json.dumps(out))
"""
UNVERSIONED = (
    "nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags", "nvmlDeviceGetCount", "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByPciBusId",
    "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetPciInfo", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo_v3",
    "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetComputeRunningProcesses_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlComputeInstanceGetInfo", "nvmlComputeInstanceGetInfo_v2",
    "nvmlDeviceGetGpuInstancePossiblePlacements", "nvmlDeviceGetGpuInstancePossiblePlacements_v2",
    "nvmlDeviceGetAttributes", "nvmlDeviceGetAttributes_v2", "nvmlEventSetWait", "nvmlEventSetWait_v2",
)  # fmt: skip


def test_lazy_client_finds_the_newest_names_and_talks(node: NodeMaker) -> None:
    sim = node("a100-80gb*2", driver="580.65.06")
    pid = sim.occupy(0)
    told = json.loads(sim.run(sys.executable, "-c", PROGRAM, check=True).stdout)
    assert told["count"] == ["nvmlDeviceGetCount_v2", 2]
    assert told["handle"] == "nvmlDeviceGetHandleByIndex_v2"
    assert told["uuid"] == sim.gpu(0)["uuid"]
    assert told["driver"] == "580.65.06"
    assert told["processes"] == ["nvmlDeviceGetComputeRunningProcesses_v3", 7, 1], (
        "asks the size first: INSUFFICIENT_SIZE"
    )
    assert told["pid"] == pid
    assert told["small"] == 7
    assert "buffer" in told["words"].lower() or "size" in told["words"].lower()
    assert told["after"] == 1, "after shutdown: UNINITIALIZED"


def test_all_generations_of_names_are_there() -> None:
    library = ctypes.CDLL(str(LIBRARY), mode=ctypes.RTLD_GLOBAL)
    assert [name for name in UNVERSIONED if not hasattr(library, name)] == []


def test_without_state_the_driver_is_not_loaded(node: NodeMaker) -> None:
    sim = node("")
    program = "import ctypes; print(ctypes.CDLL('libnvidia-ml.so.1').nvmlInitWithFlags(0))"
    assert sim.run(sys.executable, "-c", program, check=True).stdout == "9\n"
