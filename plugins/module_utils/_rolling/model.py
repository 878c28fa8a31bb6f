# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Value objects of a rolling change. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

SCHEDULERS = ("none", "slurm", "kubernetes", "command")
REBOOTS = ("never", "if_needed")
# Whether a setting or device file that a reload took for good fails the node, or is told.
NOT_RESTORED = ("fail", "tell")

# How a host came out of the run. `going` is a host in work, `waiting` one that the run has not reached.
DONE, ALREADY, PLANNED = "done", "already", "planned"
FOREIGN, TIMED_OUT, BUSY, NOT_STARTED = "foreign_drain", "drain_timeout", "busy", "not_started"
RESTORED, FAILED, LOST = "failed_restored", "failed", "unreachable"
GOING, WAITING = "going", "waiting"
# These count against max_failures. A host that the run lost in the middle of its work is one of them.
FAILURES = frozenset((RESTORED, FAILED, LOST, GOING))
# These were passed over and still owe their upgrade.
OWING = frozenset((FOREIGN, TIMED_OUT, BUSY, NOT_STARTED))


class Size(t.NamedTuple):
    """Of a batch: a number of hosts, or a share of all in percent."""

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """As Ansible counts: rounded down, but at least one."""
        return max(1, self.number * total // 100) if self.percent else self.number


@dataclass(frozen=True)
class Rolling:
    """The variable gpu_driver_upgrade. `not_restored`: what becomes of a node that lost something by the reload."""

    serial: t.Tuple[Size, ...] = (Size(1), Size(5, True), Size(20, True))
    max_failures: int = 0
    max_per_domain: int = 1
    drain_timeout: float = 86400
    drain_poll: float = 10
    verify_timeout: float = 300
    not_restored: str = "fail"


class Host(t.NamedTuple):
    """What the run must know of one host. `domain` is None where it shares nothing with another one."""

    name: str
    rolling: Rolling
    domain: t.Optional[str]
