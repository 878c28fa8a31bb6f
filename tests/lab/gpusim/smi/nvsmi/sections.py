# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sections of -q that are about the whole GPU: each takes a handle and returns lines (depth, name, value)."""

from __future__ import annotations

import typing as t

from nvsmi.binding import MIB, nv, text, value
from nvsmi.fields import FIELDS, THROTTLE

TITLE = object()
# value: TITLE for a heading without a value, None for N/A.
Line = t.Tuple[int, str, t.Any]


def read(name: str, handle: t.Any) -> t.Any:
    """A property of --query-gpu, with its unit."""
    unit, reader = FIELDS[name]
    found = reader(handle)
    return f"{found} {unit}" if unit and found is not None else found


def block(title: str, handle: t.Any, *pairs: t.Tuple[str, str], depth: int = 1) -> t.List[Line]:
    """A heading and one line for each (name, property)."""
    lines: t.List[Line] = [(depth, title, TITLE)]
    return lines + [(depth + 1, name, read(field, handle)) for name, field in pairs]


ARCHITECTURES = {5: "Volta", 6: "Turing", 7: "Ampere", 8: "Ada Lovelace", 9: "Hopper", 10: "Blackwell"}
VIRTUALIZATION = {0: "None", 1: "Pass-Through", 2: "VGPU", 3: "Host VGPU", 4: "Host VSGA"}


def product(handle: t.Any) -> t.List[Line]:
    return [
        (1, "Product Name", read("name", handle)),
        (1, "Product Brand", "NVIDIA"),
        (1, "Product Architecture", ARCHITECTURES.get(value(nv.nvmlDeviceGetArchitecture, handle), "Unknown")),
        (1, "Display Mode", read("display_mode", handle)),
        (1, "Display Active", read("display_active", handle)),
        (1, "Persistence Mode", read("persistence_mode", handle)),
    ]


def identity(handle: t.Any) -> t.List[Line]:
    mode = value(nv.nvmlDeviceGetVirtualizationMode, handle)
    return [
        (1, "Accounting Mode", read("accounting.mode", handle)),
        (1, "Accounting Mode Buffer Size", read("accounting.buffer_size", handle)),
        *block("Driver Model", handle, ("Current", "driver_model.current"), ("Pending", "driver_model.pending")),
        (1, "Serial Number", read("serial", handle)),
        (1, "GPU UUID", read("uuid", handle)),
        (1, "Minor Number", value(nv.nvmlDeviceGetMinorNumber, handle)),
        (1, "VBIOS Version", read("vbios_version", handle)),
        *block(
            "Inforom Version",
            handle,
            ("Image Version", "inforom.img"),
            ("OEM Object", "inforom.oem"),
            ("ECC Object", "inforom.ecc"),
            ("Power Management Object", "inforom.pwr"),
        ),
        (1, "GPU Virtualization Mode", TITLE),
        (2, "Virtualization Mode", VIRTUALIZATION.get(mode, "Unknown") if mode is not None else None),
        (2, "Host VGPU Mode", None),
    ]


def recovery(handle: t.Any) -> t.List[Line]:
    firmware = value(nv.nvmlDeviceGetGspFirmwareVersion, handle)
    return [
        (1, "GPU Recovery Action", read("gpu_recovery_action", handle)),
        (1, "GSP Firmware Version", None if firmware is None else text(firmware)),
    ]


def pci(handle: t.Any) -> t.List[Line]:
    lines = block(
        "PCI",
        handle,
        ("Bus", "pci.bus"),
        ("Device", "pci.device"),
        ("Domain", "pci.domain"),
        ("Device Id", "pci.device_id"),
        ("Bus Id", "pci.bus_id"),
        ("Sub System Id", "pci.sub_device_id"),
    )
    lines.append((2, "GPU Link Info", TITLE))
    lines += block(
        "PCIe Generation", handle, ("Max", "pcie.link.gen.max"), ("Current", "pcie.link.gen.current"), depth=3
    )
    lines.append((3, "Link Width", TITLE))
    for word, name in (("Max", "pcie.link.width.max"), ("Current", "pcie.link.width.current")):
        width = read(name, handle)
        lines.append((4, word, None if width is None else f"{width}x"))
    lines.append((2, "Replays Since Reset", value(nv.nvmlDeviceGetPcieReplayCounter, handle)))
    for word, counter in (("Tx", nv.NVML_PCIE_UTIL_TX_BYTES), ("Rx", nv.NVML_PCIE_UTIL_RX_BYTES)):
        rate = value(nv.nvmlDeviceGetPcieThroughput, handle, counter)
        lines.append((2, word + " Throughput", None if rate is None else "%d KB/s" % rate))
    return lines


