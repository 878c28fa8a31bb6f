# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs and NVSwitches in the PCI tree; works without any driver. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ..._files import Files
from ..model import PciDevice
from ..texts import pci
from .probe_files import data, line

DEVICES = "/sys/bus/pci/devices"


class Pci(t.NamedTuple):
    """`nvlink5`: NVSwitches of generation 4 behind ConnectX functions."""

    gpus: t.Tuple[PciDevice, ...]
    switches: t.Tuple[PciDevice, ...]
    nvlink5: bool


def probe(files: Files) -> Pci:
    found: t.Dict[str, t.List[str]] = {"gpu": [], "switch": [], "infiniband": []}
    for address in files.names(DEVICES):
        folder = f"{DEVICES}/{address}"
        kind = pci.kind(line(files, f"{folder}/vendor") or "", line(files, f"{folder}/class") or "")
        if kind is not None:
            found[kind].append(address)
    return Pci(
        gpus=tuple(_device(files, address) for address in found["gpu"]),
        switches=tuple(_device(files, address) for address in found["switch"]),
        # Product data come from the card's own memory and slowly, so they are read where such a fabric can be at all.
        nvlink5=bool(found["gpu"]) and not found["switch"] and _any_bridge(files, found["infiniband"]),
    )


def _device(files: Files, address: str) -> PciDevice:
    folder = f"{DEVICES}/{address}"
    word = {
        name: line(files, f"{folder}/{name}") or "0x0000"
        for name in ("vendor", "device", "subsystem_vendor", "subsystem_device")
    }
    try:
        driver: t.Optional[str] = os.path.basename(os.readlink(files.path(f"{folder}/driver")))
    except OSError:
        driver = None
    return PciDevice(
        address=address,
        device_id=pci.identity(word["vendor"], word["device"]),
        subsystem_id=pci.identity(word["subsystem_vendor"], word["subsystem_device"]),
        driver=driver,
    )


def _any_bridge(files: Files, addresses: t.Iterable[str]) -> bool:
    return any(pci.BRIDGE_MARK in (data(files, f"{DEVICES}/{address}/vpd") or b"") for address in addresses)
