# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a wish asks of a node beyond its downloads, and so of those who drain it. Pure. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

from ..model import State, Wish
from ..steps import ChangePackages, LoadModules, ReloadModules
from . import plan_guard
from .plan import Plan, decide
from .plan_choice import choose


def remainder(wish: Wish, state: State) -> Plan:
    """The decision as it will be on the drained node: nobody works there, and nothing is downloaded only."""
    idle = dataclasses.replace(state.node, busy=(), holders=(), daemon_reload_risk=())
    full = dataclasses.replace(wish, download_only=False, change_loaded=True, reload="if_needed")
    return decide(full, dataclasses.replace(state, node=idle))


def reasons(rest: Plan) -> t.List[str]:
    """Why the node has to be drained for the wish; none where the rest of it disturbs nobody."""
    return [
        *(f"the driver changes from {before} to {after}" for before, after in _upgrades(rest)),
        *("the kernel modules are loaded" for step in rest.steps if isinstance(step, LoadModules)),
        *("the kernel modules are loaded again" for step in rest.steps if isinstance(step, ReloadModules)),
        *rest.owed.reload,
        *rest.owed.reboot,
    ]


def _upgrades(rest: Plan) -> t.Iterator[t.Tuple[str, str]]:
    if any(isinstance(step, ChangePackages) and step.idle for step in rest.steps):
        yield plan_guard.upgrade(rest.state.node, choose(rest.wish, rest.state.node), rest.facts.get("version"))
