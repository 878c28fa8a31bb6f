# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compute instances inside one GPU instance. PRIVATE to the collection.

The default is the one compute instance that spans the GPU instance with most SMs: on Hopper a double-memory 1g has two
that span it, with 16 and with all 26 SMs (NVIDIA/go-nvlib#85), so the live GPU instance is asked.
"""

from __future__ import annotations

import dataclasses
import typing as t
from collections import Counter

from .._data.compute_instances import CUTS
from .._errors import WishError
from .._nvml.objects import ComputeInstance, ComputeInstanceProfile, GpuInstance, GpuInstanceProfile, Placement
from .assign import Request, Standing, solve
from .layout import compute_grid
from .model import ComputeSpec, ComputeWish, CreateComputeInstance
from .names import compute_slices, offered

Wish = t.Optional[t.Tuple[ComputeWish, ...]]
Profiles = t.Tuple[ComputeInstanceProfile, ...]


class Mending(t.NamedTuple):
    """How the compute instances of a standing GPU instance become the wished ones. `destroyed` are their ids."""

    kept: t.Tuple[ComputeSpec, ...]
    destroyed: t.Tuple[int, ...]
    created: t.Tuple[ComputeSpec, ...]


def find(
    text: t.Optional[str], slices: int, profiles: Profiles, wished_id: t.Optional[int] = None
) -> t.Optional[ComputeInstanceProfile]:
    """The profile that `text` names (None: the default) in a GPU instance with `slices`; None if it has none such."""
    like = [profile for profile in profiles if profile.name == text]
    if not like:
        wanted = slices if text is None else compute_slices(text, slices)
        like = [profile for profile in profiles if profile.slices == wanted]
    exact = next((profile for profile in like if profile.id == wished_id), None)
    # Without a wished id the one with all the SMs is meant, where two have one name.
    return exact or max(like, key=lambda profile: (profile.sms, -profile.id), default=None)


def check_offered(wish: Wish, profile: GpuInstanceProfile, known: Profiles, address: str, gpu: str) -> None:
    """A wished compute instance must exist in such a GPU instance. Raises WishError.

    `known` is what a live GPU instance of this profile offers, empty if there is none to ask. `gpu` is what a message
    says behind the address.
    """
    for number, entry in enumerate(wish or ()):
        wanted = compute_slices(entry.profile, profile.slices)
        cuts = CUTS.get(profile.slices, ())
        there = find(entry.profile, profile.slices, known) is not None if known else not cuts or wanted in cuts
        if not there:
            names = offered(known) or ", ".join(_name(cut, profile) for cut in cuts)
            where = f"{address}.compute[{number}]{gpu}"
            raise WishError(f"{where}: {profile.name} has no compute instance {entry.profile}; it offers {names}")


def predict(wish: Wish, profile: GpuInstanceProfile) -> t.Tuple[ComputeSpec, ...]:
    """The compute instances of a GPU instance that does not exist yet, by name."""
    if wish is None:
        return (ComputeSpec(profile.name),)
    cuts = sorted((compute_slices(entry.profile, profile.slices) or 0 for entry in wish), reverse=True)
    return tuple(ComputeSpec(_name(cut, profile)) for cut in cuts)


def creations(gpu: str, place: Placement, wish: Wish, profile: GpuInstanceProfile) -> t.List[CreateComputeInstance]:
    """Steps for a GPU instance that does not exist yet; `arrange` completes them when it does."""
    if wish is None:
        return [CreateComputeInstance(gpu, place, None, None)]
    ordered = sorted(wish, key=lambda entry: -(compute_slices(entry.profile, profile.slices) or 0))
    return [
        CreateComputeInstance(gpu, place, None, entry.profile, None, entry.placement, entry.profile_id)
        for entry in ordered
    ]


def _name(cut: int, profile: GpuInstanceProfile) -> str:
    return profile.name if cut == profile.slices else f"{cut}c.{profile.name}"


def specs(instance: GpuInstance) -> t.Tuple[ComputeSpec, ...]:
    """The compute instances that a GPU instance has, by placement."""
    return tuple(_spec(one) for one in sorted(instance.compute_instances, key=_by_place))


def _spec(one: ComputeInstance) -> ComputeSpec:
    return ComputeSpec(one.profile, one.profile_id, one.placement)


def _by_place(one: ComputeInstance) -> t.Tuple[int, int]:
    return (-1 if one.placement is None else one.placement.start), one.id


# --- mending a standing GPU instance -------------------------------------------------------------------------------


def mend(instance: GpuInstance, slices: int, wish: Wish, busy: t.AbstractSet[int] = frozenset()) -> t.Optional[Mending]:
    """The change that destroys the fewest compute instances and none of `busy` (ids); None where there is none."""
    entries: t.List[ComputeWish] = [ComputeWish("")] if wish is None else list(wish)
    profiles = instance.compute_profiles
    texts = [entry.profile or None for entry in entries]
    wanted = [find(entry.profile or None, slices, profiles, entry.profile_id) for entry in entries]
    known = [profile for profile in wanted if profile is not None]
    if profiles and len(known) < len(wanted):
        return None
    placed = all(profile.placements for profile in known) and all(one.placement for one in instance.compute_instances)
    if profiles and placed:
        return _mend_by_place(instance, known, [entry.placement for entry in entries], busy)
    return _mend_by_number(instance, slices, texts, busy)


def _mend_by_place(
    instance: GpuInstance,
    wanted: t.Sequence[ComputeInstanceProfile],
    starts: t.Sequence[t.Optional[int]],
    busy: t.AbstractSet[int],
) -> t.Optional[Mending]:
    grid = compute_grid(instance.compute_profiles)
    there = sorted(instance.compute_instances, key=_by_place)
    standing = []
    for one in there:
        shape = grid.shape(one.profile_id)
        if one.placement is None or shape is None:
            return None
        standing.append(Standing(one.profile_id, one.placement, shape.uses, one.id in busy))
    solution = solve(grid, standing, [Request(profile.id, start) for profile, start in zip(wanted, starts)])
    if solution is None:
        return None
    created = [ComputeSpec(wanted[number].name, wanted[number].id, place) for number, place in solution.created]
    return Mending(
        tuple(_spec(there[pair[0]]) for pair in sorted(solution.kept)),
        tuple(there[number].id for number in solution.destroyed),
        tuple(created),
    )


def _mend_by_number(
    instance: GpuInstance, slices: int, wanted: t.Sequence[t.Optional[str]], busy: t.AbstractSet[int]
) -> t.Optional[Mending]:
    """Where the driver tells no placements: as many of each size as wished, the busy ones first to stay."""
    sizes = [slices if text is None else compute_slices(text, slices) for text in wanted]
    missing = Counter(sizes)
    kept, destroyed = [], []
    for one in sorted(instance.compute_instances, key=lambda one: (one.id not in busy, one.id)):
        size = compute_slices(one.profile, slices)
        if missing[size] > 0:
            missing[size] -= 1
            kept.append(_spec(one))
        elif one.id in busy:
            return None
        else:
            destroyed.append(one.id)
    created = []
    for text, size in sorted(zip(wanted, sizes), key=lambda pair: -(pair[1] or 0)):
        if missing[size] > 0:
            missing[size] -= 1
            found = find(text, slices, instance.compute_profiles)
            created.append(ComputeSpec(found.name, found.id) if found else ComputeSpec(text or instance.profile))
    return Mending(tuple(kept), tuple(destroyed), tuple(created))


# --- completing the steps of a GPU instance that has just been made -------------------------------------------------


def arrange(
    instance: GpuInstance, steps: t.Sequence[CreateComputeInstance], slices: t.Optional[int] = None
) -> t.Tuple[CreateComputeInstance, ...]:
    """The steps of one GPU instance with profile ids and, where the driver tells them, placements, in their order.

    `instance` is alive, with the profiles it offers. Raises WishError where it does not offer what is wished.
    """
    if slices is None:
        slices = max((profile.slices for profile in instance.compute_profiles), default=0)
    wish = tuple(ComputeWish(step.profile or "", step.start, step.wished_id) for step in steps)
    if all(step.profile_id is not None for step in steps):
        return tuple(steps)
    known = [find(step.profile, slices, instance.compute_profiles) for step in steps]
    found = None
    if None not in known:
        others = tuple(
            ComputeWish(one.profile, one.placement.start if one.placement else None, one.profile_id)
            for one in instance.compute_instances
        )
        busy = frozenset(one.id for one in instance.compute_instances)
        found = mend(instance, slices, wish + others, busy)
    if found is None:
        asked = ", ".join(entry.profile or instance.profile for entry in wish)
        raise WishError(
            f"GPU instance {instance.profile} at {instance.placement} of {steps[0].gpu} has no room for compute "
            f"instances {asked}; it offers {offered(instance.compute_profiles) or 'none'}"
        )
    return tuple(
        dataclasses.replace(steps[0], profile_id=spec.profile_id, profile=spec.profile, placement=spec.placement)
        for spec in found.created
    )
