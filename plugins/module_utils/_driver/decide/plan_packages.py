# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages in a plan: what of the transaction may run now, what is there after it, what is held. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from ..model import Change, Node, State, Wish
from ..steps import ChangePackages, RefreshIndex
from . import plan_files, plan_guard, plan_modules
from .plan_choice import Target
from .plan_draft import Draft
from .plan_names import DKMS, carries, is_fabric, listed
from .plan_request import Packages

After = t.Dict[str, t.Optional[str]]


def allowed(draft: Draft, wish: Wish, state: State, target: Target, packages: Packages) -> t.Optional[ChangePackages]:
    """The transaction, without what has to wait for running work (rules 5, 6 and 7)."""
    node, change = state.node, packages.change
    if wish.download_only:
        return change
    changes = change is not None and plan_guard.changes_version(node, target, change, state.changes or ())
    waits = plan_guard.hold_back(wish, node, target, packages.version) if changes else ""
    if waits:
        draft.upgrade = plan_guard.upgrade(node, target, packages.version)
        before, after = draft.upgrade
        draft.tracker.keep("driver packages", f"upgrade pending {before} → {after}: {waits}")
        return None
    if _brings_fabric(draft, wish, state, packages):
        return None
    if change is not None:
        change = change._replace(idle=changes or (node.loaded is not None and _has_fabric(change, state)))
    if change is not None and node.daemon_reload_risk and wish.daemon_reload == "auto":
        draft.daemon_reload = node.daemon_reload_risk
        draft.tracker.keep("driver packages", risk(node.daemon_reload_risk))
        return None
    return change


def risk(containers: t.Sequence[str]) -> str:
    return f"a daemon-reload would take the GPUs away from {', '.join(containers)}"


def _has_fabric(change: ChangePackages, state: State) -> bool:
    names = (*(name for name, _version in change.install), *(one.name for one in state.changes or ()))
    return any(is_fabric(name) for name in names)


def _brings_fabric(draft: Draft, wish: Wish, state: State, packages: Packages) -> bool:
    """Under running work no package of the fabric changes (rule 6); a transaction that needs one by dependency waits as
    a whole. Raises BusyError where a wait is not wished."""
    node, why = state.node, plan_modules.in_use(state.node)
    by_dependency = [one.name for one in state.changes or () if is_fabric(one.name)] if why else []
    names = ", ".join(dict.fromkeys((*packages.deferred, *by_dependency)))
    if not names:
        return False
    plan_modules.check_wait(wish, node, f"{names} cannot be installed")
    if by_dependency:
        names = f"driver packages, which bring {names}"
    draft.wait_for_fabric(names, why)
    return bool(by_dependency)


def repository(
    draft: Draft,
    wish: Wish,
    node: Node,
    target: Target,
    changes: t.Sequence[t.Any],
    change: t.Optional[ChangePackages],
) -> None:
    moved = [step for step in changes if step.sort in ("repository", "key")]
    for step in moved:
        draft.file(node, step, f"packages come from source {wish.source}")
    if moved or change is not None:
        age = 0 if moved else wish.cache_valid_time
        draft.refresh(RefreshIndex(age, plan_files.needed(wish, node, target)))


def after_change(node: Node, state: State, change: t.Optional[ChangePackages]) -> After:
    """NVIDIA's packages when the transaction is done, None for those that go; others only where they change."""
    after: After = dict(node.packages)
    if change is None:
        return after
    for one in state.changes or ():
        after[one.name] = one.after
    for name, version in (*change.first, *change.install):
        after[name] = version or after.get(name) or ""
    after.update(dict.fromkeys(change.remove))
    return after


def why(packages: Packages, change: ChangePackages) -> str:
    return f"driver {packages.version} is wished" if change.install else "they belong to another driver"


def holds(
    draft: Draft,
    wish: Wish,
    node: Node,
    target: Target,
    there: t.Mapping[str, str],
    wanted: t.Collection[str],
    version: t.Optional[str],
) -> None:
    """Every package that carries the driver's version, so that library and module cannot part. A held package is not
    upgraded automatically (apt-mark(8)), so nothing more is said to unattended-upgrades."""
    held = node.holds & plan_guard.own_holds(node)
    if not wish.hold:
        draft.unhold(sorted(held), f"{wish.prefix}hold is false")
        return
    if version is None:
        return
    desired = _held(target, there, wanted, version)
    draft.unhold(sorted(held - set(desired) - set(wanted)), "it is no part of the wished driver")
    draft.hold(
        [name for name in desired if name not in node.holds], "an upgrade of its own would part it from the module"
    )


def _held(
    target: Target, there: t.Mapping[str, str], wanted: t.Collection[str], version: t.Optional[str]
) -> t.List[str]:
    return sorted(name for name, is_ in there.items() if name in wanted or carries(is_, name, target) == version)


def with_tools(
    record_: t.Mapping[str, t.Any], node: Node, change: t.Optional[ChangePackages], changes: t.Sequence[Change]
) -> t.Mapping[str, t.Any]:
    """With what came for the driver without being of it, and was not there before in any version: headers, dkms, what
    holds need."""
    tools = set(node.records.get("tools") or ())
    if change is not None:
        asked = {DKMS, *(name for name, _version in change.install if not listed(name))}
        tools.update(one.name for one in changes if one.before is None and not one.beside and one.name in asked)
    return {**record_, "tools": sorted(tools)} if tools else record_


def record(
    node: Node,
    wish: Wish,
    target: Target,
    there: t.Mapping[str, str],
    files: t.Mapping[str, t.Any],
    packages: Packages,
    version: t.Optional[str],
) -> t.Mapping[str, t.Any]:
    """What is ours on the node, so that `absent` takes back that and nothing else. `version` is there then."""
    earlier = set(node.records.get("packages") or ())
    mine = [
        name
        for name, is_ in there.items()
        if name in earlier
        or (name not in node.packages and (name in packages.wanted or carries(is_, name, target) == version))
    ]
    held = _held(target, there, packages.wanted, version) if wish.hold and version else []
    ours = plan_guard.own_holds(node)
    enabled = packages.change.stream if packages.change else None
    stream = enabled or (target.stream if node.records.get("stream") == target.stream else None)
    return {
        **({"stream": stream} if stream else {}),
        "packages": sorted(mine),
        "holds": sorted(name for name in held if name in ours or name not in node.holds),
        "files": sorted(files),
        "source": wish.source,
        "branch": target.branch,
        "version": version,
        "flavour": target.flavour,
    }
