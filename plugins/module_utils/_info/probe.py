# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gpu_info reads beside NVML: the PCI tree and /proc. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import os
import pwd
import typing as t

from .._files import Files
from .objects import Owner, PciGpu

NVIDIA = "0x10de"
# PCI classes of GPUs: VGA controller and 3D controller
GPU_CLASSES = ("0x0300", "0x0302")
PCI = "/sys/bus/pci/devices"


def pci_gpus(files: Files) -> t.Tuple[PciGpu, ...]:
    """NVIDIA's GPUs that the kernel sees, with or without a driver."""
    return tuple(_pci_gpu(files, address) for address in files.names(PCI) if _is_gpu(files, address))


def today() -> datetime.date:
    """The node's date, against which exceptions expire."""
    return datetime.date.today()


def module_version(files: Files) -> t.Optional[str]:
    """Version of the loaded kernel module nvidia."""
    return _line(files, "/sys/module/nvidia/version")


def process_owners(files: Files, pids: t.Iterable[int]) -> t.Dict[int, Owner]:
    """User and command line by PID; a process that is gone is left out."""
    found = {}
    for pid in set(pids):
        owner = _process_owner(files, pid)
        if owner is not None:
            found[pid] = owner
    return found


def _is_gpu(files: Files, address: str) -> bool:
    if _line(files, f"{PCI}/{address}/vendor") != NVIDIA:
        return False
    return (_line(files, f"{PCI}/{address}/class") or "")[:6] in GPU_CLASSES


def _pci_gpu(files: Files, address: str) -> PciGpu:
    device = (_line(files, f"{PCI}/{address}/device") or "0x0000")[2:]
    try:
        driver: t.Optional[str] = os.path.basename(os.readlink(files.path(f"{PCI}/{address}/driver")))
    except OSError:
        driver = None
    return PciGpu(pci=address, device_id=f"10de:{device}", kernel_driver=driver)


def _process_owner(files: Files, pid: int) -> t.Optional[Owner]:
    try:
        uid = os.stat(files.path(f"/proc/{pid}")).st_uid
        command = files.read_text(f"/proc/{pid}/cmdline") or ""
    except OSError:
        return None
    return Owner(user=_user(uid), command=" ".join(command.split("\0")).strip())


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _line(files: Files, path: str) -> t.Optional[str]:
    try:
        text = files.read_text(path)
    except OSError:
        return None
    return text.strip() if text is not None and text.strip() else None
