# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fabric manager of a package: it runs beside the driver of its own version, and only where NVSwitches are."""

from __future__ import annotations

import signal
import sys
import typing as t
from pathlib import Path

import holder
import sim

SWITCH_CLASS = "0x068000"
BRIDGE_MARK = b"SW_MNG"  # in the vital product data of ConnectX functions that stand for NVSwitches of generation 4
COMPLETED = 3


def main(version: str) -> t.Optional[str]:
    """The reason why it cannot run, else None after it was stopped."""
    loaded = Path("/sys/module/nvidia/version")
    if not loaded.exists():
        return "fabric manager cannot reach the NVIDIA driver: it is not loaded"
    running = loaded.read_text().strip()
    if running != version:
        return (
            f"fabric manager NVIDIA GPU driver interface version {version} don't match with driver version {running}. "
            "Please update with matching NVIDIA driver package."
        )
    devices = Path("/sys/bus/pci/devices")
    switches = any(path.read_text().strip() == SWITCH_CLASS for path in devices.glob("*/class"))
    if not switches and not any(BRIDGE_MARK in path.read_bytes() for path in devices.glob("*/vpd")):
        return "request to query NVSwitch device information from NVSwitch driver failed: there is no NVSwitch"
    for gpu in sim.gpus():
        if gpu["readings"].get("fabric.state") is not None:
            sim.control(f"set {gpu['index']} fabric.state {COMPLETED}")
    holder.main("nv-fabricmanager")
    return None


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    sys.exit(main(sys.argv[1]))
