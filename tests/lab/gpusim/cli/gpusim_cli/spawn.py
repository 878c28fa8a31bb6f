# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sleeping processes that stand for a job: started in a session of their own, ended by `gpusim release`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time

# argv[0] of every process that gpusim starts; only a process that carries it is ever ended by gpusim.
MARK = "gpusim-spawned"
GONE_WITHIN = 5.0


def start() -> int:
    """Start a sleeping process (own session, no terminal, no open pipes) and return its pid."""
    sleep = shutil.which("sleep", path="/bin:/usr/bin")
    if sleep is None:
        raise OSError("no sleep program in /bin or /usr/bin")
    child = subprocess.Popen(
        [MARK, "infinity"],
        executable=sleep,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    # The child is left to init on purpose; without this Python warns that it was never waited for.
    child.returncode = 0
    return child.pid


def is_ours(pid: int) -> bool:
    """Whether the process was started by `start` and still runs."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return handle.read().split(b"\0")[0] == MARK.encode()
    except OSError:
        return False


def end(pid: int) -> bool:
    """End a process that `start` made and wait until it is gone. False when it was not ours."""
    if not is_ours(pid):
        return False
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + GONE_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if not is_ours(pid):
            return True
        time.sleep(0.01)
    raise OSError(f"process {pid} did not end within {GONE_WITHIN:.0f} s")