def performance(handle: t.Any) -> t.List[Line]:
    names = (
        (2, "Idle", "gpu_idle"),
        (2, "Applications Clocks Setting", "applications_clocks_setting"),
        (2, "SW Power Cap", "sw_power_cap"),
        (2, "HW Slowdown", "hw_slowdown"),
        (3, "HW Thermal Slowdown", "hw_thermal_slowdown"),
        (3, "HW Power Brake Slowdown", "hw_power_brake_slowdown"),
        (2, "Sync Boost", "sync_boost"),
        (2, "SW Thermal Slowdown", "sw_thermal_slowdown"),
    )
    assert len(names) == len(THROTTLE)
    lines: t.List[Line] = [
        (1, "Fan Speed", read("fan.speed", handle)),
        (1, "Performance State", read("pstate", handle)),
        (1, "Clocks Event Reasons", TITLE),
    ]
    return lines + [(depth, name, read("clocks_event_reasons." + key, handle)) for depth, name, key in names]


def memory(handle: t.Any) -> t.List[Line]:
    lines: t.List[Line] = [(1, "FB Memory Usage", TITLE)]
    lines += [(2, word, read("memory." + word.lower(), handle)) for word in ("Total", "Reserved", "Used", "Free")]
    window = value(nv.nvmlDeviceGetBAR1MemoryInfo, handle)
    lines.append((1, "BAR1 Memory Usage", TITLE))
    for word in ("Total", "Used", "Free"):
        lines.append((2, word, None if window is None else "%d MiB" % (getattr(window, "bar1" + word) // MIB)))
    return lines


def compute(handle: t.Any) -> t.List[Line]:
    return [(1, "Compute Mode", read("compute_mode", handle))]


def utilization(handle: t.Any) -> t.List[Line]:
    return block(
        "Utilization",
        handle,
        ("GPU", "utilization.gpu"),
        ("Memory", "utilization.memory"),
        ("Encoder", "utilization.encoder"),
        ("Decoder", "utilization.decoder"),
    )


def temperature(handle: t.Any) -> t.List[Line]:
    lines: t.List[Line] = [
        (1, "Temperature", TITLE),
        (2, "GPU Current Temp", _celsius(read("temperature.gpu", handle))),
        (2, "GPU T.Limit Temp", _celsius(read("temperature.gpu.tlimit", handle))),
    ]
    for name, kind in (
        ("GPU Shutdown Temp", nv.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN),
        ("GPU Slowdown Temp", nv.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
        ("GPU Max Operating Temp", nv.NVML_TEMPERATURE_THRESHOLD_GPU_MAX),
        ("Memory Max Operating Temp", nv.NVML_TEMPERATURE_THRESHOLD_MEM_MAX),
    ):
        lines.append((2, name, _celsius(value(nv.nvmlDeviceGetTemperatureThreshold, handle, kind))))
    lines.append((2, "Memory Current Temp", _celsius(read("temperature.memory", handle))))
    return lines


def _celsius(degrees: t.Any) -> t.Optional[str]:
    return None if degrees is None else f"{degrees} C"


def power(handle: t.Any) -> t.List[Line]:
    return block(
        "GPU Power Readings",
        handle,
        ("Average Power Draw", "power.draw.average"),
        ("Instantaneous Power Draw", "power.draw.instant"),
        ("Current Power Limit", "enforced.power.limit"),
        ("Requested Power Limit", "power.limit"),
        ("Default Power Limit", "power.default_limit"),
        ("Min Power Limit", "power.min_limit"),
        ("Max Power Limit", "power.max_limit"),
    )


def clocks(handle: t.Any) -> t.List[Line]:
    words = ("Graphics", "SM", "Memory", "Video")
    lines = block("Clocks", handle, *((word, "clocks.current." + word.lower()) for word in words))
    for title, stem in (
        ("Applications Clocks", "clocks.applications."),
        ("Default Applications Clocks", "clocks.default_applications."),
    ):
        lines += block(title, handle, ("Graphics", stem + "graphics"), ("Memory", stem + "memory"))
    lines += block("Max Clocks", handle, *((word, "clocks.max." + word.lower()) for word in words[:3]))
    return lines


def voltage(handle: t.Any) -> t.List[Line]:
    return [(1, "Voltage", TITLE), (2, "Graphics", None)]


def fabric(handle: t.Any) -> t.List[Line]:
    return block("Fabric", handle, ("State", "fabric.state"), ("Status", "fabric.status"))


def supported_clocks(handle: t.Any) -> t.List[Line]:
    lines: t.List[Line] = [(1, "Supported Clocks", TITLE)]
    for megahertz in value(nv.nvmlDeviceGetSupportedMemoryClocks, handle) or []:
        lines.append((2, "Memory", "%d MHz" % megahertz))
        for graphics in value(nv.nvmlDeviceGetSupportedGraphicsClocks, handle, megahertz) or []:
            lines.append((3, "Graphics", "%d MHz" % graphics))
    return lines if len(lines) > 1 else [(1, "Supported Clocks", None)]
