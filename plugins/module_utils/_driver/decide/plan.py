# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision about a node's driver: steps, what stays owed, warnings, or a refusal. Pure. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._diff import Tracker
from ..._errors import AccelError
from ..model import State, Wish
from ..steps import Owed, Step
from . import plan_absent, plan_guard, plan_present
from .plan_draft import Draft


@dataclass(frozen=True)
class Plan:
    """`record` is what is written down when the steps are done, so that `absent` knows what is ours (None: nothing is
    written, {}: the record goes). `facts` tell what was decided: branch, version, flavour, repository."""

    wish: Wish
    state: State
    steps: t.Tuple[Step, ...] = ()
    owed: Owed = field(default_factory=Owed)
    warnings: t.Tuple[str, ...] = ()
    refusal: t.Optional[AccelError] = None
    changed: bool = False
    diff: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=lambda: {"before": {}, "after": {}})
    actions: t.Tuple[t.Mapping[str, t.Any], ...] = ()
    record: t.Optional[t.Mapping[str, t.Any]] = None
    facts: t.Mapping[str, t.Any] = field(default_factory=dict)

    def result(self) -> t.Dict[str, t.Any]:
        """The keys of the module's result; what is owed is there until it is gone."""
        node, owed = self.state.node, self.owed
        return {
            "changed": self.changed,
            "diff": self.diff,
            "actions": list(self.actions),
            "driver": {
                "installed": self.facts.get("installed"),
                "loaded": node.loaded.version if node.loaded else None,
                "library": node.library,
                "wanted": self.facts.get("version"),
            },
            "branch": self.facts.get("branch"),
            "flavour": self.facts.get("flavour"),
            "source": self.wish.source,
            "repository": self.facts.get("repository"),
            "packages": dict(self.facts.get("packages") or {}),
            "upgrade_pending": {"from": owed.upgrade[0], "to": owed.upgrade[1]} if owed.upgrade else None,
            "reload_required": list(owed.reload),
            "reboot_required": list(owed.reboot),
            "reboot_pending": list(node.reboot_pending),
            "daemon_reload_required": list(owed.daemon_reload),
            "enrolment_required": owed.enrolment,
            "fabric_deferred": list(owed.fabric),
            "boot_without_driver": list(owed.boot),
            "warnings": list(self.warnings),
        }


def decide(wish: Wish, state: State) -> Plan:
    """The same in check mode and in the run. Expected failures are in `refusal`, with the words of an error."""
    draft = Draft(Tracker())
    try:
        plan_guard.check_node(wish, state.node)
        if wish.state == "absent":
            plan_absent.plan(draft, wish, state)
        else:
            plan_present.plan(draft, wish, state)
    except AccelError as error:
        return Plan(wish, state, refusal=error, facts=draft.facts)
    return Plan(
        wish,
        state,
        tuple(draft.steps),
        draft.owed(),
        tuple(draft.warnings),
        None,
        draft.tracker.changed,
        draft.tracker.diff,
        tuple(draft.tracker.actions),
        draft.record,
        draft.facts,
    )
