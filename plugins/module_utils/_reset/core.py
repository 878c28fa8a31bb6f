# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core of module gpu_reset: parse, read, plan, apply. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._lock import Lock
from .._ports import Ports
from . import apply as applying
from .apply import apply
from .model import Plan
from .parse import parse
from .plan import plan
from .probe import read

__all__ = ["apply", "before_refusal", "parse", "plan", "read", "release"]


def before_refusal(plan: Plan, ports: Ports) -> t.Dict[str, t.Any]:
    """Settles an interrupted run although this wish is refused; the answer is laid over the result."""
    if not plan.state.root or ports.check:
        return {}
    return applying.settle(plan, ports) or {}


def release(ports: Ports) -> None:
    """Gives the node's lock back before the process ends."""
    Lock(ports.files).release()
