# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which instances of one GPU stay, go and come. PRIVATE to the collection.

Of all layouts that satisfy the wish this takes the one that never touches a busy instance and destroys the fewest GPU
instances, then the fewest compute instances. Where no such layout exists it names who is in the way.
"""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from .._errors import BlockedError, BusyError, InternalError
from .._nvml.objects import Gpu, GpuInstance, Placement
from .._owners.objects import Claim
from .._owners.usage import Usage
from .._select import label
from . import compute
from .assign import Request, Solution, Standing, solve
from .layout import Grid, gpu_grid, mask_of
from .model import OR_DEFER, ComputeSpec, InstanceSpec, Layout
from .targets import Wanted


@dataclass(frozen=True)
class Kept:
    """A GPU instance that stays. `mending` says what happens inside; `wanted` is None where nothing was wished."""

    instance: GpuInstance
    wanted: t.Optional[Wanted]
    mending: compute.Mending

    @property
    def spec(self) -> InstanceSpec:
        inner = sorted(self.mending.kept + self.mending.created, key=_compute_order)
        return InstanceSpec(self.instance.profile_id, self.instance.profile, self.instance.placement, tuple(inner))


@dataclass(frozen=True)
class Created:
    wanted: Wanted
    placement: Placement

    @property
    def spec(self) -> InstanceSpec:
        profile = self.wanted.profile
        inner = compute.predict(self.wanted.compute, profile)
        return InstanceSpec(profile.id, profile.name, self.placement, inner)


@dataclass(frozen=True)
class Changes:
    """All by placement. `hurt` names the users of what would have to go; it is empty in a plan that may be applied."""

    kept: t.Tuple[Kept, ...] = ()
    destroyed: t.Tuple[GpuInstance, ...] = ()
    created: t.Tuple[Created, ...] = ()
    hurt: t.Tuple[t.Tuple[str, t.Tuple[Claim, ...]], ...] = ()

    @property
    def any(self) -> bool:
        mended = any(kept.mending.destroyed or kept.mending.created for kept in self.kept)
        return bool(self.destroyed or self.created or mended)

    @property
    def layout(self) -> Layout:
        specs = [kept.spec for kept in self.kept] + [created.spec for created in self.created]
        return tuple(sorted(specs, key=lambda spec: spec.placement))


def _compute_order(spec: ComputeSpec) -> t.Tuple[int, str]:
    return (-1 if spec.placement is None else spec.placement.start), spec.profile


def by_place(gpu: Gpu) -> t.List[GpuInstance]:
    return sorted(gpu.mig.instances, key=lambda one: one.placement)


def spec_of(instance: GpuInstance) -> InstanceSpec:
    return InstanceSpec(instance.profile_id, instance.profile, instance.placement, compute.specs(instance))


def keep_all(gpu: Gpu) -> Changes:
    """Nothing changes."""
    return Changes(tuple(Kept(one, None, compute.Mending(compute.specs(one), (), ())) for one in by_place(gpu)))


def destroy_all(gpu: Gpu, usage: Usage) -> Changes:
    """Everything goes, for a GPU whose MIG mode is switched off."""
    ordered = by_place(gpu)
    hurt = [(str(spec_of(one)), usage.instance(one)) for one in ordered if usage.instance(one)]
    return Changes(destroyed=tuple(ordered), hurt=tuple(hurt))


def change_to(gpu: Gpu, wanted: t.Sequence[Wanted], usage: Usage) -> Changes:
    """From the instances of a GPU to exactly the wanted ones."""
    return _Search(gpu, wanted, usage).run()


class _Search:
    """The search for one GPU: tables that it needs again and again, and the two questions asked of them."""

    def __init__(self, gpu: Gpu, wanted: t.Sequence[Wanted], usage: Usage) -> None:
        self.grid: Grid = gpu_grid(gpu.mig.profiles)
        self.name = label(gpu)
        self.there = by_place(gpu)
        # In an order of their own, so that the order in which people write the wish changes nothing.
        self.wanted = sorted(wanted, key=_canonical)
        self.usage = usage
        self.kinds = list(dict.fromkeys(one.compute for one in self.wanted))
        self.requests = [Request(one.profile.id, one.start, self.kinds.index(one.compute)) for one in self.wanted]
        self.busy = [number for number, one in enumerate(self.there) if usage.instance(one)]
        self._mendings: t.Dict[t.Tuple[int, int, bool], t.Optional[compute.Mending]] = {}

    def run(self) -> Changes:
        solution = self._solve(frozenset())
        if solution is not None:
            return self._changes(solution, frozenset())
        # Which busy instances are in the way: the smallest set that would have to be given free.
        for count in range(1, len(self.busy) + 1):
            for freed in itertools.combinations(self.busy, count):
                solution = self._solve(frozenset(freed))
                if solution is not None:
                    return self._changes(solution, frozenset(freed))
        raise InternalError(f"no way was found to a geometry that an empty {self.name} can hold")

    def _solve(self, freed: t.FrozenSet[int]) -> t.Optional[Solution]:
        locked = set(self.busy) - freed
        standing = [self._standing(number, number in locked) for number in range(len(self.there))]
        return solve(self.grid, standing, self.requests, lambda number, kind: self._price(number, kind, freed))

    def _standing(self, number: int, locked: bool) -> Standing:
        one = self.there[number]
        shape = self.grid.shape(one.profile_id)
        uses = self.grid.nothing if shape is None else shape.uses
        return Standing(one.profile_id, one.placement, uses, locked, len(one.compute_instances))

    def _price(self, number: int, kind: int, freed: t.FrozenSet[int]) -> t.Optional[int]:
        mending = self._mending(number, kind, number in freed)
        return None if mending is None else len(mending.destroyed)

    def _mending(self, number: int, kind: int, free: bool) -> t.Optional[compute.Mending]:
        key = (number, kind, free)
        if key not in self._mendings:
            one = self.there[number]
            shape = self.grid.shape(one.profile_id)
            busy = frozenset() if free else self.usage.busy_computes(one)
            slices = 0 if shape is None else shape.slices
            self._mendings[key] = compute.mend(one, slices, self.kinds[kind], busy)
        return self._mendings[key]

    def _changes(self, solution: Solution, freed: t.FrozenSet[int]) -> Changes:
        kept = []
        for number, request in sorted(solution.kept):
            mending = self._mending(number, self.requests[request].kind, number in freed)
            if mending is None:
                raise InternalError(f"no way was found to mend {self.there[number].profile} of {self.name}")
            kept.append(Kept(self.there[number], self.wanted[request], mending))
        created = [Created(self.wanted[request], place) for request, place in solution.created]
        return Changes(
            tuple(kept),
            tuple(self.there[number] for number in solution.destroyed),
            tuple(sorted(created, key=lambda one: one.placement)),
            tuple((str(spec_of(self.there[n])), self.usage.instance(self.there[n])) for n in sorted(freed)),
        )


def _canonical(one: Wanted) -> t.Tuple[t.Any, ...]:
    inner = [(entry.profile, _number(entry.placement), _number(entry.profile_id)) for entry in one.compute or ()]
    return one.profile.id, _number(one.start), one.compute is not None, inner


def _number(value: t.Optional[int]) -> int:
    return -1 if value is None else value


def makes_room_for(instance: GpuInstance, created: t.Sequence[Created]) -> t.Optional[Created]:
    """The new instance that needs the slots of this one, for the reason in `actions`."""
    mask = mask_of(instance.placement)
    return next((one for one in created if mask & mask_of(one.placement)), None)


def busy_error(changes: Changes, where: str, uuid: str, allowed: bool) -> BusyError:
    """Names every instance that would have to go and its users."""
    named = "; ".join(f"{what} is in use by {', '.join(map(str, claims))}" for what, claims in changes.hurt)
    idle = not allowed and any(not claim.has_process for hurt in changes.hurt for claim in hurt[1])
    hint = ", or give allow_destroy_allocated: true for allocations without a process" if idle else ""
    return BusyError(
        f"{where}: the wish needs GPU instances that are in use: {named}; drain them first{OR_DEFER}{hint}",
        gpu=uuid,
        instances=[hurt[0] for hurt in changes.hurt],
        owners=[str(claim) for hurt in changes.hurt for claim in hurt[1]],
    )


def guest_error(where: str, uuid: str) -> BlockedError:
    """A vGPU cannot make or destroy instances: NVML answers NOT_SUPPORTED in such a guest."""
    return BlockedError(
        f"{where}: this is a vGPU, whose MIG instances belong to the hypervisor; change them there", gpu=uuid
    )
