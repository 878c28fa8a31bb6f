# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs as the choice of a driver sees them: generation by PCI device id, flavours, oldest drivers. PRIVATE.

Read from PCI alone, so it works where no driver is. Sources: [boards] are the boards of NVIDIA/open-gpu-kernel-modules
README.md 595.45.04 and of pci.ids (22 August 2026); [pci.ids] are the chip names of pci.ids, of 10 April 2023 for ids
up to 28ff and of 2026 above; [modules] is "Kernel Modules" of NVIDIA's driver installation guide; [mig] is the table of
minimum drivers in NVIDIA's MIG user guide, edition 620.
"""

from __future__ import annotations

import typing as t

VENDOR = "10de"


class Generation(t.NamedTuple):
    """`flavours` a kernel module can have for it. `first` and `last` are branches, None: no limit is known."""

    title: str
    flavours: t.Tuple[str, ...]
    first: t.Optional[int] = None
    last: t.Optional[int] = None


_BOTH = ("open", "proprietary")

# From old to new. Flavours: [modules]. The last branch of the old ones: NVIDIA's driver and architecture matrix.
GENERATIONS: t.Dict[str, Generation] = {
    "maxwell": Generation("Maxwell", ("proprietary",), last=580),
    "pascal": Generation("Pascal", ("proprietary",), last=580),
    "volta": Generation("Volta", ("proprietary",), last=580),
    "turing": Generation("Turing", _BOTH),
    "ampere": Generation("Ampere", _BOTH),
    "ada": Generation("Ada Lovelace", _BOTH),
    "hopper": Generation("Hopper", _BOTH),
    # first listed in the README of open modules 545.29.03
    "grace-hopper": Generation("Grace Hopper", ("open",), first=550),
    # first listed in the README of open modules 570.86.15
    "blackwell": Generation("Blackwell", ("open",), first=570),
}


class Device(t.NamedTuple):
    """`oldest` driver that knows the device: the older of the README's first listing and of [mig]. The list begins with
    515.48.07, so that value (and the late entry of T4) says nothing and is left out. `mig` is the oldest driver for
    MIG."""

    name: str
    generation: str
    oldest: t.Optional[str] = None
    mig: t.Optional[str] = None


# [boards], [mig]
DEVICES: t.Dict[str, Device] = {
    "10de:1db1": Device("Tesla V100-SXM2-16GB", "volta"),
    "10de:1db5": Device("Tesla V100-SXM2-32GB", "volta"),
    "10de:1df5": Device("Tesla V100-SXM2-16GB", "volta"),
    "10de:1db4": Device("Tesla V100-PCIE-16GB", "volta"),
    "10de:1db6": Device("Tesla V100-PCIE-32GB", "volta"),
    "10de:1eb8": Device("Tesla T4", "turing"),
    "10de:2236": Device("NVIDIA A10", "ampere"),
    "10de:25b6": Device("NVIDIA A16", "ampere"),
    "10de:2235": Device("NVIDIA A40", "ampere"),
    "10de:20b7": Device("NVIDIA A30", "ampere", "460.73.01", "460.73.01"),
    "10de:20b0": Device("NVIDIA A100-SXM4-40GB", "ampere", "450.80.02", "450.80.02"),
    "10de:20b2": Device("NVIDIA A100-SXM4-80GB", "ampere", "450.80.02", "450.80.02"),
    "10de:20f1": Device("NVIDIA A100-PCIE-40GB", "ampere", "450.80.02", "450.80.02"),
    "10de:20b1": Device("NVIDIA A100-PCIE-40GB", "ampere", "450.80.02", "450.80.02"),
    "10de:20b5": Device("NVIDIA A100 80GB PCIe", "ampere", "450.80.02", "450.80.02"),
    "10de:27b8": Device("NVIDIA L4", "ada", "530.41.03"),
    "10de:26b5": Device("NVIDIA L40", "ada", "525.78.01"),
    "10de:26b9": Device("NVIDIA L40S", "ada", "535.104.05"),
    "10de:26b1": Device("NVIDIA RTX 6000 Ada Generation", "ada", "525.78.01"),
    "10de:2330": Device("NVIDIA H100 80GB HBM3", "hopper", "525.85.05", "525.85.12"),
    "10de:2339": Device("NVIDIA H100 94GB HBM2e", "hopper", "530.41.03"),
    "10de:2331": Device("NVIDIA H100 PCIe", "hopper", "520.56.06", "525.85.12"),
    "10de:2321": Device("NVIDIA H100 NVL", "hopper", "535.104.05"),
    "10de:2335": Device("NVIDIA H200", "hopper", "550.90.07", "550.90.07"),
    "10de:233b": Device("NVIDIA H200 NVL", "hopper", "550.90.07", "550.90.07"),
    "10de:2329": Device("NVIDIA H20", "hopper", "535.161.07", "535.161.07"),
    "10de:232c": Device("NVIDIA H20-3e", "hopper", "565.77"),
    "10de:2342": Device("NVIDIA GH200 96GB", "grace-hopper", "545.29.03"),
    "10de:2348": Device("NVIDIA GH200 144G HBM3e", "grace-hopper", "565.57.01"),
    "10de:2901": Device("NVIDIA B200", "blackwell", "570.86.15", "570.133.20"),
    "10de:3182": Device("NVIDIA B300 SXM6 AC", "blackwell", "580.82.07", "580.82.07"),
    "10de:2941": Device("NVIDIA GB200", "blackwell", "570.124.04", "570.133.20"),
    "10de:31c2": Device("NVIDIA GB300", "blackwell", "580.82.07", "595.58.03"),
    "10de:31c3": Device("NVIDIA GB300", "blackwell", "580.82.07", "595.58.03"),
    # [boards] of the README of a later driver; which one listed them first is not verified
    "10de:2bb3": Device("NVIDIA RTX PRO 5000 Blackwell", "blackwell", None, "575.57.08"),
    "10de:2c31": Device("NVIDIA RTX PRO 4500 Blackwell", "blackwell", None, "575.64"),
    "10de:2bb5": Device("NVIDIA RTX PRO 6000 Blackwell Server Edition", "blackwell", "575.51.03", "575.51.03"),
}

# (first, last, generation) of device ids that are in no row above: [pci.ids] names chips, and each block below holds
# chips of one generation only.
RANGES: t.Tuple[t.Tuple[int, int, str], ...] = (
    (0x1340, 0x143F, "maxwell"),  # GM108, GM107, GM204, GM206
    (0x15C0, 0x15FF, "pascal"),  # GP100
    (0x1600, 0x167F, "maxwell"),  # GM204
    (0x1700, 0x173F, "pascal"),  # GP100
    (0x1740, 0x17FF, "maxwell"),  # GM108, GM107, GM200
    (0x1B00, 0x1D7F, "pascal"),  # GP102, GP104, GP106, GP107, GP108
    (0x1D80, 0x1DFF, "volta"),  # GV100
    (0x1E00, 0x1FFF, "turing"),  # TU102, TU104, TU106, TU117
    (0x2080, 0x20FF, "ampere"),  # GA100
    (0x2180, 0x21FF, "turing"),  # TU116
    (0x2200, 0x227F, "ampere"),  # GA102
    (0x2300, 0x233F, "hopper"),  # GH100
    (
        0x2340,
        0x237F,
        "grace-hopper",
    ),  # GH100 on a Grace module: the two ids of GH200 lie here; the rest is not verified
    (0x2400, 0x25FF, "ampere"),  # GA103, GA104, GA106, GA107
    (0x2680, 0x28FF, "ada"),  # AD102, AD103, AD104, AD106, AD107
    (0x2900, 0x297F, "blackwell"),  # GB100: B200 and GB200 lie here; the rest is not verified
    (0x2B80, 0x2DFF, "blackwell"),  # GB202 (RTX PRO 6000), GB206, GB207; GB203 between them is not verified
    (0x2F00, 0x2F7F, "blackwell"),  # GB205
    (0x3180, 0x31FF, "blackwell"),  # GB110
)

# NVSwitches that are PCI functions of the node, by what boards have them. Driver reference of the collection, section
# 6. B200 and B300 have NVSwitches without a PCI function: they are found by the VPD of their ConnectX bridges.
SWITCHES: t.Dict[str, str] = {
    "10de:1ac2": "NVSwitch of V100 boards",  # pci.ids: GV100 NVSwitch
    "10de:1af1": "NVSwitch of A100 boards",
    "10de:22a3": "NVSwitch of H100 boards",
}

# GPUs of compute trays whose NVSwitches are elsewhere in the rack: imex instead of a fabric manager.
TRAYS: t.FrozenSet[str] = frozenset(("10de:2941", "10de:31c2", "10de:31c3"))


def generation(device_id: str) -> t.Optional[str]:
    """Of a GPU, by "10de:20b5". None: not in the tables, such as a newer one."""
    device = DEVICES.get(device_id.lower())
    if device is not None:
        return device.generation
    vendor, _colon, number = device_id.lower().partition(":")
    if vendor != VENDOR or not number:
        return None
    return next((name for first, last, name in RANGES if first <= int(number, 16) <= last), None)
