# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a node's drain. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._diff import Tracker
from .._errors import AccelError
from .model import Situation, Wish, adopted, is_ours, note_of

DRAIN, WAIT, LIFT, LEAVE = "drain", "wait", "lift", "leave"


@dataclass(frozen=True)
class Plan:
    """`step` is drain (write our reason, then wait), wait, lift or leave. `foreign`: why somebody else took it out."""

    wish: Wish
    before: Situation
    step: str
    foreign: t.Optional[str] = None
    tracker: Tracker = field(default_factory=Tracker)

    @property
    def changed(self) -> bool:
        return self.tracker.changed

    @property
    def diff(self) -> t.Mapping[str, t.Any]:
        return self.tracker.diff

    @property
    def actions(self) -> t.Sequence[t.Any]:
        return self.tracker.actions

    @property
    def refusal(self) -> t.Optional[AccelError]:
        """A node that somebody else drained is an answer, not an error: the caller skips it."""
        return None

    def result(self) -> t.Dict[str, t.Any]:
        told = answer(self.wish, self.before, self.foreign, waited=0.0, timed_out=False)
        return {**told, **earlier(self.wish, self.before)}


def foreign(wish: Wish, now: Situation) -> t.Optional[str]:
    """Why the node is out of service if not because of us, else None."""
    if not now.closed and not now.unusable:
        return None
    if is_ours(now.reason, wish):
        return None
    state = now.unusable or "drained"
    return f"{state}: {now.reason}" if now.reason else f"{state}, without a reason"


def plan(wish: Wish, now: Situation) -> Plan:
    tracker = Tracker()
    other = foreign(wish, now)
    if other is not None:
        tracker.act("left_alone", wish.node, f"somebody else took it out of service ({other})")
        return Plan(wish, now, LEAVE, other, tracker)
    return _drained(wish, now, tracker) if wish.state == "drained" else _undrained(wish, now, tracker)


def _drained(wish: Wish, now: Situation, tracker: Tracker) -> Plan:
    left = f", {len(now.working)} at work" if now.working else ""
    if now.closed and now.reason == wish.reason:
        if now.drained:
            tracker.keep(wish.node, f"it is drained already ({now.reason})")
            return Plan(wish, now, LEAVE, None, tracker)
        tracker.change("state", _state(now), "drained", action="wait", object=wish.node, reason=f"it is draining{left}")
        return Plan(wish, now, WAIT, None, tracker)
    other = adopted(wish, now) or wish.run
    why = f"run {other} drained it{left}" if now.closed else f"it is in service{left}"
    tracker.change("reason", now.reason, wish.reason, action="drain", object=wish.node, reason=why)
    if not now.drained:
        tracker.change("state", _state(now), "drained", action="wait", object=wish.node, reason="its work ends first")
    return Plan(wish, now, DRAIN, None, tracker)


def _undrained(wish: Wish, now: Situation, tracker: Tracker) -> Plan:
    if not now.closed and not now.unusable:
        tracker.keep(wish.node, "it is in service")
        return Plan(wish, now, LEAVE, None, tracker)
    tracker.change("state", _state(now), "in service", action="undrain", object=wish.node, reason=now.reason)
    return Plan(wish, now, LIFT, None, tracker)


def _state(now: Situation) -> str:
    if now.unusable:
        return now.unusable
    if not now.closed:
        return "in service"
    return "draining" if now.working else "drained"


def earlier(wish: Wish, before: Situation) -> t.Dict[str, t.Any]:
    """The keys of the result that tell whose drain is taken over, from how the node stood before anything was done."""
    run = adopted(wish, before)
    return {"adopted": run, "adopted_note": None if run is None else note_of(before.reason)}


def answer(wish: Wish, now: Situation, other: t.Optional[str], waited: float, timed_out: bool) -> t.Dict[str, t.Any]:
    """The keys of the result that tell how the node stands."""
    ours = other is None and now.closed and is_ours(now.reason, wish)
    return {
        "drained": now.drained,
        "drained_by_us": ours,
        "foreign": other,
        "working": list(now.working),
        "reason": now.reason,
        "waited": round(waited, 1),
        "timed_out": timed_out,
    }
