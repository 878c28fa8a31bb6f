# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PCI tree of the simulated boards: /sys/bus/pci and /sys/kernel/iommu_groups. Constructed, not captured.

Fields by Documentation/ABI/testing/sysfs-bus-pci of the kernel; configuration header by the PCI specification.
"""

from __future__ import annotations

import struct
import typing as t
from pathlib import Path

from sim import pci_address, put

CLASS_3D = 0x030200
# "other bridge", as NVSwitches have it
CLASS_BRIDGE = 0x068000
NVIDIA, SWITCH_BUS = 0x10DE, 0xC0
REVISION = 0xA1
FIRST_IRQ = 120
PM_CAPABILITY, PCIE_CAPABILITY = 0x60, 0x78
# GT/s of each PCIe generation
SPEEDS = {1: "2.5", 2: "5.0", 3: "8.0", 4: "16.0", 5: "32.0", 6: "64.0"}
BUS_FILES = ("rescan", "drivers_probe", "drivers_autoprobe")
DRIVERS = ("nvidia", "nouveau", "vfio-pci")
DRIVER_FILES = ("bind", "unbind", "new_id", "remove_id")


def build(bus: Path, groups: Path, gpus: t.Sequence[t.Mapping[str, t.Any]], bound: bool, reset: bool) -> None:
    """Write the bus and its IOMMU groups; `bound`: the devices belong to the driver nvidia; `reset`: they offer it."""
    for name in BUS_FILES:
        put(bus / name, "", 0o200)
    for driver in DRIVERS:
        for name in DRIVER_FILES:
            put(bus / "drivers" / driver / name, "", 0o200)
    (bus / "devices").mkdir(parents=True, exist_ok=True)
    (bus / "slots").mkdir(exist_ok=True)
    groups.mkdir(parents=True, exist_ok=True)
    for position, gpu in enumerate(gpus):
        _device(bus / "devices" / pci_address(gpu), position, gpu, reset)
        members = groups / str(position + 1) / "devices"
        members.mkdir(parents=True)
        (members / pci_address(gpu)).symlink_to(f"../../../../bus/pci/devices/{pci_address(gpu)}")
    if bound:
        bind_all(bus, gpus)


def bind_all(bus: Path, gpus: t.Sequence[t.Mapping[str, t.Any]], driver: str = "nvidia") -> None:
    """Give every GPU to a driver."""
    for gpu in gpus:
        address = pci_address(gpu)
        (bus / "devices" / address / "driver").symlink_to(f"../../drivers/{driver}")
        (bus / "drivers" / driver / address).symlink_to(f"../../devices/{address}")


def unbind_all(bus: Path, gpus: t.Sequence[t.Mapping[str, t.Any]], driver: str = "nvidia") -> None:
    """Take every GPU from a driver."""
    for gpu in gpus:
        address = pci_address(gpu)
        (bus / "devices" / address / "driver").unlink(missing_ok=True)
        (bus / "drivers" / driver / address).unlink(missing_ok=True)


def add_switches(bus: Path, devices: t.Sequence[str]) -> None:
    """NVSwitches, bridges without a driver of their own in sysfs: vendor, device and class are what tools look for."""
    for position, device in enumerate(devices):
        # above the buses that GPUs have
        address = f"0000:{SWITCH_BUS + position:02x}:00.0"
        folder = bus / "devices" / address
        files = {
            "vendor": f"{NVIDIA:#06x}",
            "device": f"0x{device}",
            "class": f"{CLASS_BRIDGE:#08x}",
            "revision": f"{REVISION:#04x}",
            "subsystem_vendor": f"{NVIDIA:#06x}",
            "subsystem_device": f"0x{device}",
            "irq": "0",
            "enable": "1",
            "numa_node": "0",
            "resource": "\n".join(f"{0:#018x} {0:#018x} {0:#018x}" for _line in range(13)),
            "uevent": f"PCI_CLASS={CLASS_BRIDGE:X}\nPCI_ID={NVIDIA:04X}:{device.upper()}\nPCI_SLOT_NAME={address}",
            "modalias": f"pci:v{NVIDIA:08X}d0000{device.upper()}sv{NVIDIA:08X}sd0000{device.upper()}bc06sc80i00",
        }
        for name, value in files.items():
            put(folder / name, f"{value}\n")
        space = bytearray(64)
        struct.pack_into("<HHHHBBBB", space, 0, NVIDIA, int(device, 16), 0x0406, 0, REVISION, 0x00, 0x80, 0x06)
        (folder / "config").write_bytes(bytes(space))
        (folder / "subsystem").symlink_to("../..")


def _device(folder: Path, position: int, gpu: t.Mapping[str, t.Any], reset: bool) -> None:
    vendor, device = _identity(gpu["device_id"])
    sub_vendor, sub_device = _identity(gpu["subsystem_id"])
    readings = gpu["readings"]
    generation, width = readings["pcie.generation"], readings["pcie.width"]
    speed = f"{SPEEDS[generation]} GT/s PCIe"
    irq = FIRST_IRQ + position
    bars = _bars(position, gpu["bar1_mib"] << 20)
    files = {
        "vendor": f"{vendor:#06x}",
        "device": f"{device:#06x}",
        "class": f"{CLASS_3D:#08x}",
        "revision": f"{REVISION:#04x}",
        "subsystem_vendor": f"{sub_vendor:#06x}",
        "subsystem_device": f"{sub_device:#06x}",
        "irq": str(irq),
        "enable": "1",
        "numa_node": str(readings["numa_node"]),
        "local_cpulist": "0-1",
        "driver_override": "(null)",
        "reset_method": "flr bus",
        "max_link_speed": speed,
        "current_link_speed": speed,
        "max_link_width": str(width),
        "current_link_width": str(width),
        "resource": "\n".join(f"{first:#018x} {last:#018x} {flags:#018x}" for first, last, flags in bars),
        "uevent": f"PCI_CLASS={CLASS_3D:X}\nPCI_ID={vendor:04X}:{device:04X}\n"
        f"PCI_SUBSYS_ID={sub_vendor:04X}:{sub_device:04X}\nPCI_SLOT_NAME={pci_address(gpu)}",
        "modalias": f"pci:v{vendor:08X}d{device:08X}sv{sub_vendor:08X}sd{sub_device:08X}bc03sc02i00",
        "power/control": "auto",
        "power/runtime_status": "active",
    }
    for name, value in files.items():
        put(folder / name, f"{value}\n")
    for name in ("reset", "remove", "rescan") if reset else ("remove", "rescan"):
        put(folder / name, "", 0o200)
    (folder / "config").write_bytes(_config((vendor, device, sub_vendor, sub_device), bars, irq, generation, width))
    (folder / "subsystem").symlink_to("../..")
    (folder / "iommu_group").symlink_to(f"../../../../kernel/iommu_groups/{position + 1}")


def _identity(text: str) -> t.Tuple[int, int]:
    """Vendor and device of `10de:20b2`."""
    vendor, device = text.split(":")
    return int(vendor, 16), int(device, 16)


def _bars(position: int, aperture: int) -> t.List[t.Tuple[int, int, int]]:
    """(first, last, flags) of the six BARs, the ROM and what the kernel adds: registers, memory, peer mailbox."""
    size = 1 << (aperture - 1).bit_length()
    registers = 0xD0000000 + position * 0x2000000
    memory = 0x380000000000 + position * (size + 0x4000000)
    mailbox = memory + size
    lines = [
        (registers, registers + 0xFFFFFF, 0x40200),
        (memory, memory + size - 1, 0x14220C),
        (0, 0, 0),
        (mailbox, mailbox + 0x1FFFFFF, 0x14220C),
    ]
    return lines + [(0, 0, 0)] * 9


def _config(
    ids: t.Tuple[int, int, int, int], bars: t.Sequence[t.Tuple[int, int, int]], irq: int, generation: int, width: int
) -> bytes:
    """256 bytes of configuration space: the type 0 header, power management and an express endpoint."""
    vendor, device, sub_vendor, sub_device = ids
    space = bytearray(256)
    # command: memory and bus master; status: there is a capability list
    struct.pack_into("<HHHHBBBB", space, 0, vendor, device, 0x0406, 0x0010, REVISION, 0x00, 0x02, 0x03)
    registers, memory, mailbox = bars[0][0], bars[1][0], bars[3][0]
    words = (registers, memory & 0xFFFFFFFF | 0xC, memory >> 32, mailbox & 0xFFFFFFFF | 0xC, mailbox >> 32, 0)
    struct.pack_into("<6I", space, 0x10, *words)
    struct.pack_into("<HH", space, 0x2C, sub_vendor, sub_device)
    space[0x34], space[0x3C], space[0x3D] = PM_CAPABILITY, irq & 0xFF, 1
    struct.pack_into("<BBHH", space, PM_CAPABILITY, 0x01, PCIE_CAPABILITY, 0x0003, 0x0008)
    struct.pack_into("<BBH", space, PCIE_CAPABILITY, 0x10, 0x00, 0x0002)
    # function-level reset is offered
    struct.pack_into("<I", space, PCIE_CAPABILITY + 0x04, 0x10008001)
    struct.pack_into("<I", space, PCIE_CAPABILITY + 0x0C, width << 4 | generation)
    struct.pack_into("<H", space, PCIE_CAPABILITY + 0x12, width << 4 | generation)
    return bytes(space)
