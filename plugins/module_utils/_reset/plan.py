# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From wish and state to the plan of a reset: which GPUs, why not, what comes back. Pure. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import AccelError, BlockedError, BusyError, NotRootError, WishError
from .._holders.objects import ResetSet, StartHolder, StopHolder
from .._mig.decide import Plan as MigDecision
from .._mig.decide import State as MigState
from .._mig.decide import Wish as MigWish
from .._mig.decide import decide
from .._mig.model import NodeWish, Options, Step
from .._nvml.objects import Gpu, Snapshot
from .._owners import managers
from .._owners.objects import Claim
from .._owners.usage import usage_of
from . import actions, links
from .geometry import before_reset, geometry
from .model import GpuReset, Plan, State, Target, Wish
from .targets import select

OR_DEFER = ", or give when_busy: defer"
# The MIG wish of a run that only settles what an interrupted one left.
_NOTHING = MigWish(NodeWish(), Options())
Coupled = t.Mapping[str, t.Tuple[Gpu, ...]]


def plan(wish: Wish, state: State) -> Plan:
    """The plan of the node. A wrong wish, a busy or blocked GPU is its `refusal`: nothing is reset then."""
    settling = _settling(state)
    if state.snapshot is None:
        return Plan(wish, state, told=actions.no_driver(state.missing_driver) if state.missing_driver else ())
    foreign = None if wish.takeover else managers.refusal(state.managers, "the state of the GPUs", "reset them there")
    try:
        targets = select(wish.selector, state.snapshot)
    except WishError as error:
        return Plan(wish, state, settling=settling, refusal=error)
    if not targets:
        told = actions.nothing_meant(wish.selector)
        return Plan(wish, state, settling=settling, told=told)
    resets = _together(_judged(wish, state, state.snapshot, targets))
    refusal = foreign or _refusal(resets)
    if (any(one.acts for one in resets) or settling.touches) and not state.root:
        refusal = NotRootError("a reset of GPUs needs root, this runs as another user; set become: true")
    units = _units(resets, state)
    told = actions.told(resets, units, state.geometry_problem, state.settings is not None)
    return Plan(wish, state, resets, _steps(resets, units), settling, told, refusal)


def _settling(state: State) -> MigDecision:
    """What an interrupted run left, whatever is wished now."""
    seen = MigState(state.snapshot, state.busy, state.holders, record=state.record, root=state.root)
    return decide(_NOTHING, seen)


def _refusal(resets: t.Sequence[GpuReset]) -> t.Optional[AccelError]:
    found = [one.refusal for one in resets if one.refusal is not None]
    if len(found) < 2:
        return found[0] if found else None
    return type(found[0])(
        "\n".join(dict.fromkeys(error.message for error in found)), gpus=[error.facts.get("gpu") for error in found]
    )


# --- one GPU -------------------------------------------------------------------------------------------------------


def _judged(wish: Wish, state: State, snapshot: Snapshot, targets: t.Sequence[Target]) -> t.List[GpuReset]:
    sets = links.coupled(snapshot, state.fabric_manager)
    meant = {target.uuid for target in targets}
    found = []
    for target in targets:
        one = GpuReset(target, set_=_addresses(target, sets))
        if target.gpu is not None:
            one = dataclasses.replace(one, geometry=geometry(target.gpu, snapshot, state.geometry, state.record))
        claims, given_up = _claims(target, wish, state)
        one = dataclasses.replace(one, given_up=given_up)
        refusal = (
            _impossible(target, state) or _incomplete(target, sets, meant, snapshot) or _held(target, claims, state)
        )
        if isinstance(refusal, BusyError) and wish.when_busy == "defer":
            one = dataclasses.replace(one, deferred=refusal.message.replace(OR_DEFER, ""))
        elif refusal is not None:
            one = dataclasses.replace(one, refusal=refusal)
        found.append(one)
    return found


def _addresses(target: Target, sets: Coupled) -> t.Tuple[str, ...]:
    return tuple(gpu.pci for gpu in sets.get(target.uuid, ())) or (target.pci,)


def _together(resets: t.Sequence[GpuReset]) -> t.Tuple[GpuReset, ...]:
    """Where one GPU of a coupled set waits for its work, the others wait with it."""
    waiting = {pci: one for one in resets if one.deferred for pci in one.set_}
    found = []
    for one in resets:
        other = waiting.get(one.target.pci)
        if one.acts and other is not None:
            reason = f"it is reset together with {other.target}, which is busy"
            one = dataclasses.replace(one, deferred=reason)
        found.append(one)
    return tuple(found)


def _claims(target: Target, wish: Wish, state: State) -> t.Tuple[t.Tuple[Claim, ...], t.Tuple[Claim, ...]]:
    """Who keeps the GPU from its reset, and whose allocation is given up for it."""
    if target.gpu is not None:
        everyone = usage_of(target.gpu, state.busy, allow_destroy_allocated=False).gpu()
    else:
        everyone = (*state.busy.unknown, *state.silent_claims)
    if not wish.allow_reset_allocated:
        return everyone, ()
    return tuple(one for one in everyone if one.has_process), tuple(one for one in everyone if not one.has_process)


