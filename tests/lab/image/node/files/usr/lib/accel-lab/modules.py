# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel modules of the simulated driver and what they show: /sys/module, /proc/driver, /dev. Constructed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import typing as t
from pathlib import Path

import ko
import sim
from sim import RUN, pci_address, put

SYS_MODULE = RUN / "sys-module"
PROC_DRIVER = RUN / "proc-driver"
# module -> the one that it uses
DEPENDS = {
    "nvidia": "",
    "nvidia_uvm": "nvidia",
    "nvidia_modeset": "nvidia",
    "nvidia_drm": "nvidia_modeset",
    "nvidia_peermem": "nvidia",
    "gdrdrv": "nvidia",
    "nvidia_fs": "nvidia",
}
NOUVEAU = "nouveau"
# They refuse to be loaded beside another version of the one that they use: nvkms_alloc_rm in nvidia-modeset-linux.c and
# nv_drm_init in nvidia-drm-drv.c, both of NVIDIA/open-gpu-kernel-modules
SAME_VERSION = ("nvidia_modeset", "nvidia_drm")
AT_BOOT = ("nvidia", "nvidia_uvm", "nvidia_modeset")
GPU_MAJOR, CONTROL_MINOR, MODESET_MINOR = 195, 255, 254
# these two are dynamic on a real machine
UVM_MAJOR, CAPS_MAJOR = 510, 511
# a GPU has at most 15 GPU instances (numbers 0 to 14) with 8 compute instances each in the driver's table of minors
GPU_INSTANCES, COMPUTE_INSTANCES = 15, 8
# how a driver names itself, the closed one with the date of its build, the open one with what kind of build it is
OPEN = "Open Kernel Module for x86_64  {}  Release Build"
PROPRIETARY = "x86_64 Kernel Module  {}  Wed Oct  1 14:43:46 UTC 2025"
PARAMETERS = {
    "ResmanDebugLevel": 4294967295,
    "ModifyDeviceFiles": 1,
    "DeviceFileUID": 0,
    "DeviceFileGID": 0,
    "DeviceFileMode": 438,
    "EnableMSI": 1,
    "PreserveVideoMemoryAllocations": 0,
    "OpenRmEnableUnsupportedGpus": 1,
    "EnableGpuFirmware": 18,
    "GrdmaPciTopoCheckOverride": 0,
}

Gpus = t.Sequence[t.Mapping[str, t.Any]]


def load(module: str, version: str) -> None:
    """Show `module` in /sys/module and enter it with the module that it uses."""
    folder = SYS_MODULE / module
    if version:
        put(folder / "version", f"{version}\n", 0o444)
    put(folder / "srcversion", f"{sum(map(ord, module + version)):024X}\n", 0o444)
    put(folder / "initstate", "live\n", 0o444)
    (folder / "holders").mkdir()
    if DEPENDS.get(module):
        (SYS_MODULE / DEPENDS[module] / "holders" / module).symlink_to(f"../../{module}")
    count()


def unload(module: str) -> None:
    """Take `module` out of /sys/module."""
    shutil.rmtree(SYS_MODULE / module)
    if DEPENDS.get(module):
        (SYS_MODULE / DEPENDS[module] / "holders" / module).unlink()
    count()


def holders(module: str) -> t.List[str]:
    """The loaded modules that use `module`."""
    return sorted(os.listdir(SYS_MODULE / module / "holders"))


def loaded(module: str) -> bool:
    return (SYS_MODULE / module).is_dir()


def version(module: str) -> str:
    return (SYS_MODULE / module / "version").read_text().strip()


def references(module: str) -> int:
    return int((SYS_MODULE / module / "refcnt").read_text())


