# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of `state: restored`: what was there before the last change of packages, by name and version. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ..._diff import Tracker
from ..._errors import AccelError, BlockedError, BusyError, WishError
from ..model import Node, State, Wish
from ..record import Journal, Recorded
from ..steps import (
    ChangePackages,
    HoldPackages,
    LoadModules,
    RebuildInitramfs,
    RefreshIndex,
    ReloadModules,
    RemoveFile,
    SetUnit,
    Step,
    UnholdPackages,
    WriteFile,
)
from . import plan_guard, plan_modules
from .back import Now, steps_back, touched
from .plan import Plan
from .plan_draft import Draft

_WHY = "it was so before the last change of packages"


def decide(
    wish: Wish,
    state: State,
    recorded: t.Optional[Recorded],
    now: t.Optional[Now],
    foreign: t.Optional[Journal] = None,
) -> Plan:
    """`foreign` is the journal of an interrupted run that is none of those which may be taken back."""
    draft, node = Draft(Tracker()), state.node
    try:
        plan_guard.check_node(wish, node)
        nothing = _nothing(wish, recorded, foreign)
        if nothing:
            draft.tracker.keep("driver packages", nothing)
            return Plan(wish, state, warnings=(nothing,), actions=tuple(draft.tracker.actions), facts=_facts(state))
        if recorded is None or now is None:
            raise WishError(
                f"{wish.prefix}state: restored, but no change of packages is recorded on this node; give present, with "
                "the version that is wished"
            )
        own = plan_guard.own_holds(node) | set(recorded.holds)
        steps = steps_back(recorded, now, own)
        if any(isinstance(step, ChangePackages) for step in steps):
            plan_guard.check_touched(wish, node, touched(recorded, now), own)
        if any(isinstance(step, (ChangePackages, ReloadModules)) for step in steps):
            _check(wish, node)
        for step in steps:
            if isinstance(step, ReloadModules) and step.load and node.refused:
                draft.reload.append(node.refused)
                draft.reboot.append(node.refused)
            else:
                _add(draft, node, step)
        draft.distrust(sorted({*node.records.get("keys", ())} - {*recorded.state.get("keys", ())}), _WHY)
    except AccelError as error:
        return Plan(wish, state, refusal=error)
    draft.facts.update(_facts(state), version=recorded.version, restored=True)
    return Plan(
        wish,
        state,
        tuple(draft.steps),
        draft.owed(),
        changed=draft.tracker.changed,
        diff=draft.tracker.diff,
        actions=tuple(draft.tracker.actions),
        facts=draft.facts,
    )


def _nothing(wish: Wish, recorded: t.Optional[Recorded], foreign: t.Optional[Journal]) -> str:
    """Why there is nothing to restore for the runs that are named; empty: there is, or none are named."""
    if wish.restore_runs is None:
        return ""
    asked = f"nothing was restored: {wish.prefix}restore_runs has {', '.join(wish.restore_runs) or 'no run'}"
    if foreign is not None:
        return f"{asked}, and {_whose(foreign.before)} of {foreign.since} was interrupted on this node"
    if recorded is None:
        return f"{asked}, and no change of packages is recorded on this node"
    if recorded.run not in wish.restore_runs:
        return f"{asked}, and the last change of packages here is that of {_whose(recorded)} of {recorded.since}"
    return ""


def _whose(recorded: Recorded) -> str:
    return f"run {recorded.run}" if recorded.run else "a run without a name"


def _facts(state: State) -> t.Dict[str, t.Any]:
    return {"packages": dict(state.node.packages), "installed": state.node.library}


def _check(wish: Wish, node: Node) -> None:
    """Rules 5 and 7: the same that forbids a change forbids the way back."""
    if node.loaded is not None and not wish.change_loaded:
        raise BlockedError(
            f"{wish.prefix}state: restored changes the packages of driver {node.loaded.version}, whose module is "
            f"loaded; drain the node and set {wish.prefix}change_loaded: true"
        )
    why = plan_modules.in_use(node)
    if node.loaded is not None and why:
        raise BusyError(
            f"{wish.prefix}state: the driver cannot be restored, {why}; {'drain the node' if node.busy else 'end it'} "
            "and run again",
            busy=[one._asdict() for one in node.busy],
        )
    if node.daemon_reload_risk and wish.daemon_reload == "auto":
        raise BlockedError(
            f"{wish.prefix}state: the scripts of the packages run systemctl daemon-reload, which would take the GPUs "
            f"away from {', '.join(node.daemon_reload_risk)}; end them, or set {wish.prefix}daemon_reload: allowed"
        )


def _add(draft: Draft, node: Node, step: Step) -> None:
    if isinstance(step, (WriteFile, RemoveFile)):
        draft.file(node, step, _WHY)
    elif isinstance(step, RefreshIndex):
        draft.refresh(step)
    elif isinstance(step, ChangePackages):
        after: t.Dict[str, t.Optional[str]] = dict(step.install)
        gone = {name: None for name in step.remove if name in node.packages}
        draft.packages(node, step, {**after, **gone}, _WHY)
    elif isinstance(step, HoldPackages):
        draft.hold(step.names, _WHY)
    elif isinstance(step, UnholdPackages):
        draft.unhold(step.names, _WHY)
    elif isinstance(step, RebuildInitramfs):
        draft.initramfs(step.kernel, None, None, _WHY)
    elif isinstance(step, SetUnit):
        draft.unit(node, step, _WHY)
    elif isinstance(step, (LoadModules, ReloadModules)):
        if isinstance(step, ReloadModules):
            step = step._replace(stop=plan_modules.stops(node))
        draft.modules(step, node.loaded.version if node.loaded else None, None, _WHY)
