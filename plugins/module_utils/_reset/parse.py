# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From options to the wish of a reset. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import WishError
from .._select import GPU_KINDS, parse_selector
from .._shape import number, shown
from .model import Wish

WHEN_BUSY = ("refuse", "defer")
_LONGEST = 86400


def parse(params: t.Mapping[str, t.Any]) -> Wish:
    """The options as a wish; those that are not given have the module's defaults. Raises WishError."""
    if params.get("gpus") is None:
        remedy = "name the GPUs that are to be reset, such as {pci: 0000:3b:00.0}, or give all"
        raise WishError(f"gpus: nothing is given; {remedy}", address="gpus")
    when_busy = params.get("when_busy") or "refuse"
    if when_busy not in WHEN_BUSY:
        raise WishError(f"when_busy: {shown(when_busy)} is unknown; allowed is {', '.join(WHEN_BUSY)}")
    return Wish(
        parse_selector(params["gpus"], "gpus", params.get("except"), GPU_KINDS),
        when_busy=when_busy,
        allow_reset_allocated=bool(params.get("allow_reset_allocated")),
        takeover=bool(params.get("takeover")),
        lock_timeout=_lock_timeout(params.get("lock_timeout")),
    )


def _lock_timeout(value: t.Any) -> float:
    if value is None:
        return 300.0
    if value == 0 and not isinstance(value, bool):
        return 0.0
    seconds = number(value, "lock_timeout", f"a number from 0 to {_LONGEST}")
    if seconds > _LONGEST:
        raise WishError(f"lock_timeout: {shown(value)} is out of range; allowed is 0 to {_LONGEST}")
    return seconds
