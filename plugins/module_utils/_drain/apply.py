# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drain, wait, take back. PRIVATE to the collection.

Before anything is taken back the scheduler is asked again: a reason that somebody wrote in the meantime stays, and so
does one that another run wrote, because that run has taken the drain over. Drains of other runs are ours only until our
reason stands there. A drain that was taken over from an earlier run is not lifted where work does not end: it gets back
the reason that it had.

A scheduler that restarts does not end a drain of days: whatever it does not answer is asked again.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass

from .._errors import BlockedError
from .._ports import Ports
from . import probe, slurm
from .model import Situation, Wish, adopted
from .plan import DRAIN, LIFT, Plan, answer, earlier, foreign
from .probe import SilentError, ask

# Seconds for a scheduler that does not answer to start again.
PATIENCE = 60.0
T = t.TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """`judged` says whose drain is ours by now."""

    wish: Wish
    judged: Wish
    before: Situation
    now: Situation
    waited: float = 0.0
    timed_out: bool = False

    def result(self) -> t.Dict[str, t.Any]:
        other = foreign(self.judged, self.now)
        told = answer(self.judged, self.now, other, self.waited, self.timed_out)
        told.update(earlier(self.wish, self.before))
        # A drain that was taken back leaves nothing changed.
        changed = (self.before.closed, self.before.reason) != (self.now.closed, self.now.reason)
        return {**told, "changed": changed or (self.before.drained != self.now.drained)}


def read(wish: Wish, ports: Ports) -> Situation:
    """How the scheduler sees the node. Raises BlockedError where it does not know it or does not answer."""
    return _patiently(wish, ports, 0, lambda: probe.read(wish, ports))


def apply(plan: Plan, ports: Ports) -> Outcome:
    """Raises BlockedError where the scheduler refuses."""
    wish = plan.wish
    if plan.step == LIFT:
        return Outcome(wish, wish, plan.before, _patiently(wish, ports, 0, lambda: _lift(wish, ports)))
    mine = wish.alone()
    began = time.monotonic()
    try:
        if plan.step == DRAIN:
            _patiently(wish, ports, 0, lambda: _drain(wish, wish.reason, ports))
        now = _wait(mine, ports, began + wish.timeout)
    except BaseException:
        # No node stays out of service for a change that does not come.
        if not wish.keep:
            with contextlib.suppress(BlockedError):
                _patiently(wish, ports, 0, lambda: _take_back(plan, ports))
        raise
    waited = time.monotonic() - began
    timed_out = not now.drained and foreign(mine, now) is None
    if timed_out and not wish.keep:
        now = _patiently(wish, ports, 0, lambda: _take_back(plan, ports))
        mine = wish.alone(adopted(wish, plan.before))
    return Outcome(wish, mine, plan.before, now, waited, timed_out)


def _patiently(wish: Wish, ports: Ports, seconds: float, call: t.Callable[[], T]) -> T:
    """What `call` answers. While the scheduler does not answer it is called again, for `seconds` and PATIENCE more."""
    deadline = time.monotonic() + seconds + PATIENCE
    while True:
        try:
            return call()
        except SilentError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            ports.log(f"{wish.node}: {error.message}")
        time.sleep(min(wish.poll, left))


def _wait(wish: Wish, ports: Ports, deadline: float) -> Situation:
    """Until nobody works any more, somebody else took the node, or the time is over."""
    while True:
        now = _patiently(wish, ports, max(0.0, deadline - time.monotonic()), lambda: probe.read(wish, ports))
        if now.drained or foreign(wish, now) is not None:
            return now
        left = deadline - time.monotonic()
        if left <= 0:
            return now
        ports.log(f"{wish.node}: {len(now.working)} at work: {', '.join(now.working)}")
        time.sleep(min(wish.poll, left))


def _drain(wish: Wish, reason: str, ports: Ports) -> None:
    if wish.provider == "slurm":
        ask(ports, slurm.drain(wish.node, reason))
    else:
        ask(ports, [*wish.command, "drain", wish.node, reason])


def _take_back(plan: Plan, ports: Ports) -> Situation:
    """As the node was before: in service, or drained by an earlier run for its reason."""
    mine = plan.wish.alone()
    if adopted(plan.wish, plan.before) is None:
        return _lift(mine, ports)
    now = probe.read(mine, ports)
    if foreign(mine, now) is not None or not now.closed:
        return now
    _drain(mine, plan.before.reason, ports)
    return probe.read(mine, ports)


def _lift(wish: Wish, ports: Ports) -> Situation:
    now = probe.read(wish, ports)
    if foreign(wish, now) is not None or not (now.closed or now.unusable):
        return now
    if wish.provider == "slurm":
        ask(ports, slurm.resume(wish.node))
    else:
        ask(ports, [*wish.command, "undrain", wish.node])
    return probe.read(wish, ports)
