# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in memory and units: what is loaded, reloaded, started, and what stays owed. Pure. PRIVATE."""

from __future__ import annotations

import typing as t
from types import MappingProxyType

from ..._data.driver_system import FABRIC_MANAGER, FABRIC_UNITS, IMEX, LOADED, PERSISTENCED, STOPPABLE
from ..._errors import BusyError
from ..model import Busy, Holder, Node, Parameters, Wish
from ..record import Journal
from ..steps import LoadModules, ReloadModules, SetUnit
from . import parameters
from .plan_choice import driven

_FABRIC_MANAGERS = ("nvidia-fabricmanager", "nvidia-fabric-manager")
_NO_GPU = "no GPU of this node is the driver's now, and its modules are not loaded without one; a reboot mends it"
_ORDER = {unit: number for number, unit in enumerate(STOPPABLE)}


class InUse(t.Protocol):
    """Who has the GPUs, of a node or of a later look."""

    @property
    def busy(self) -> t.Tuple[Busy, ...]: ...
    @property
    def holders(self) -> t.Tuple[Holder, ...]: ...


class Memory(t.NamedTuple):
    """`step` is what changes the modules in memory, `why` its reason. What cannot be done is owed."""

    step: t.Optional[t.Union[LoadModules, ReloadModules]] = None
    why: str = ""
    reload: t.Tuple[str, ...] = ()
    reboot: t.Tuple[str, ...] = ()


def memory(
    wish: Wish,
    node: Node,
    version: t.Optional[str],
    flavour: str,
    packages: t.Optional[t.Collection[str]] = None,
    dropped: Parameters = MappingProxyType({}),
) -> Memory:
    """`version` is the one that the module on disk will have, None where there will be none for the running kernel.
    `packages` will be there after a change of packages, whose scripts start their units; None: there is no change.
    `dropped` are parameters with their live values that nothing wishes any more. Raises BusyError where a reload has to
    wait and a wait is not wished."""
    if version is None:
        return Memory()
    if node.loaded is None:
        return _load(wish, node, version) if driven(node) else Memory()
    reasons = _differs(wish, node, version, flavour)
    for module, entries in sorted(dropped.items()):
        reasons += [
            f"{module} runs with {name}={live}, which nothing wishes any more" for name, live in entries.items()
        ]
    if not reasons:
        return Memory()
    why = "; ".join([*reasons, *taken_out(node)])
    if wish.reload == "never":
        return Memory(reload=(f"{why}; {wish.prefix}reload is never",))
    if not driven(node):
        # Module nvidia does not come again without one ("NVRM: No NVIDIA devices probed" in the log of the kernel).
        why = f"{why}; {_NO_GPU}"
        return Memory(reload=(why,), reboot=(why,))
    if node.refused:
        return Memory(reload=(f"{why}; {node.refused}",), reboot=(f"{why}; {node.refused}",))
    if in_use(node):
        check_wait(wish, node, f"the kernel modules cannot be reloaded ({why})")
        return Memory(reload=(f"{why}; {in_use(node)}{'' if node.busy else '; end it and run again'}",))
    started = () if packages is None else _started(wish, node, packages)
    step = ReloadModules(
        (*node.loaded.dependents, "nvidia"),
        ("nvidia", *reversed(node.loaded.dependents)),
        stops(node, started),
        node.unloaded,
    )
    return Memory(step, why)


def unloaded(node: Node, journal: t.Optional[Journal]) -> t.Tuple[str, ...]:
    """What an interrupted run of this boot took out of memory and nobody has loaded again, in the order of loading: by
    its journal, and by what a later run wrote down that could not load it either."""
    names: t.List[str] = []
    if journal is not None and journal.boot_id == node.boot_id:
        names += reversed(journal.before.modules)
    recorded = node.records.get("unloaded") or {}
    if recorded.get("boot") == node.boot_id:
        names += recorded.get("modules", ())
    there = ("nvidia", *node.loaded.dependents) if node.loaded else ()
    return tuple(name for name in dict.fromkeys(names) if name not in there)


def taken_out(node: Node) -> t.List[str]:
    """The sentence for what is to be loaded again, where there is something."""
    return [f"an interrupted run has unloaded {', '.join(node.unloaded)}"] if node.unloaded else []


def _load(wish: Wish, node: Node, version: str) -> Memory:
    why = f"no NVIDIA module is loaded, {version} is installed"
    if wish.reload == "never":
        return Memory(reload=(f"{why}; {wish.prefix}reload is never",))
    bound = [gpu.address for gpu in driven(node) if gpu.driver == "nouveau"]
    if node.nouveau_loaded and (bound or node.nouveau_holders):
        who = f"drives {', '.join(bound)}" if bound else f"is used by {', '.join(node.nouveau_holders)}"
        return Memory(reboot=(f"nouveau is loaded and {who}; it is gone after a reboot",))
    unload = (*node.nouveau_holders, "nouveau") if node.nouveau_loaded else ()
    more = tuple(name for name in node.unloaded if name not in LOADED)
    return Memory(LoadModules(LOADED, unload, more), why)


def _differs(wish: Wish, node: Node, version: str, flavour: str) -> t.List[str]:
    """Why what is in memory is not what is wished."""
    loaded = node.loaded
    reasons: t.List[str] = []
    if loaded is None:
        return reasons
    if loaded.version != version:
        reasons.append(f"module {loaded.version} is loaded, {version} is installed")
    elif loaded.open is not None and loaded.open != (flavour == "open"):
        has = "open" if loaded.open else "proprietary"
        reasons.append(f"the {has} module is loaded, the {flavour} one is installed")
    differences = parameters.differing(wish.parameters, node.live_parameters)
    for module, entries in parameters.unknown(differences, node.records.get("adjusted")).items():
        reasons += [f"{module} runs with {name}={live}, wished is {value}" for name, (value, live) in entries.items()]
    return reasons


