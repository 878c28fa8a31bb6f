# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole plan of a run: the decision on the wish, and before it what an interrupted run left. Pure. PRIVATE."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from ..._errors import AccelError, BindingWantedError
from ..model import Change, Node, State, Wish, flavour
from ..record import Journal, Recorded
from ..steps import ChangePackages, RefreshIndex, ReloadModules, Step
from . import back_plan, plan_guard, plan_modules, remainder
from .back import Now
from .geometry import Kept
from .plan import Plan
from .plan import decide as decide_wish
from .plan_draft import MODULES, RELOAD

# Keys of the result that a fresh look after the change tells anew.
OWED = (
    "driver",
    "branch",
    "flavour",
    "packages",
    "upgrade_pending",
    "reload_required",
    "reboot_required",
    "reboot_pending",
    "reboot_hindered",
    "reboot_hindered_by_work",
    "daemon_reload_required",
    "enrolment_required",
    "fabric_deferred",
    "boot_without_driver",
    "warnings",
)


class Asked(t.NamedTuple):
    """`lean`: the module was called without pynvml."""

    wish: Wish
    lean: bool = False


class Others(t.NamedTuple):
    """`work` are jobs, pods, containers and virtual machines that need no GPU, `sessions` other people's logins, as a
    sentence each."""

    work: t.Tuple[str, ...] = ()
    sessions: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What was read. `journal` is that of an interrupted run, `recorded` and `now` are the way back where it is wished,
    `error` is why repositories gave no answer, `others` whom a reboot would hurt beside those who work on GPUs,
    `layouts` MIG layouts that a reload, of this run or of an earlier one, takes away and that come back. `unsettled` is
    why packages that an interrupted run left half-way have to stay so for now. `unset` are sentences for settings and
    device files that an earlier run lost."""

    state: State
    journal: t.Optional[Journal] = None
    recorded: t.Optional[Recorded] = None
    now: t.Optional[Now] = None
    error: t.Optional[AccelError] = None
    others: Others = Others()
    layouts: t.Tuple[Kept, ...] = ()
    unsettled: str = ""
    unset: t.Tuple[str, ...] = ()


RESTORE = "restore_geometry"


@dataclass(frozen=True)
class Planned:
    asked: Asked
    seen: Seen
    decided: Plan

    @property
    def wish(self) -> Wish:
        return self.asked.wish

    @property
    def steps(self) -> t.Tuple[Step, ...]:
        return self.decided.steps

    @property
    def transaction(self) -> t.Tuple[Change, ...]:
        """What the change of packages does, where the plan has one."""
        changes = [step for step in self.steps if isinstance(step, ChangePackages) and not step.download]
        return tuple(self.seen.state.changes or ()) if changes else ()

    @property
    def state_after(self) -> t.Optional[t.Mapping[str, t.Any]]:
        if self.wish.state == "restored":
            return self.seen.recorded.state if self.seen.recorded else None
        return None if self.wish.download_only else self.decided.record

    @property
    def refusal(self) -> t.Optional[AccelError]:
        found = self.seen.error or self.decided.refusal
        if found is None and self.wish.download_only:
            # What would be refused on the drained node is refused while it still serves.
            found = remainder.remainder(self.wish, self.seen.state).refusal
        return found

    @property
    def changed(self) -> bool:
        return self.decided.changed or self.resumes or bool(self.seen.layouts)

    @property
    def resumes(self) -> bool:
        """An interrupted run is finished or undone by this one."""
        journal = self.seen.journal
        return journal is not None and not leaves(self.wish, journal) and not self.seen.unsettled

    @property
    def acts(self) -> bool:
        """Something is to be done, even if it is no change of the node (files in a cache)."""
        return self.changed or bool(self.steps) or self.wish.keep_geometry

    @property
    def diff(self) -> t.Mapping[str, t.Any]:
        return self.decided.diff

    @property
    def actions(self) -> t.List[t.Mapping[str, t.Any]]:
        journal = self.seen.journal
        back = [
            {"action": RESTORE, "object": one.uuid, "reason": f"loading the modules takes it away: {one}"}
            for one in self.seen.layouts
        ]
        if journal is None or not self.resumes:
            return [*self.decided.actions, *back]
        reason = f"a run of {journal.since} was interrupted before it was done"
        first = {"action": "finish_interrupted", "object": "journal", "reason": reason}
        return [first, *self.decided.actions, *back]

    def without(self, why: str, all_: bool) -> t.Dict[str, t.Any]:
        """What a run made of the plan in which the modules stayed as they were, or, with `all_`, everything did."""
        if all_:
            actions = [{"action": "keep", "object": "driver", "reason": why}]
            return {"changed": False, "diff": {"before": {}, "after": {}}, "actions": actions}
        left = [step for step in self.steps if not isinstance(step, (ReloadModules, RefreshIndex))]
        keep = {"action": "keep", "object": "kernel modules", "reason": why}
        return {
            "changed": bool(left) or self.resumes,
            "diff": {
                side: {key: value for key, value in what.items() if key != MODULES} for side, what in self.diff.items()
            },
            "actions": [
                keep if action["action"] == RELOAD else action for action in self.actions if action["action"] != RESTORE
            ],
        }

    def result(self) -> t.Dict[str, t.Any]:
        found = {
            key: value for key, value in self.decided.result().items() if key not in ("changed", "diff", "actions")
        }
        seen = self.seen
        found["not_restored"] = list(seen.unset)
        owes = bool(found["reboot_required"])
        found["reboot_hindered"] = hindrances(seen.state.node, seen.others) if owes else []
        found["reboot_hindered_by_work"] = work(seen.state.node, seen.others) if owes else []
        if self.wish.state == "restored":
            found["restored"] = bool(self.decided.facts.get("restored"))
        if self.wish.download_only:
            changes = self.seen.state.changes or ()
            found["downloaded"] = {one.name: one.after for one in changes if one.after is not None}
            rest = remainder.remainder(self.wish, self.seen.state)
            found["drain_required"] = remainder.reasons(rest)
            found["boot_without_driver"] = list(rest.owed.boot)
        return found


def decide(asked: Asked, seen: Seen) -> Planned:
    if asked.wish.state == "restored":
        journal = seen.journal if seen.journal is not None and leaves(asked.wish, seen.journal) else None
        decided = back_plan.decide(asked.wish, seen.state, seen.recorded, seen.now, journal)
    else:
        decided = decide_wish(asked.wish, seen.state)
    still = seen.unsettled and seen.journal is not None and not leaves(asked.wish, seen.journal)
    return Planned(asked, seen, _still(decided, seen) if still else decided)


def _still(decided: Plan, seen: Seen) -> Plan:
    """The plan while an interrupted run can be neither finished nor taken back: nothing is done, all is owed."""
    since = seen.journal.since if seen.journal else ""
    why = f"a run of {since} died while it changed packages, and that is neither finished nor undone: {seen.unsettled}"
    owed = dataclasses.replace(
        decided.owed,
        reload=(*decided.owed.reload, why),
        daemon_reload=decided.owed.daemon_reload or seen.state.node.daemon_reload_risk,
    )
    action = {"action": "keep", "object": "driver packages", "reason": why}
    none: t.Mapping[str, t.Mapping[str, t.Any]] = {"before": {}, "after": {}}
    return dataclasses.replace(decided, steps=(), owed=owed, changed=False, diff=none, actions=(action,), record=None)


def leaves(wish: Wish, journal: Journal) -> bool:
    """Whether an interrupted run is none of this wish's business: a download changes nothing on the node, and a way
    back that is wished for certain runs ends at what another one left half-way."""
    if wish.state == "restored":
        return wish.restore_runs is not None and journal.before.run not in wish.restore_runs
    return wish.download_only


def hindrances(node: Node, others: Others) -> t.List[str]:
    """Why a reboot now would hurt somebody (rule 8)."""
    return [*work(node, others), *others.sessions]


def work(node: Node, others: Others) -> t.List[str]:
    """What a reboot would end, also on a drained node, where nobody's login counts. Who works on a GPU is told with it,
    and once. A module that stayed for a reason that nobody sees is none: a reboot alone helps there."""
    on_gpus = [
        *(f"{one.gpu} is used by {one.who}" for one in node.busy),
        *(f"{one} holds GPUs open" for one in plan_modules.strangers(node)),
    ]
    beside = [one for one in others.work if not any(one in told for told in on_gpus)]
    return [*on_gpus, *(f"{one} is on this node" for one in beside)]


def bare(node: Node) -> State:
    return State(node)


def flavour_of(node: Node) -> t.Optional[str]:
    return None if node.loaded is None else flavour(node.loaded.open)


def own_holds(node: Node) -> t.Set[str]:
    return plan_guard.own_holds(node) & node.holds


def want_binding() -> t.NoReturn:
    raise BindingWantedError(
        "after this change the GPUs are asked whether they answer, and pynvml may not be here; the action plugin "
        "of this module brings it where nvidia-ml-py is installed on the control node"
    )
