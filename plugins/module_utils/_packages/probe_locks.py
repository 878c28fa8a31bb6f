# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a lock of a package manager. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import fcntl
import struct
import typing as t

from .._files import Files

# struct flock of 64-bit Linux: type, whence, start, length, pid
_FLOCK = "hhqqi4x"


class Holder(t.NamedTuple):
    path: str
    pid: int
    program: str

    def __str__(self) -> str:
        return f"PID {self.pid} ({self.program})"


def holder(files: Files, path: str) -> t.Optional[Holder]:
    """The process that has a POSIX lock on `path`; None if nobody has, or the file is not there."""
    try:
        with open(files.path(path), "rb") as handle:
            question = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)
            kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, question))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else Holder(path, pid, program(files, pid))


def from_pid_file(files: Files, path: str) -> t.Optional[Holder]:
    """The process that `path` names, if it still runs."""
    words = (files.read_text(path) or "").split()
    if not words or not words[0].isdigit() or not files.exists(f"/proc/{words[0]}"):
        return None
    return Holder(path, int(words[0]), program(files, int(words[0])))


def program(files: Files, pid: int) -> str:
    return (files.read_text(f"/proc/{pid}/comm") or "").strip() or "already gone"