def check_wait(wish: Wish, node: Node, what: str) -> None:
    """Raises where somebody has the GPUs and the change is not to wait for him."""
    why = in_use(node)
    if why and wish.when_busy == "refuse":
        remedy = "drain the node" if node.busy else "end it"
        raise BusyError(
            f"{wish.prefix}when_busy=refuse: {what}, {why}; {remedy} and run again",
            busy=[one._asdict() for one in node.busy],
        )


def in_use(node: InUse) -> str:
    """Why nothing may change under those who have the GPUs; empty: nobody has. A process that keeps devices open
    without being work that the driver knows may be a job between two steps, or one of a driver that gives no answer."""
    if node.busy:
        return f"the node is busy: {busy(node)}"
    found = strangers(node)
    return f"{', '.join(found)} holds GPUs open and is not known to be safe to stop" if found else ""


def strangers(node: InUse) -> t.List[str]:
    """Processes with devices open that belong to no unit which may be stopped."""
    return [f"{name} (PID {pid})" for name, unit, pid in node.holders if unit is None]


def busy(node: InUse) -> str:
    return "; ".join(f"{one.gpu} is used by {one.who}" for one in node.busy)


def _started(wish: Wish, node: Node, packages: t.Collection[str]) -> t.Tuple[str, ...]:
    """Units that the scripts of packages may have started, and that are to run anyway."""
    found = (PERSISTENCED,) if wish.persistenced else ()
    if (node.switches or node.nvlink5) and any(name.startswith(_FABRIC_MANAGERS) for name in packages):
        return (*found, FABRIC_MANAGER)
    return found


def stops(node: Node, started: t.Collection[str] = ()) -> t.Tuple[str, ...]:
    """Units that hold devices, and active ones that will once more; who uses another service goes first."""
    found = {*(unit for _name, unit, _pid in node.holders if unit), *started}
    found.update(unit for unit in (*FABRIC_UNITS, PERSISTENCED) if unit in node.units and node.units[unit].active)
    return tuple(sorted(found, key=lambda unit: (_ORDER.get(unit, -1), unit)))


# --- units ---------------------------------------------------------------------------------------------------------


def units(
    wish: Wish, node: Node, packages: t.Collection[str], loaded: bool, calm: bool
) -> t.List[t.Tuple[SetUnit, str]]:
    """Steps with their reasons. `packages` will be there, `loaded`: the module will be. Rule 6: a unit of the fabric is
    left alone on a busy node; `calm` False also where packages under a loaded module could not change."""
    found: t.List[t.Tuple[SetUnit, str]] = []
    present = loaded and bool(driven(node))
    if wish.persistenced:
        _want(found, node, PERSISTENCED, present, "GPUs are kept initialised")
    elif PERSISTENCED in node.units:
        unit = node.units[PERSISTENCED]
        disable = False if unit.enabled and not unit.static else None
        stop = False if unit.active else None
        if disable is not None or stop is not None:
            found.append((SetUnit(PERSISTENCED, disable, stop), f"{wish.prefix}persistenced is false"))
    if not node.busy and calm:
        found += _fabric_units(node, packages, present)
    return found


def fabric_waits(
    wish: Wish, node: Node, packages: t.Collection[str], loaded: bool, calm: bool
) -> t.Iterator[t.Tuple[str, str]]:
    """Units of the fabric that a busy node has to wait for, with the reason. Raises BusyError where a wait is not
    wished."""
    if not node.busy or not calm:
        return
    for step, _why in _fabric_units(node, packages, loaded and bool(driven(node))):
        todo = " and ".join(word for word, is_ in (("enabled", step.enabled), ("started", step.running)) if is_)
        check_wait(wish, node, f"{step.name} cannot be {todo}")
        yield step.name, f"is to be {todo}; {in_use(node)}"


def _fabric_units(node: Node, packages: t.Collection[str], present: bool) -> t.List[t.Tuple[SetUnit, str]]:
    found: t.List[t.Tuple[SetUnit, str]] = []
    if (node.switches or node.nvlink5) and any(name.startswith(_FABRIC_MANAGERS) for name in packages):
        _want(found, node, FABRIC_MANAGER, present, "the node has NVSwitches")
    if _has_imex(packages) and not node.imex_lacks:
        _want(found, node, IMEX, present, "the node is a tray of an NVLink rack")
    return found


def imex_waits(node: Node, packages: t.Collection[str]) -> bool:
    """Nobody has told it yet who belongs to its domain, so it is neither enabled nor started."""
    unit = node.units.get(IMEX)
    return _has_imex(packages) and bool(node.imex_lacks) and (unit is None or not unit.active)


def _has_imex(packages: t.Collection[str]) -> bool:
    return any(name.startswith("nvidia-imex") for name in packages)


def _want(found: t.List[t.Tuple[SetUnit, str]], node: Node, name: str, running: bool, why: str) -> None:
    unit = node.units.get(name)
    enabled = True if unit is None or not (unit.enabled or unit.static) else None
    start = True if running and (unit is None or not unit.active) else None
    if enabled or start:
        found.append((SetUnit(name, enabled, start), why))
