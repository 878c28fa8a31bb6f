# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan where no driver is wished: what the role put on the node goes again. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._data.driver_system import FABRIC_UNITS, PERSISTENCED
from ..model import Node, State, Wish
from ..steps import ReloadModules, RemoveFile, SetUnit
from . import plan_files, plan_guard, plan_modules
from .plan_draft import Draft
from .plan_names import kernels
from .plan_request import removal


def plan(draft: Draft, wish: Wish, state: State) -> None:
    """Only what earlier runs recorded. Raises AccelError where it must not go."""
    node = state.node
    change = removal(node)
    draft.facts.update(packages=node.packages)
    if change is not None:
        plan_guard.check_change(wish, state, change)
        hindrance = _hindrance(wish, node)
        if hindrance:
            draft.tracker.keep("driver", hindrance)
            draft.reload.append(f"the driver is to be removed; {hindrance}")
            if node.refused:
                draft.reboot.append(f"the driver is to be removed; {hindrance}")
            return
        if node.daemon_reload_risk and wish.daemon_reload == "auto":
            draft.daemon_reload = node.daemon_reload_risk
            draft.tracker.keep("driver", f"a daemon-reload would hurt {', '.join(node.daemon_reload_risk)}")
            return
        _unload(draft, node)
    for path in plan_files.ours(node):
        draft.file(node, RemoveFile(path, plan_files.sort_of(path)), "no driver is wished")
    # Those of packages that were there before us too: nobody would know any more that they are ours.
    draft.unhold(sorted(node.holds & plan_guard.own_holds(node)), "no driver is wished")
    if change is not None:
        gone = {one.name: one.after for one in state.changes or () if one.after is None}
        gone.update(dict.fromkeys(change.remove))
        draft.packages(node, change, gone, "no driver is wished, and an earlier run installed it")
        for kernel in kernels(node):
            image = kernel.initramfs
            if image is not None and image.versions:
                draft.initramfs(kernel.release, list(image.versions), [], "it carries NVIDIA modules")
    draft.distrust(node.records.get("keys") or (), "an earlier run gave it to the package manager")
    draft.record = {}


def _hindrance(wish: Wish, node: Node) -> str:
    """Why the module cannot go now; empty: it can, or is not there."""
    if node.loaded is None:
        return ""
    if node.refused:
        return node.refused
    plan_modules.check_wait(wish, node, "the driver cannot be removed")
    return plan_modules.in_use(node)


def _unload(draft: Draft, node: Node) -> None:
    """The units of the driver for good, other holders of devices for the moment, then the modules."""
    own: t.List[str] = [
        name for name in (*FABRIC_UNITS, PERSISTENCED) if name in node.units and node.units[name].active
    ]
    for name in own:
        draft.unit(node, SetUnit(name, running=False), "no driver is wished")
    if node.loaded is None:
        return
    stops = tuple(unit for unit in plan_modules.stops(node) if unit not in own)
    step = ReloadModules((*node.loaded.dependents, "nvidia"), (), stops)
    draft.modules(step, node.loaded.version, None, "no driver is wished")
