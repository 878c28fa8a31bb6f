# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The MIG calls that change something, one NVML call each. PRIVATE to the collection.

All take the GPU's UUID and its PCI address (None where it is not known) and raise NotRootError, GpuLostError or
NvmlError with facts call, gpu, code and code_name ("IN_USE", "INSUFFICIENT_RESOURCES", ...).
"""

from __future__ import annotations

import ctypes
import typing as t

from .._data.nvml_names import code_name
from .address import by_uuid
from .caller import Caller
from .objects import Placement


def set_mode(caller: Caller, uuid: str, pci: t.Optional[str], enabled: bool) -> str:
    """The activation status in lower case; NVML returns it, pynvml does not raise it."""
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        return code_name(int(caller("nvmlDeviceSetMigMode", handle, int(enabled)))).lower()


def create_gpu_instance(caller: Caller, uuid: str, pci: t.Optional[str], profile_id: int, placement: Placement) -> int:
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        where = caller.pynvml.c_nvmlGpuInstancePlacement_t(placement.start, placement.size)
        # C wants a pointer and pynvml passes the argument through.
        made = caller("nvmlDeviceCreateGpuInstanceWithPlacement", handle, profile_id, ctypes.byref(where))
        return int(caller("nvmlGpuInstanceGetInfo", made).id)


def destroy_gpu_instance(caller: Caller, uuid: str, pci: t.Optional[str], gi_id: int) -> None:
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        caller("nvmlGpuInstanceDestroy", caller("nvmlDeviceGetGpuInstanceById", handle, gi_id))


def create_compute_instance(
    caller: Caller, uuid: str, pci: t.Optional[str], gi_id: int, profile_id: int, placement: t.Optional[Placement]
) -> int:
    with caller.target(pci or uuid):
        instance = caller("nvmlDeviceGetGpuInstanceById", by_uuid(caller, uuid, pci), gi_id)
        if placement is None:
            made = caller("nvmlGpuInstanceCreateComputeInstance", instance, profile_id)
        else:
            where = caller.pynvml.c_nvmlGpuInstancePlacement_t(placement.start, placement.size)
            made = caller(
                "nvmlGpuInstanceCreateComputeInstanceWithPlacement", instance, profile_id, ctypes.byref(where)
            )
        return int(caller("nvmlComputeInstanceGetInfo", made).id)


def destroy_compute_instance(caller: Caller, uuid: str, pci: t.Optional[str], gi_id: int, ci_id: int) -> None:
    with caller.target(pci or uuid):
        instance = caller("nvmlDeviceGetGpuInstanceById", by_uuid(caller, uuid, pci), gi_id)
        caller("nvmlComputeInstanceDestroy", caller("nvmlGpuInstanceGetComputeInstanceById", instance, ci_id))
