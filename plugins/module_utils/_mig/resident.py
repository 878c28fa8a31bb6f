# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The MIG resident: the core of module mig_geometry and of the node agent. PRIVATE to the collection.

parse (options to wish) -> read (one snapshot) -> plan (pure) -> apply (verified, or the old layout again).
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from dataclasses import dataclass

from .. import _wishes
from .._errors import WishError
from .._expected import parse_exceptions, parse_expected
from .._lock import Lock
from .._ports import Ports
from .._shape import bounded, shown
from . import apply as applying
from . import journal, live, probe, probe_restarts, restarts
from .apply_back import Change, Replan
from .decide import WISH_FILE, Plan, State, Wish, decide, replan
from .model import MigPlan, NodeWish, Options
from .parse import parse as parse_node

_FORMS = ("geometry", "geometry_group", "geometry_host", "mig_parted", "mig_parted_label")
# What the node agent needs to bring the geometry back; all else belongs to one run.
_LASTING = (*_FORMS, "mig_apply", "when_busy", "allow_destroy_allocated", "takeover", "headroom_percent")
_CHOICES = {"state": ("present", "absent"), "mig_apply": ("now", "next_boot"), "when_busy": ("refuse", "defer")}


@dataclass(frozen=True)
class Outcome:
    """What was done; `result` is laid over the plan's."""

    done: t.Optional[applying.Done]
    restarts: t.Sequence[str] = ()

    def result(self) -> t.Dict[str, t.Any]:
        if self.done is None:
            return {}
        return {
            "gpus": [live.summary(gpu) for gpu in self.done.snapshot.gpus],
            "uuid_map": [dict(row) for row in self.done.uuid_map],
            "settings_reapplied": list(self.done.reapplied),
            "warnings": list(self.done.lost),
            "restart_required": list(self.restarts),
            **self.done.owed.result(),
        }


def parse(params: t.Mapping[str, t.Any]) -> Wish:
    """The options as a wish; those that are not given have the module's defaults. Raises WishError."""
    for name, allowed in _CHOICES.items():
        if params.get(name) not in (None, *allowed):
            raise WishError(f"{name}: {shown(params[name])} is unknown; allowed is {', '.join(allowed)}")
    prefix = str(params.get("address_prefix") or "")
    absent = params.get("state") == "absent"
    node = _off(prefix) if absent else parse_node(**{name: params.get(name) for name in _FORMS}, prefix=prefix)
    options = Options(
        when_busy=params.get("when_busy") or "refuse",
        allow_destroy_allocated=bool(params.get("allow_destroy_allocated")),
        apply=params.get("mig_apply") or "now",
        headroom_percent=bounded(params.get("headroom_percent"), f"{prefix}headroom_percent", 0, 100),
        today=datetime.date.today(),
    )
    # Suboptions that were not given are None.
    expected = {key: value for key, value in (params.get("expected") or {}).items() if value is not None}
    return Wish(
        node,
        options,
        takeover=bool(params.get("takeover")),
        lock_timeout=bounded(params.get("lock_timeout"), f"{prefix}lock_timeout", 300, 86400),
        expected=parse_expected(expected, f"{prefix}expected") if expected else None,
        faults=parse_exceptions(params.get("exceptions"), f"{prefix}exceptions"),
        document=_document(params, absent) if params.get("persist") else None,
        removes=absent and bool(params.get("persist")),
        notify=restarts.parse(params.get("notify"), f"{prefix}notify"),
    )


def _off(prefix: str) -> NodeWish:
    """MIG off on every GPU, whatever the lists say."""
    off = parse_node([{"gpus": "all", "mig": False}])
    return dataclasses.replace(
        off, gpus=tuple(dataclasses.replace(item, address=f"{prefix}state: absent") for item in off.gpus)
    )


def _document(params: t.Mapping[str, t.Any], absent: bool) -> t.Dict[str, t.Any]:
    names = [name for name in _LASTING if not (absent and name in _FORMS)]
    state = {"state": "absent"} if absent else {}
    return _wishes.document({**{name: params.get(name) for name in names}, **state})


def read(wish: Wish, ports: Ports) -> State:
    """One snapshot, and under the node's lock whatever the plan needs to know. See `probe.read`."""
    return probe.read(wish, ports)


def plan(wish: Wish, state: State) -> Plan:
    """The plan; wrong wishes, busy and blocked GPUs are its `refusal`."""
    return decide(wish, state)


def before_refusal(plan: Plan, ports: Ports) -> t.Dict[str, t.Any]:
    """Settles an interrupted run although the new wish is refused. To be called before the refusal is raised; the
    answer is laid over the result: whether GPUs were changed, and what became of their settings."""
    if not ((plan.settles or plan.back) and plan.state.root and not ports.check):
        return {}
    done = _change(plan, MigPlan(), ports, lambda seen: MigPlan())
    told: t.Dict[str, t.Any] = {"changed": bool(plan.back)}
    if done is not None:
        told.update(settings_reapplied=list(done.reapplied), warnings=list(done.lost))
    return told


def apply(plan: Plan, ports: Ports) -> Outcome:
    """Makes it so. Raises an AccelError whose facts tell `step`, `restored`, `cause` and `uuid_map`."""
    done = None
    if plan.touches:
        done = _change(plan, plan.mig, ports, lambda seen: replan(plan.wish, plan.state, seen))
    if plan.write_wish:
        _wishes.write(ports.files, WISH_FILE, plan.wish.document)
    elif plan.wish.removes:
        _wishes.remove(ports.files, WISH_FILE)
        _wishes.prune(ports.files, journal.PATH)
    return Outcome(done, restarts.required(probe_restarts.probe(ports, plan.wish.notify)) if done else ())


def release(ports: Ports) -> None:
    """Gives the node's lock back before the process ends."""
    Lock(ports.files).release()


def _change(plan: Plan, mig: MigPlan, ports: Ports, again: Replan) -> t.Optional[applying.Done]:
    snapshot = plan.state.snapshot
    if snapshot is None:
        return None
    stop = tuple(holder.unit for holder in plan.state.holders.known if holder.unit)
    change = Change(mig, snapshot, again, back=plan.back, earlier=plan.record, stop=stop)
    return applying.apply(change, ports)
