# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for the NVLink fabric after GPUs were reset or their driver was loaded. PRIVATE to the collection.

Fabric manager registers a GPU some time after the GPU answers; CUDA fails on it until then (live_node rule 6).
"""

from __future__ import annotations

import time
import typing as t

from .._data.holders import FABRIC_SECONDS
from .._nvml.objects import Gpu, Snapshot
from .objects import fabric_state

if t.TYPE_CHECKING:
    from .._nvml.session import NvmlSession

SUBSETS = ("identity", "health")
_PAUSE = 2.0  # seconds between two looks


def wait(
    session: NvmlSession, meant: t.Collection[str], subsets: t.Sequence[str] = SUBSETS
) -> t.Tuple[Snapshot, t.Tuple[Gpu, ...]]:
    """A snapshot with `subsets` (health among them), and those of the GPUs `meant` (UUIDs) that the fabric did not take
    up in time."""
    end = time.monotonic() + FABRIC_SECONDS
    while True:
        seen = session.snapshot(subsets)
        late = tuple(gpu for gpu in seen.gpus if gpu.uuid in meant and fabric_state(gpu) not in (None, "completed"))
        if not late or time.monotonic() >= end:
            return seen, late
        session.release()  # in nobody's way meanwhile
        time.sleep(_PAUSE)
