# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the settings resident does about a node: the plan of the wish, the wish file. Pure. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import _wishes
from .._diff import Tracker
from .._errors import AccelError, MissingGpuError, NotRootError
from .._expected import Expected, KnownFault, missing
from .._nvml.objects import Snapshot
from .._owners import managers
from .._owners.managers import Manager
from .._owners.objects import Busy
from . import live
from .model import Action, Clocks, Item, Memory, Others, Step
from .plan import Node, NodePlan, Options
from .plan import plan as plan_node

WISH_FILE = _wishes.path_of("settings")


@dataclass(frozen=True)
class Wish:
    """The parsed options. `document` is the wish file that `persist` asks for, None without it; with `removes` it is
    there only as long as something is left to take back. With `forgets` nothing that was set is remembered then."""

    items: t.Tuple[Item, ...]
    options: Options = field(default_factory=Options)
    takeover: bool = False
    lock_timeout: float = 300.0
    expected: t.Optional[Expected] = None
    faults: t.Tuple[KnownFault, ...] = ()
    document: t.Optional[t.Mapping[str, t.Any]] = None
    removes: bool = False
    forgets: bool = False


@dataclass(frozen=True)
class State:
    """What was read. `snapshot` None: no driver answers yet and `missing_driver` says why (check mode only). `load`
    names this load of the driver. `kept` are names of settings, by UUID, that the next reset, reload or change of MIG
    would set again as they were found once."""

    snapshot: t.Optional[Snapshot]
    clocks: t.Mapping[str, Clocks] = field(default_factory=dict)
    memory: Memory = field(default_factory=dict)
    load: str = ""
    kept: t.Mapping[str, t.Collection[str]] = field(default_factory=dict)
    others: Others = field(default_factory=Others)
    busy: Busy = field(default_factory=Busy)
    managers: t.Tuple[Manager, ...] = ()
    stored: t.Any = None
    root: bool = True
    missing_driver: str = ""


@dataclass(frozen=True)
class Plan:
    """The whole plan."""

    wish: Wish
    state: State
    node: NodePlan
    refusal: t.Optional[AccelError] = None
    write_wish: bool = False
    remove_wish: bool = False
    extra: t.Tuple[Action, ...] = ()

    @property
    def steps(self) -> t.Tuple[Step, ...]:
        return self.node.steps

    @property
    def touches(self) -> bool:
        """A GPU would be changed, or would be if it were not in the way of work."""
        return bool(self.steps or self.node.refusal or any(gpu.deferred for gpu in self.node.gpus))

    @property
    def stores(self) -> bool:
        """The wish file would be changed."""
        return self.write_wish or self.remove_wish

    @property
    def superseded(self) -> t.Dict[str, t.Tuple[str, ...]]:
        """Settings by UUID of which an older value must not come back, because the wish decides on them."""
        found = {
            gpu.uuid: tuple(name for name in gpu.settled if name in self.state.kept.get(gpu.uuid, ()))
            for gpu in self.node.gpus
        }
        return {uuid: names for uuid, names in found.items() if names}

    @property
    def acts(self) -> bool:
        """Something is to be done, even if it is no change of the node: an older value is forgotten."""
        return self.changed or bool(self.superseded)

    @property
    def changed(self) -> bool:
        return bool(self.steps or self.stores or self.state.missing_driver)

    @property
    def diff(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        sides: t.Dict[str, t.Dict[str, t.Any]] = {"before": {}, "after": {}}
        if self.refusal is not None:
            return sides  # nothing is done
        for gpu in self.node.gpus:
            if gpu.steps:
                sides["before"][gpu.key], sides["after"][gpu.key] = list(gpu.before), list(gpu.after)
        if self.stores:
            sides["before"][WISH_FILE] = self.state.stored
            sides["after"][WISH_FILE] = self.wish.document if self.write_wish else None
        return sides

    @property
    def actions(self) -> t.List[Action]:
        return [*self.extra, *self.node.actions]

    def result(self) -> t.Dict[str, t.Any]:
        gpus = self.state.snapshot.gpus if self.state.snapshot else ()
        return {
            "subject": "settings",
            "gpus": [live.summary(gpu, self.state.memory.get(gpu.uuid, {})) for gpu in gpus],
            "reset_required": [gpu.uuid for gpu in self.node.gpus if gpu.reset_required],
            "deferred": [gpu.uuid for gpu in self.node.gpus if gpu.deferred],
        }


def decide(wish: Wish, state: State) -> Plan:
    """The plan for what was read; wrong wishes become its refusal."""
    tracker = Tracker()
    node, refusal = NodePlan(), None
    if state.snapshot is not None:
        node, refusal = _planned(wish, state, state.snapshot)
    elif state.missing_driver:
        tracker.act("deferred", "GPU settings", f"needs gpu_driver: {state.missing_driver}")
    write_wish, remove_wish = _storing(wish, state, node)
    if refusal is None and not state.root and (node.steps or write_wish or remove_wish):
        refusal = NotRootError("changing GPU settings needs root, this runs as another user; set become: true")
    if refusal is None:
        _wishes.tell(tracker, WISH_FILE, write_wish, remove_wish, "nothing is to be brought back at boot")
    return Plan(wish, state, node, refusal, write_wish, remove_wish, tuple(tracker.actions))


def _storing(wish: Wish, state: State, node: NodePlan) -> t.Tuple[bool, bool]:
    """Whether the wish file is written, and whether it is removed."""
    if wish.removes and not any(gpu.deferred for gpu in node.gpus):
        return False, state.stored is not None
    return wish.document is not None and wish.document != state.stored, False


def _planned(wish: Wish, state: State, snapshot: Snapshot) -> t.Tuple[NodePlan, t.Optional[AccelError]]:
    """The plan and why it may not be applied. What makes the whole host wrong comes first."""
    if wish.expected is not None:
        silent = [failure.message for failure in snapshot.failures]
        sentence = missing(wish.expected, wish.faults, [(gpu.uuid, gpu.name) for gpu in snapshot.gpus], silent)
        if sentence:
            return NodePlan(), MissingGpuError(sentence)
    if wish.items and not wish.takeover:
        foreign = managers.refusal(state.managers, "the configuration of the GPUs", "declare the settings there")
        if foreign is not None:
            return NodePlan(), foreign
    try:
        node = Node(snapshot, state.clocks, state.memory, state.others, state.busy)
        planned = plan_node(wish.items, node, wish.options)
    except AccelError as error:
        return NodePlan(), error
    return planned, planned.refusal
