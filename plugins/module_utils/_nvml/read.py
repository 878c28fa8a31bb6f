# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Identity and memory of one GPU. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from .._data.nvml_names import ARCHITECTURES, VIRTUALIZATION, word
from .address import optional_text, pci_address, pci_id, text
from .caller import Caller

MIB = 1 << 20


def identity(caller: Caller, handle: t.Any, index: int) -> t.Dict[str, t.Any]:
    """Keyword arguments of `Gpu` that say which card this is. Raises where even UUID or address cannot be read.

    The PCI address comes first, so that every later call and error names the GPU by it, then the UUID, by which
    people name it.
    """
    info = caller("nvmlDeviceGetPciInfo", handle)
    pci = pci_address(info)
    caller.name_gpu(pci)
    uuid = text(caller("nvmlDeviceGetUUID", handle))
    caller.uuid = uuid
    memory = caller.get("nvmlDeviceGetMemoryInfo", handle)
    return {
        "uuid": uuid,
        "index": index,
        "name": optional_text(caller.get("nvmlDeviceGetName", handle)) or "",
        "pci": pci,
        "device_id": pci_id(info.pciDeviceId) or "",
        "subsystem_id": pci_id(info.pciSubSystemId),
        "minor": caller.get("nvmlDeviceGetMinorNumber", handle),
        "serial": optional_text(caller.get("nvmlDeviceGetSerial", handle)),
        "numa_node": numa_node(caller.root, pci),
        "architecture": _word(ARCHITECTURES, caller.get("nvmlDeviceGetArchitecture", handle)),
        "compute_capability": _capability(caller.get("nvmlDeviceGetCudaComputeCapability", handle)),
        "memory_mib": None if memory is None else int(memory.total) // MIB,
        "memory_used_mib": None if memory is None else int(memory.used) // MIB,
        "virtualization": _word(VIRTUALIZATION, caller.get("nvmlDeviceGetVirtualizationMode", handle)),
        "vbios": optional_text(caller.get("nvmlDeviceGetVbiosVersion", handle)),
        "part_number": optional_text(caller.get("nvmlDeviceGetBoardPartNumber", handle)),
    }


def numa_node(root: str, pci: str) -> t.Optional[int]:
    """The NUMA node that the kernel gives the slot; NVML tells only that of coherent GPU memory."""
    try:
        with open(os.path.join(root, "sys/bus/pci/devices", pci, "numa_node"), encoding="utf-8") as stream:
            node = int(stream.read())
    except (OSError, ValueError):
        return None
    return node if node >= 0 else None


def cuda_version(number: t.Optional[int]) -> t.Optional[str]:
    """ "13.0" of NVML's 13000."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def _capability(pair: t.Any) -> t.Optional[str]:
    return None if pair is None else f"{pair[0]}.{pair[1]}"


def _word(table: t.Mapping[int, str], number: t.Optional[int]) -> t.Optional[str]:
    return None if number is None else word(table, number)
