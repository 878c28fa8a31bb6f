# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handles and addresses of GPUs. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import NvmlError
from .caller import Caller


def by_uuid(caller: Caller, uuid: str, pci: t.Optional[str]) -> t.Any:
    """A fresh handle. By PCI address where it is known: a look-up by UUID can take seconds on a loaded node
    (facts/mig.md, 2.1), and a handle is void after a reset."""
    if pci is None:
        return caller("nvmlDeviceGetHandleByUUID", uuid)
    handle = caller("nvmlDeviceGetHandleByPciBusId", pci)
    found = text(caller("nvmlDeviceGetUUID", handle))
    if found != uuid:
        raise NvmlError(
            f"GPU {pci} was {uuid} and is now {found}; read the node again",
            call="nvmlDeviceGetUUID",
            gpu=pci,
            code=6,
            code_name="NOT_FOUND",
        )
    return handle


def pci_address(info: t.Any) -> str:
    """ "0000:3b:00.0" of an nvmlPciInfo: lower case, four-digit domain where that is enough. A GPU is function 0."""
    return f"{info.domain:04x}:{info.bus:02x}:{info.device:02x}.0"


def pci_id(number: t.Optional[int]) -> t.Optional[str]:
    """ "10de:20b5" of NVML's combined number (device in the upper half)."""
    if not number:
        return None
    return f"{number & 0xFFFF:04x}:{number >> 16 & 0xFFFF:04x}"


def text(value: t.Any) -> str:
    """pynvml older than 11.5 answers bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def optional_text(value: t.Any) -> t.Optional[str]:
    return None if value is None else text(value)
