# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Value objects of draining: what is wished, how a scheduler sees the node, whose reason it shows. PRIVATE."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

# What a reason of ours begins with; the run's id follows, so that nobody else's is taken for it (rule 11).
MARK = "accel.gpu"
RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OURS = re.compile(rf"^{re.escape(MARK)} ({RUN.pattern})(?::|$)")


@dataclass(frozen=True)
class Wish:
    """The options of gpu_drain. `adopt`: a drain of an earlier run counts as ours."""

    state: str  # drained | undrained
    provider: str  # slurm | command
    node: str
    run: str
    note: str
    adopt: bool = False
    timeout: float = 0
    poll: float = 10
    keep: bool = False  # leave the drain where the time is over
    command: t.Tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return reason(self.run, self.note)


class Situation(t.NamedTuple):
    """How the scheduler sees the node. `closed`: it gets no new work. `reason` is why, as somebody wrote it.

    `unusable` is a state that is neither service nor drain, such as DOWN. `working` says who still works, one a line.
    """

    closed: bool
    reason: str = ""
    unusable: str = ""
    working: t.Tuple[str, ...] = ()

    @property
    def drained(self) -> bool:
        return self.closed and not self.working


def reason(run: str, note: str) -> str:
    """What is written into the scheduler."""
    return f"{MARK} {run}: {note}"


def run_of(text: str) -> t.Optional[str]:
    """The run that wrote this reason; None where it is not one of ours."""
    match = _OURS.match(text)
    return match.group(1) if match else None


def is_ours(text: str, run: str, adopt: bool) -> bool:
    found = run_of(text)
    return found is not None and (adopt or found == run)
