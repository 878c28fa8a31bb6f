# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Count the references to the modules anew; command gpusim calls it when somebody begins or ends to occupy a GPU.

The kernel counts at once. So a process in the background stays as long as one of those that gpusim started, to count
again when it ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import typing as t
from pathlib import Path

import modules
import sim

# argv[0] of those processes, see spawn.py of gpusim_cli
MARK = b"gpusim-spawned"


def main() -> None:
    if not modules.loaded("nvidia") or not os.access(modules.SYS_MODULE, os.W_OK):
        return
    modules.count()
    started = {process["pid"] for gpu in sim.gpus() for process in gpu["processes"] if is_spawned(process["pid"])}
    if started and os.fork() == 0:
        watch(started)


def is_spawned(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == MARK
    except OSError:
        return False


def watch(pids: t.Collection[int]) -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    poll, waiting = select.poll(), set()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            waiting.add(os.pidfd_open(pid))
    for door in waiting:
        poll.register(door, select.POLLIN)
    while waiting:
        for door, _event in poll.poll():
            poll.unregister(door)
            waiting.remove(door)
        modules.count()


if __name__ == "__main__":
    main()
