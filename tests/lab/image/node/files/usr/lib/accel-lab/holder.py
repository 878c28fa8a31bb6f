# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A daemon that keeps all GPUs open while it runs, as nvidia-persistenced, the fabric manager and DCGM do.

It is started in a mount namespace of its own: there /dev/null lies over each GPU's node, which no container may open,
so that /proc/PID/fd shows /dev/nvidia0 to everybody who looks for holders.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import modules
import shadow
import sim

# It has GPUs open and yet is not in the way when one of them is reset or changes its MIG mode.
HARMLESS = ("nv-fabricmanager",)


def main(name: str) -> None:
    Path("/proc/self/comm").write_text(name[:15])
    gpus = sim.gpus()
    for node in ["nvidiactl", *(f"nvidia{gpu['minor']}" for gpu in gpus)]:
        shadow.bind(Path("/dev/null"), Path("/dev") / node)
        os.open(f"/dev/{node}", os.O_RDWR | os.O_CLOEXEC)
    held = [] if name in HARMLESS else [gpu["uuid"] for gpu in gpus]
    for uuid in held:
        sim.control(f"occupy {uuid} pid={os.getpid()} kind=holder name={name}")
    modules.count()
    ready()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    for uuid in held:
        sim.control(f"release {uuid} pid={os.getpid()}")
    modules.count()


def ready() -> None:
    """Tell systemd that the service has started."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)


if __name__ == "__main__":
    # blocked before anything else, so that a stop during the start is not lost
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1])
