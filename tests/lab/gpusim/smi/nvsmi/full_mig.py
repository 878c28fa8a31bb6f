# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The MIG and process sections of -q."""

from __future__ import annotations

import typing as t

from nvsmi import fields, listing, processes
from nvsmi.binding import MIB, nv, value
from nvsmi.sections import TITLE, Line


def mode(handle: t.Any) -> t.List[Line]:
    """MIG Mode: N/A on GPUs without MIG."""
    return [
        (1, "MIG Mode", TITLE),
        (2, "Current", fields.FIELDS["mig.mode.current"][1](handle)),
        (2, "Pending", fields.FIELDS["mig.mode.pending"][1](handle)),
    ]


def devices(handle: t.Any) -> t.List[Line]:
    """One block for each MIG device."""
    lines: t.List[Line] = []
    for number, device in enumerate(listing.mig_devices(handle)):
        lines += _device(number, device)
    return lines


def _device(number: int, device: t.Any) -> t.List[Line]:
    shared = nv.nvmlDeviceGetAttributes(device)
    return [
        (1, "MIG Device", TITLE),
        (2, "Index", number),
        (2, "GPU Instance ID", nv.nvmlDeviceGetGpuInstanceId(device)),
        (2, "Compute Instance ID", nv.nvmlDeviceGetComputeInstanceId(device)),
        (2, "Device Attributes", TITLE),
        (3, "Shared", TITLE),
        (4, "Multiprocessor count", shared.multiprocessorCount),
        (4, "Copy Engine count", shared.sharedCopyEngineCount),
        (4, "Encoder count", shared.sharedEncoderCount),
        (4, "Decoder count", shared.sharedDecoderCount),
        (4, "OFA count", shared.sharedOfaCount),
        (4, "JPG count", shared.sharedJpegCount),
        (2, "ECC Errors", TITLE),
        (3, "Volatile", TITLE),
        (4, "SRAM Uncorrectable", fields.FIELDS["ecc.errors.uncorrected.volatile.sram"][1](device)),
        *_memory(device),
    ]


def _memory(device: t.Any) -> t.List[Line]:
    lines: t.List[Line] = [(2, "FB Memory Usage", TITLE)]
    for word in ("Total", "Reserved", "Used", "Free"):
        lines.append((3, word, _unit(fields.FIELDS["memory." + word.lower()][1](device))))
    window = value(nv.nvmlDeviceGetBAR1MemoryInfo, device)
    lines.append((2, "BAR1 Memory Usage", TITLE))
    for word in ("Total", "Used", "Free"):
        lines.append((3, word, _unit(None if window is None else getattr(window, "bar1" + word) // MIB)))
    return lines


def _unit(mib: t.Optional[int]) -> t.Optional[str]:
    return None if mib is None else "%d MiB" % mib


def process_list(handle: t.Any) -> t.List[Line]:
    """Processes: None, or four or more lines for each."""
    found = processes.of(handle)
    if not found:
        return [(1, "Processes", "None")]
    lines: t.List[Line] = [(1, "Processes", TITLE)]
    for process in found:
        lines += [
            (2, "GPU instance ID", process.gi),
            (2, "Compute instance ID", process.ci),
            (2, "Process ID", process.pid),
            (3, "Type", process.kind),
            (3, "Name", process.name),
            (3, "Used GPU Memory", _unit(process.memory_mib)),
        ]
    return lines
