# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA's devices in a PCI tree: which are GPUs and which are switches. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

NVIDIA = "0x10de"
MELLANOX = "0x15b3"
# Display controllers: VGA and 3D.
GPU_CLASSES = ("0x0300", "0x0302")
# Bridges of the kind "other". The driver binds to NVIDIA's among them (alias pci:v000010DEd*sv*sd*bc06sc80i00* of
# module nvidia); A100's NVSwitch is 10de:1af1, H100's 10de:22a3 (driver.md 6).
SWITCH_CLASS = "0x0680"
# NVSwitches of generation 4 are no PCI devices of their own: they are managed through ConnectX-7 functions (InfiniBand
# controllers) whose vital product data have this word (driver.md 6; not verified on a machine here).
INFINIBAND_CLASS = "0x0207"
BRIDGE_MARK = b"SW_MNG"


def kind(vendor: str, device_class: str) -> t.Optional[str]:
    """ "gpu", "switch", "infiniband" or None, from the words of sysfs."""
    start = device_class[:6].lower()
    if vendor.lower() == NVIDIA:
        if start in GPU_CLASSES:
            return "gpu"
        return "switch" if start == SWITCH_CLASS else None
    return "infiniband" if vendor.lower() == MELLANOX and start == INFINIBAND_CLASS else None


def identity(vendor: str, device: str) -> str:
    """ "10de:20b5" from "0x10de" and "0x20b5"."""
    return f"{vendor[2:].lower()}:{device[2:].lower()}"
