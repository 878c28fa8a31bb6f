# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary table of `nvidia-smi` without arguments (layout of the 550 and later drivers), and --version."""

from __future__ import annotations

import time
import typing as t

from nvsmi import errors, fields, listing, options, processes, targets
from nvsmi.binding import MIB, nv, value

RULE = "+-----------------------------------------------------------------------------------------+"
GPU_RULE = "+-----------------------------------------+------------------------+----------------------+"
MIG_RULE = "+------------------+----------------------------------+-----------+-----------------------+"
HEAD = (
    "|=========================================+========================+======================|",
    "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |",
    "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |",
    "|                                         |                        |               MIG M. |",
)
MIG_HEAD = (
    "| MIG devices:                                                                            |",
    MIG_RULE,
    "| GPU  GI  CI  MIG |              Shared Memory-Usage |        Vol|        Shared         |",
    "|      ID  ID  Dev |                Shared BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |",
    "|                  |                                  |        ECC|                       |",
    "|==================+==================================+===========+=======================|",
)
PROCESS_HEAD = (
    "| Processes:                                                                              |",
    "|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |",
    "|        ID   ID                                                               Usage      |",
    "|=========================================================================================|",
)
COMPUTE = {"Exclusive_Thread": "E. Thread", "Exclusive_Process": "E. Process"}


def version() -> int:
    """--version: the versions, as key and value."""
    driver = nv.nvmlSystemGetDriverVersion()
    print(f"NVIDIA-SMI version  : {driver}")
    print("NVML version        : {}".format(driver.rpartition(".")[0]))
    print(f"DRIVER version      : {driver}")
    print(f"CUDA Version        : {cuda_version()}")
    return errors.OK


