# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Value objects of draining: what is wished, how a scheduler sees the node, whose reason it shows. PRIVATE."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

# What a reason of ours begins with. The purpose, where there is one, and the run's id follow, so that nobody else's is
# taken for it (rule 11): neither that of a person who drains with gpu_drain, nor that of another playbook.
MARK = "accel.gpu"
RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REASON = re.compile(rf"^{re.escape(MARK)} (?:({RUN.pattern}) )?({RUN.pattern})(?::|$)")


@dataclass(frozen=True)
class Wish:
    """The options of gpu_drain. `adopt`: a drain of any earlier run with the same `purpose` counts as ours.

    `adopt_run`: and so does that of this one.
    """

    state: str  # drained | undrained
    provider: str  # slurm | command
    node: str
    run: str
    note: str
    purpose: str = ""
    adopt: bool = False
    timeout: float = 0
    poll: float = 10
    keep: bool = False  # leave the drain where the time is over
    command: t.Tuple[str, ...] = ()
    adopt_run: str = ""

    @property
    def reason(self) -> str:
        """What is written into the scheduler."""
        return f"{MARK} {self.purpose} {self.run}: {self.note}" if self.purpose else f"{MARK} {self.run}: {self.note}"

    def alone(self, run: t.Optional[str] = None) -> Wish:
        """The same, where nothing but the drain of this run is ours, or of the one that is given."""
        return replace(self, run=run or self.run, adopt=False, adopt_run="")


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


def run_of(text: str, purpose: str) -> t.Optional[str]:
    """The run with this purpose that wrote the reason; None where somebody else did."""
    match = _REASON.match(text)
    return match.group(2) if match and (match.group(1) or "") == purpose else None


def is_ours(text: str, wish: Wish) -> bool:
    found = run_of(text, wish.purpose)
    return found is not None and (wish.adopt or found in (wish.run, wish.adopt_run))


def adopted(wish: Wish, now: Situation) -> t.Optional[str]:
    """The earlier run whose drain counts as ours."""
    found = run_of(now.reason, wish.purpose) if now.closed and is_ours(now.reason, wish) else None
    return None if found == wish.run else found


def note_of(text: str) -> str:
    """What stands behind the run in a reason of ours."""
    return text.partition(": ")[2]