def count() -> None:
    """Bring every refcnt up to date. The kernel counts one for each module that uses it (add_module_usage in its
    kernel/module/main.c) and one for each open file of its devices (the owner in struct file_operations); who occupies
    a GPU has one of them open."""
    with (RUN / "refcnt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opened = {"nvidia": sum(len(gpu["processes"]) for gpu in sim.gpus())}
        for module in (*DEPENDS, NOUVEAU):
            if loaded(module):
                # nobody may read half a file
                put(RUN / "refcnt", f"{len(holders(module)) + opened.get(module, 0)}\n", 0o444)
                (RUN / "refcnt").replace(SYS_MODULE / module / "refcnt")


def write_proc(gpus: Gpus, version: str, licence: str = "") -> None:
    """/proc/driver/nvidia and the table of capability minors. The module names itself by its `licence`; that of a node
    which came with its driver is open."""
    root = PROC_DRIVER / "nvidia"
    name = PROPRIETARY if licence == ko.LICENSES["proprietary"] else OPEN
    put(
        root / "version",
        f"NVRM version: NVIDIA UNIX {name.format(version)}  (simulated)\n"
        "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n",
        0o444,
    )
    put(root / "params", "".join(f"{name}: {value}\n" for name, value in PARAMETERS.items()), 0o444)
    for gpu in gpus:
        put(root / "gpus" / pci_address(gpu) / "information", _information(gpu, version), 0o444)
    minors = capability_minors(len(gpus))
    put(PROC_DRIVER / "nvidia-caps" / "mig-minors", "".join(f"{key} {value}\n" for key, value in minors.items()), 0o444)
    write_capabilities(gpus)


def remove_proc() -> None:
    for name in ("nvidia", "nvidia-caps"):
        shutil.rmtree(PROC_DRIVER / name, ignore_errors=True)


def write_capabilities(gpus: Gpus) -> None:
    """/proc/driver/nvidia/capabilities: the two of MIG itself, and those of the instances that exist now."""
    root = PROC_DRIVER / "nvidia" / "capabilities"
    shutil.rmtree(root, ignore_errors=True)
    minors = capability_minors(len(gpus))
    existing = {"mig/config": minors["config"], "mig/monitor": minors["monitor"]}
    for gpu in gpus:
        number = gpu["minor"]
        for instance in gpu["instances"]:
            key = f"gpu{number}/gi{instance['id']}"
            existing[f"gpu{number}/mig/gi{instance['id']}/access"] = minors[f"{key}/access"]
            for compute in instance["compute_instances"]:
                path = f"gpu{number}/mig/gi{instance['id']}/ci{compute['id']}/access"
                existing[path] = minors[f"{key}/ci{compute['id']}/access"]
    for path, minor in existing.items():
        # 256 = 0400 for who changes instances, 292 = 0444 for who looks at them and for those themselves
        mode = 256 if path == "mig/config" else 292
        put(root / path, f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n")


def capability_minors(count: int) -> t.Dict[str, int]:
    """The driver's fixed numbering of every instance that could exist on `count` GPUs."""
    table = {"config": 1, "monitor": 2}
    for gpu in range(count):
        for instance in range(GPU_INSTANCES):
            table[f"gpu{gpu}/gi{instance}/access"] = len(table) + 1
            for compute in range(COMPUTE_INSTANCES):
                table[f"gpu{gpu}/gi{instance}/ci{compute}/access"] = len(table) + 1
    return table


def write_devices(gpus: Gpus, dev: Path = Path("/dev")) -> None:
    """The device nodes as nvidia-modprobe makes them, and sets them again where it finds them otherwise."""
    wanted = {
        "nvidiactl": (GPU_MAJOR, CONTROL_MINOR, 0o666),
        "nvidia-modeset": (GPU_MAJOR, MODESET_MINOR, 0o666),
        "nvidia-uvm": (UVM_MAJOR, 0, 0o666),
        "nvidia-uvm-tools": (UVM_MAJOR, 1, 0o666),
        "nvidia-caps/nvidia-cap1": (CAPS_MAJOR, 1, 0o400),
        "nvidia-caps/nvidia-cap2": (CAPS_MAJOR, 2, 0o444),
    }
    for gpu in gpus:
        minor = gpu["minor"]
        wanted[f"nvidia{minor}"] = (GPU_MAJOR, minor, 0o666)
    (dev / "nvidia-caps").mkdir(mode=0o755, exist_ok=True)
    for name, (major, minor, mode) in wanted.items():
        if not (dev / name).exists():
            os.mknod(dev / name, stat.S_IFCHR | mode, os.makedev(major, minor))
        os.chown(dev / name, 0, 0)
        (dev / name).chmod(mode)


def _information(gpu: t.Mapping[str, t.Any], version: str) -> str:
    rows = (
        ("Model", gpu["name"]),
        ("GPU UUID", gpu["uuid"]),
        ("Bus Type", "PCIe"),
        ("DMA Size", "47 bits"),
        ("DMA Mask", "0x7fffffffffff"),
        ("Bus Location", pci_address(gpu)),
        ("Device Minor", gpu["minor"]),
        ("GPU Firmware", version),
        ("GPU Excluded", "No"),
    )
    return "".join(f"{name + ':':16} {value}\n" for name, value in rows)
