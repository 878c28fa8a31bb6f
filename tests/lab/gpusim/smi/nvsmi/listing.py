# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""-L: one line for each GPU and, below it, one for each MIG device."""

from __future__ import annotations

import typing as t

from nvsmi import errors, options, targets
from nvsmi.binding import nv, value


def mig_devices(handle: t.Any) -> t.List[t.Any]:
    """The MIG device handles of a GPU in index order, [] when MIG is off or not offered."""
    found = []
    for index in range(value(nv.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        device = value(nv.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if device is not None:
            found.append(device)
    return found


def main(wish: options.Wish) -> int:
    """Print the list; 15 when a GPU is lost, after the others were listed."""
    code = errors.OK
    for gpu in targets.select(wish.get("-i")):
        if gpu.handle is None:
            print(gpu.lost_text)
            code = errors.exit_code(gpu.why.value)
            continue
        name = nv.nvmlDeviceGetName(gpu.handle)
        print("GPU %d: %s (UUID: %s)" % (gpu.index, name, nv.nvmlDeviceGetUUID(gpu.handle)))
        for number, device in enumerate(mig_devices(gpu.handle)):
            print("  MIG %-15s Device %2d: (UUID: %s)" % (_short(device), number, nv.nvmlDeviceGetUUID(device)))
    return code


def _short(device: t.Any) -> str:
    """The profile of a MIG device from its name: "NVIDIA H100 80GB HBM3 MIG 1g.10gb" gives 1g.10gb."""
    name = t.cast(str, nv.nvmlDeviceGetName(device))
    return name.rpartition("MIG ")[2]
