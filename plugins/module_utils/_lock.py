# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One lock per node for everything that changes GPUs. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import sys
import time
import typing as t

from ._errors import LockTimeoutError, NotRootError
from ._files import Files

PATH = "/run/accel-gpu/lock"
_PAUSE = 0.1  # seconds between two looks

# Open lock files by path. A process holds a lock once: residents of the agent run one after the other under it.
_held: t.Dict[str, int] = {}


class Lock:
    """A flock on one file, released by `release` or by the end of the process. Ours already: nothing to do.

    The kernel drops it with the process, so a killed run leaves no stale lock; the file itself stays and says who
    held it last.
    """

    def __init__(self, files: Files, command: t.Optional[str] = None, path: str = PATH) -> None:
        self._node_path = path
        self._path = files.path(path)
        self._command = command or _own_command()

    @property
    def held(self) -> bool:
        return self._path in _held

    def acquire(self, timeout: float) -> float:
        """Seconds waited. Raises LockTimeoutError naming the holder after `timeout` seconds, NotRootError where the
        file cannot be opened."""
        if self.held:
            return 0.0
        descriptor = self._open()
        start = time.monotonic()
        try:
            while not _try(descriptor):
                waited = time.monotonic() - start
                if waited >= timeout:
                    raise self._refusal(descriptor, timeout)
                time.sleep(min(_PAUSE, timeout - waited))
        except BaseException:
            os.close(descriptor)
            raise
        self._sign(descriptor)
        _held[self._path] = descriptor
        return time.monotonic() - start

    def release(self) -> None:
        descriptor = _held.pop(self._path, None)
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError as error:
            problem = f"{self._node_path} cannot be opened as user id {os.geteuid()}"
            message = f"{problem}; GPUs are changed as root: set become: true"
            raise NotRootError(message, path=self._node_path) from error

    def _sign(self, descriptor: int) -> None:
        since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = json.dumps({"pid": os.getpid(), "command": self._command, "since": since})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode("utf-8"), 0)

    def _refusal(self, descriptor: int, timeout: float) -> LockTimeoutError:
        holder: t.Dict[str, t.Any] = {}
        # The holder may be about to write its name.
        with contextlib.suppress(ValueError, OSError):
            holder = json.loads(os.pread(descriptor, 4096, 0).decode("utf-8", "replace"))
        who = "PID {pid} ({command}) since {since}".format(**holder) if holder else "a process that gave no name"
        return LockTimeoutError(
            f"the node's lock {self._node_path} is held by {who}; waited lock_timeout={timeout:g} s; "
            "wait for that run to end, or allow a longer lock_timeout",
            path=self._node_path,
            **{key: holder.get(key) for key in ("pid", "command", "since")},
        )


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own_command() -> str:
    return " ".join(os.path.basename(word) for word in sys.argv[:1]) or "python"


def _forget_in_child() -> None:
    # A child that outlives us (an NVML session in D state) must not keep the node locked: flock belongs to the open
    # file, which fork shares.
    for descriptor in _held.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
