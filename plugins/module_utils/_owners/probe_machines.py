# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find vGPUs that virtual machines may use. Reads only. PRIVATE to the collection.

A GPU that is passed through whole is bound to vfio-pci and unknown to NVML, so it is no concern here. Sources of paths:
kernel documentation of VFIO mediated devices (/sys/class/mdev_bus); NVIDIA vGPU guide, vendor-specific VFIO
(<VF>/nvidia/current_vgpu_type, 0 where none is set).
"""

from __future__ import annotations

import glob
import os
import typing as t

from .objects import Allocation, Owner, Owners

if t.TYPE_CHECKING:
    from .._ports import Ports


def probe(ports: Ports) -> Owners:
    """One claim per mediated device and per virtual function with a vGPU type, on its physical GPU."""
    claims = tuple(_mediated(ports.root)) + tuple(_virtual_functions(ports.root))
    return Owners((Owner("hypervisor"),) if claims else (), claims)


def _mediated(root: str) -> t.Iterator[Allocation]:
    pattern = os.path.join(root, "sys/class/mdev_bus/*/mdev_supported_types/*/devices/*")
    for path in sorted(glob.glob(pattern)):
        function = path.split(os.sep)[-5]
        yield Allocation(f"vGPU {os.path.basename(path)}", f"pci:{_physical(root, function)}")


def _virtual_functions(root: str) -> t.Iterator[Allocation]:
    for path in sorted(glob.glob(os.path.join(root, "sys/bus/pci/devices/*/nvidia/current_vgpu_type"))):
        try:
            with open(path, encoding="ascii", errors="replace") as handle:
                kind = handle.read().strip()
        except OSError:
            continue  # the function went away
        if kind in ("", "0"):
            continue
        function = path.split(os.sep)[-3]
        yield Allocation(f"vGPU type {kind} on {function}", f"pci:{_physical(root, function)}")


def _physical(root: str, function: str) -> str:
    """The physical function behind a virtual one; the same address where it is physical itself."""
    link = os.path.join(root, "sys/bus/pci/devices", function, "physfn")
    return os.path.basename(os.readlink(link)) if os.path.islink(link) else function
