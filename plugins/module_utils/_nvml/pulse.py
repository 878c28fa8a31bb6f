# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The heartbeat of a session: which NVML call runs since when. PRIVATE to the collection.

A page of memory that parent and child share. The child writes before each call, the parent reads only when an answer
is late, so a call costs no system call.
"""

from __future__ import annotations

import mmap
import struct
import time
import typing as t

_HEAD = struct.Struct("=dH")
_SIZE = 4096


class Beat(t.NamedTuple):
    """`started` is CLOCK_MONOTONIC, the same clock in both processes. `gpu_index` is None between GPUs."""

    started: float
    call: str
    gpu: str
    gpu_index: t.Optional[int]

    def __str__(self) -> str:
        return f"{self.call} on GPU {self.gpu}" if self.gpu else self.call


class Pulse:
    """One writer (the child), one reader (the parent)."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _SIZE)

    def beat(self, call: str, gpu: str = "", index: t.Optional[int] = None) -> None:
        """Say what runs from now on."""
        text = f"{call}\n{gpu}\n{'' if index is None else index}".encode()[: _SIZE - _HEAD.size]
        self._page[_HEAD.size : _HEAD.size + len(text)] = text
        self._page[: _HEAD.size] = _HEAD.pack(time.monotonic(), len(text))

    def read(self) -> Beat:
        """What the child said last."""
        started, length = _HEAD.unpack(self._page[: _HEAD.size])
        text = self._page[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")
        call, gpu, index = (text.split("\n") + ["", "", ""])[:3]
        return Beat(started, call, gpu, int(index) if index.isdigit() else None)

    def close(self) -> None:
        self._page.close()
