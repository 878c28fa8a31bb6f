# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings a generation of GPUs offers where the live GPU cannot be asked. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

# Architectures without locked clocks. NVML reads no locked clock back, so only a write would tell. Source: nvml.h, the
# words "For Volta or newer" at nvmlDeviceSetGpuLockedClocks and "For Ampere or newer" at
# nvmlDeviceSetMemoryLockedClocks.
_BEFORE_VOLTA = ("kepler", "maxwell", "pascal")
WITHOUT: t.Dict[str, t.Tuple[str, ...]] = {
    "locked_clocks": _BEFORE_VOLTA,
    "locked_memory_clocks": (*_BEFORE_VOLTA, "volta", "turing"),
}