def _impossible(target: Target, state: State) -> t.Optional[AccelError]:
    begin = f"gpus ({target}): the GPU cannot be reset"
    if target.gpu is not None and target.gpu.virtualization == "vgpu":
        return BlockedError(f"{begin}: it is a vGPU, whose reset belongs to the hypervisor", gpu=target.uuid)
    if target.gpu is None and not (target.uuid and target.pci):
        # An Xid 79, "fallen off the bus", asks for a reboot in NVIDIA's own catalogue.
        why = "it does not even tell its UUID and PCI address, so nvidia-smi cannot reach it either"
        return BlockedError(f"{begin}: {why}; drain the node and reboot it ({target.problem})", gpu=target.uuid or None)
    if state.holders.reset_reachable is False:
        why = "nvidia-smi, which does it, cannot be run on this node; install it"
        return BlockedError(f"{begin}: {why}", gpu=target.uuid)
    return None


def _incomplete(target: Target, sets: Coupled, meant: t.Set[str], snapshot: Snapshot) -> t.Optional[AccelError]:
    """A coupled set is reset as a whole or not at all."""
    begin = f"gpus ({target}): the GPU cannot be reset by itself"
    if target.gpu is None:
        if not sets:
            return None
        why = "GPUs of this node are coupled by NVLink, and one without an answer cannot be reset together with others"
        return BlockedError(f"{begin}: {why}; drain the node and reboot it", gpu=target.uuid)
    others = [gpu for gpu in sets.get(target.uuid, ()) if gpu.uuid not in meant]
    if not others:
        return None
    names = ", ".join(f"{gpu.pci} ({gpu.uuid})" for gpu in others)
    ampere = (target.gpu.architecture or "").lower() == "ampere"
    start = "start nvidia-fabricmanager.service, with which it can be, or " if ampere else ""
    return BlockedError(
        f"{begin}: NVLink couples it with {names}; {start}name all of them in gpus",
        gpu=target.uuid,
        coupled=[gpu.uuid for gpu in others],
    )


def _held(target: Target, claims: t.Sequence[Claim], state: State) -> t.Optional[AccelError]:
    begin = f"gpus ({target}): the GPU cannot be reset now"
    if claims:
        users = ", ".join(map(str, claims))
        all_idle = not any(claim.has_process for claim in claims)
        allow = ", or give allow_reset_allocated: true" if all_idle else ""
        return BusyError(
            f"{begin}: it is in use by {users}; drain it first{allow}{OR_DEFER}",
            gpu=target.uuid,
            owners=[str(claim) for claim in claims],
        )
    if target.gpu is None and state.strangers:
        who = ", ".join(state.strangers)
        why = f"it gives no answer, and {who} has a GPU open that gives none"
        return BusyError(f"{begin}: {why}; stop it{OR_DEFER}", gpu=target.uuid, owners=list(state.strangers))
    in_the_way = state.holders.in_the_way(target.uuid)
    if not in_the_way:
        return None
    names = ", ".join(map(str, in_the_way))
    return BlockedError(
        f"{begin}: it is held open by {names}, which is not known to be safe to stop; stop it and run again",
        gpu=target.uuid,
        holders=[holder.name for holder in in_the_way],
    )


# --- steps ---------------------------------------------------------------------------------------------------------


def _units(resets: t.Sequence[GpuReset], state: State) -> t.Tuple[str, ...]:
    """Units to be stopped, in their order. Nobody knows whether one holds a GPU without an answer, so all are."""
    acting = [one for one in resets if one.acts]
    stop = {unit for one in acting for unit in state.holders.stops(one.target.uuid)}
    silent = any(one.target.gpu is None for one in acting)
    return tuple(holder.unit for holder in state.holders.known if holder.unit and (silent or holder.unit in stop))


def _steps(resets: t.Sequence[GpuReset], units: t.Sequence[str]) -> t.Tuple[Step, ...]:
    """All instances go before the first reset: where one is in use after all, nothing is reset. The geometry comes back
    when the GPUs are read again."""
    acting = [one for one in resets if one.acts]
    steps: t.List[Step] = [StopHolder(unit) for unit in units]
    for one in acting:
        steps += before_reset(one)
    steps += reset_sets(acting)
    steps += [StartHolder(unit) for unit in units]
    return tuple(steps)


def reset_sets(acting: t.Sequence[GpuReset]) -> t.List[ResetSet]:
    """One for each GPU, or for each set that is reset in one command."""
    by_set: t.Dict[t.Tuple[str, ...], t.List[GpuReset]] = {}
    for one in acting:
        by_set.setdefault(one.set_, []).append(one)
    return [ResetSet(tuple(one.target.member for one in members)) for members in by_set.values()]