def cuda_version() -> str:
    """The CUDA version of the driver: 13000 gives 13.0."""
    number = value(nv.nvmlSystemGetCudaDriverVersion)
    return "N/A" if number is None else "%d.%d" % (number // 1000, number % 1000 // 10)


def main(wish: options.Wish) -> int:
    """Print the table; lost GPUs are named first and give their code."""
    code = errors.OK
    found = targets.select(wish.get("-i"))
    for gpu in found:
        if gpu.handle is None:
            print(gpu.lost_text)
            code = errors.exit_code(gpu.why.value)
    gpus = [gpu for gpu in found if gpu.handle is not None]
    if not gpus:
        print(errors.NO_DEVICES_TEXT)
        return code
    print(time.strftime("%a %b %e %H:%M:%S %Y").ljust(31))
    lines = _head()
    for gpu in gpus:
        lines += _gpu(gpu)
    lines += _mig(gpus)
    lines += _processes(gpus)
    print("\n".join(lines))
    return code


def _head() -> t.List[str]:
    driver = nv.nvmlSystemGetDriverVersion()
    title = "| NVIDIA-SMI %-22s Driver Version: %-14s CUDA Version: %-9s|" % (driver, driver, cuda_version())
    return [RULE, title, GPU_RULE, HEAD[1], HEAD[2], HEAD[3], HEAD[0]]


def _read(name: str, handle: t.Any, default: str = "N/A") -> str:
    found = fields.FIELDS[name][1](handle)
    return default if found is None else str(found)


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _gpu(gpu: targets.Gpu) -> t.List[str]:
    handle = gpu.handle
    mig = fields.FIELDS["mig.mode.current"][1](handle)
    enabled = mig == "Enabled"
    persistence = "On" if _read("persistence_mode", handle) == "Enabled" else "Off"
    temperature, fan = _read("temperature.gpu", handle), _read("fan.speed", handle)
    ecc = "N/A"
    if _read("ecc.mode.current", handle) == "Enabled":
        ecc = "On" if enabled else _read("ecc.errors.uncorrected.volatile.total", handle)
    elif _read("ecc.mode.current", handle) == "Disabled":
        ecc = "Off"
    draw, limit = _read("power.draw", handle, ""), _read("enforced.power.limit", handle, "")
    power = "%s / %5s" % (_watts(draw), _watts(limit))
    memory = "%5sMiB / %6sMiB" % (_read("memory.used", handle), _read("memory.total", handle))
    used = "N/A" if enabled else _read("utilization.gpu", handle)
    compute = _read("compute_mode", handle)
    return [
        "| %3d  %-27s    %-3s | %18s Off | %20s |"
        % (gpu.index, _clip(nv.nvmlDeviceGetName(handle), 27), persistence, gpu.pci, ecc),
        "|%4s%6s    %-3s%23s | %22s |%8s%13s |"
        % (
            fan if fan == "N/A" else fan + "%",
            temperature if temperature == "N/A" else temperature + "C",
            _read("pstate", handle),
            power,
            memory,
            used if used == "N/A" else used + "%",
            COMPUTE.get(compute, compute),
        ),
        "| %39s | %22s | %20s |" % ("", "", mig or "N/A"),
        GPU_RULE,
    ]


def _watts(text: str) -> str:
    return "%dW" % round(float(text)) if text else "N/A"


def _mig(gpus: t.Sequence[targets.Gpu]) -> t.List[str]:
    enabled = [gpu for gpu in gpus if fields.FIELDS["mig.mode.current"][1](gpu.handle) == "Enabled"]
    if not enabled:
        return []
    rows: t.List[str] = []
    for gpu in enabled:
        for number, device in enumerate(listing.mig_devices(gpu.handle)):
            rows += _mig_device(gpu.index, number, device)
    if not rows:
        rows = ["|  No MIG devices found                                                                   |", RULE]
    return ["", RULE] + list(MIG_HEAD) + rows


def _mig_device(gpu: int, number: int, device: t.Any) -> t.List[str]:
    shared = nv.nvmlDeviceGetAttributes(device)
    memory = value(nv.nvmlDeviceGetMemoryInfo, device)
    window = value(nv.nvmlDeviceGetBAR1MemoryInfo, device)
    ecc = _read("ecc.errors.uncorrected.volatile.sram", device)
    return [
        "|%3d%5d%4d%4d  |%19s / %8s    | %-3d%6s |%3d%4d%5d%5d%5d |"
        % (
            gpu,
            nv.nvmlDeviceGetGpuInstanceId(device),
            nv.nvmlDeviceGetComputeInstanceId(device),
            number,
            _mib(memory and memory.used),
            _mib(memory.total if memory else shared.memorySizeMB * MIB),
            shared.multiprocessorCount,
            ecc,
            shared.sharedCopyEngineCount,
            shared.sharedEncoderCount,
            shared.sharedDecoderCount,
            shared.sharedOfaCount,
            shared.sharedJpegCount,
        ),
        "|%18s|%19s / %8s    |%11s|%23s|"
        % ("", _mib(window and window.bar1Used), _mib(window and window.bar1Total), "", ""),
        MIG_RULE,
    ]


def _mib(size: t.Optional[int]) -> str:
    return "N/A" if size is None else "%5dMiB" % (size // MIB)


def _processes(gpus: t.Sequence[targets.Gpu]) -> t.List[str]:
    rows = []
    for gpu in gpus:
        for process in processes.of(gpu.handle):
            gi = "N/A" if process.gi is None else "%d" % process.gi
            ci = "N/A" if process.ci is None else "%d" % process.ci
            used = "N/A" if process.memory_mib is None else "%dMiB" % process.memory_mib
            rows.append(
                "|%5d%6s%5s%16d%7s   %-34s%12s |"
                % (gpu.index, gi, ci, process.pid, process.kind, _tail(process.name, 34), used)
            )
    if not rows:
        rows = ["|  No running processes found                                                             |"]
    return ["", RULE] + list(PROCESS_HEAD) + rows + [RULE]


def _tail(text: str, width: int) -> str:
    return text if len(text) <= width else "..." + text[3 - width :]
