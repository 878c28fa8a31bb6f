# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wished for each live GPU, checked for all of them before anything is touched. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from .._errors import WishError
from .._nvml.objects import Gpu, GpuInstanceProfile, Snapshot
from .._problems import Problems
from .._select import assign, label
from . import compute, explain, parted
from .assign import Request
from .layout import gpu_grid
from .model import ComputeWish, GpuWish, InstanceWish, NodeWish
from .names import find_by_figures, find_by_name
from .parse import check_compute, selections

# What live GPU instances of a board offer, by GPU name and profile id.
Offers = t.Mapping[t.Tuple[str, int], compute.Profiles]


@dataclass(frozen=True)
class Wanted:
    """One GPU instance of the wish with its live profile."""

    profile: GpuInstanceProfile
    start: t.Optional[int]
    compute: t.Optional[t.Tuple[ComputeWish, ...]]
    address: str


@dataclass(frozen=True)
class GpuTarget:
    """The wish for one GPU. `wanted` None: its instances are not ours to change.

    `unresolved`: instances are wished, but the driver lists no profiles before MIG is on.
    """

    address: str
    mig: bool
    wanted: t.Optional[t.Tuple[Wanted, ...]] = None
    unresolved: bool = False
    notes: t.Tuple[str, ...] = ()
    reason: t.Optional[str] = None
    until: t.Optional[datetime.date] = None


class Resolved(t.NamedTuple):
    """`targets` by GPU UUID, GPUs without a wish absent; `notes` are about the node."""

    targets: t.Dict[str, GpuTarget]
    notes: t.Tuple[str, ...]


def resolve(wish: NodeWish, snapshot: Snapshot, headroom_percent: float = 0) -> t.Dict[str, GpuTarget]:
    """The wish for each GPU by UUID. Raises WishError with every problem of every GPU, a line each."""
    return resolve_node(wish, snapshot, headroom_percent).targets


def resolve_node(wish: NodeWish, snapshot: Snapshot, headroom_percent: float = 0) -> Resolved:
    """As `resolve`, with what should be noted about the node."""
    items, notes = _winners(wish, snapshot)
    offers = _offers(snapshot)
    problems = Problems()
    targets = {}
    for alike in _alike(items, snapshot):
        # GPUs of one model with one wish have one problem: it is told once.
        more = "" if len(alike) == 1 else f" (the same for {len(alike) - 1} more GPUs of this model)"
        with problems.caught(more):
            for gpu in alike:
                targets[gpu.uuid] = _target(items[gpu.uuid], gpu, offers, headroom_percent)
    problems.raise_any()
    return Resolved(targets, tuple(notes))


def _alike(items: t.Mapping[str, GpuWish], snapshot: Snapshot) -> t.List[t.List[Gpu]]:
    """GPUs with a wish, those together to which it means the same."""
    groups: t.Dict[t.Any, t.List[Gpu]] = {}
    for gpu in snapshot.gpus:
        if gpu.uuid in items:
            mig = gpu.mig
            key = (items[gpu.uuid].address, gpu.name, gpu.memory_mib, mig.capable, bool(mig.current), mig.profiles)
            groups.setdefault(key, []).append(gpu)
    return list(groups.values())


# --- which item rules which GPU ------------------------------------------------------------------------------------


def _winners(wish: NodeWish, snapshot: Snapshot) -> t.Tuple[t.Dict[str, GpuWish], t.List[str]]:
    if wish.form == "mig_parted":
        return _parted_winners(wish, snapshot)
    chosen = assign(selections(wish), snapshot.gpus, snapshot.failures)
    return {uuid: selection.item for uuid, selection in chosen.items()}, list(wish.notes)


def _parted_winners(wish: NodeWish, snapshot: Snapshot) -> t.Tuple[t.Dict[str, GpuWish], t.List[str]]:
    """Later items win; an item that matches nothing is legal. Both are noted, our own form has neither."""
    winners: t.Dict[str, GpuWish] = {}
    notes = list(wish.notes)
    for item in wish.gpus:
        matched = [gpu for gpu in snapshot.gpus if item.parted and parted.matches(item.parted, gpu)]
        if not matched:
            notes.append(f"{item.address}: matches no GPU of this node")
        for gpu in matched:
            if gpu.uuid in winners:
                notes.append(f"{item.address}: overrides {winners[gpu.uuid].address} on {gpu.uuid}, later items win")
            winners[gpu.uuid] = item
    return winners, notes


# --- the wish for one GPU ------------------------------------------------------------------------------------------


def _target(item: GpuWish, gpu: Gpu, offers: Offers, headroom_percent: float) -> GpuTarget:
    if not gpu.mig.capable:
        return _without_mig(item, gpu)
    target = GpuTarget(item.address, item.mig, reason=item.reason, until=item.until)
    if not item.mig or item.instances is None:
        return target
    if not gpu.mig.profiles:
        return _without_profiles(item, gpu)
    notes: t.List[str] = []
    wanted = _wanted(item.instances, gpu, offers, notes)
    where = f"{item.address} ({label(gpu)})"
    why = explain.impossible(gpu_grid(gpu.mig.profiles), [Request(one.profile.id, one.start) for one in wanted])
    if why is not None:
        raise WishError(f"{where}: {why}", address=item.address, gpu=gpu.uuid)
    short = explain.too_little_left(gpu.mig.profiles, [one.profile for one in wanted], headroom_percent)
    if short is not None:
        raise WishError(f"{where}: {short}", address=item.address, gpu=gpu.uuid)
    return GpuTarget(item.address, True, wanted, False, tuple(dict.fromkeys(notes)), item.reason, item.until)


def _without_mig(item: GpuWish, gpu: Gpu) -> GpuTarget:
    """MIG off is what a GPU without MIG has. mig-parted skips such GPUs under `devices: all`."""
    if not item.mig:
        return GpuTarget(item.address, False, reason=item.reason, until=item.until)
    if item.parted is not None and item.parted.indexes is None:
        return GpuTarget(item.address, False, notes=(f"{item.address}: this GPU has no MIG, mig-parted skips it",))
    raise WishError(
        f"{item.address} ({label(gpu)}): mig is true, but this GPU has no MIG; give mig: false, or a selector without "
        "this GPU",
        address=item.address,
        gpu=gpu.uuid,
    )


def _without_profiles(item: GpuWish, gpu: Gpu) -> GpuTarget:
    if gpu.mig.current:
        raise WishError(
            f"{item.address} ({label(gpu)}): the driver lists no GPU instance profiles although MIG is on; update the "
            "driver",
            address=item.address,
            gpu=gpu.uuid,
        )
    return GpuTarget(item.address, True, None, True, (), item.reason, item.until)


def _wanted(wishes: t.Sequence[InstanceWish], gpu: Gpu, offers: Offers, notes: t.List[str]) -> t.Tuple[Wanted, ...]:
    problems = Problems()
    wanted: t.List[Wanted] = []
    for wish in wishes:
        with problems.caught():
            profile = _profile(wish, gpu, notes)
            _check_start(wish, profile, gpu)
            behind = f" ({label(gpu)})"
            if wish.profile is None:
                check_compute(wish, profile.slices, behind)
            known = offers.get((gpu.name, profile.id), ())
            compute.check_offered(wish.compute, profile, known, wish.address, behind)
            wanted.extend([Wanted(profile, wish.placement, wish.compute, wish.address)] * wish.count)
    problems.raise_any()
    return tuple(wanted)


def _profile(wish: InstanceWish, gpu: Gpu, notes: t.List[str]) -> GpuInstanceProfile:
    if wish.profile is None:
        return find_by_figures(wish.slices or 0, wish.memory_gib, wish.attributes, gpu, wish.address)
    profile, note = find_by_name(wish.profile, gpu, wish.address)
    if note is not None:
        notes.append(note)
    return profile


def _check_start(wish: InstanceWish, profile: GpuInstanceProfile, gpu: Gpu) -> None:
    starts = [place.start for place in profile.placements]
    if wish.placement is not None and wish.placement not in starts:
        raise WishError(
            f"{wish.address}.placement ({label(gpu)}): {profile.name} cannot start at memory slot {wish.placement}; "
            f"it can at {', '.join(map(str, sorted(starts)))}",
            address=wish.address,
            gpu=gpu.uuid,
        )


def _offers(snapshot: Snapshot) -> Offers:
    return {
        (gpu.name, instance.profile_id): instance.compute_profiles
        for gpu in snapshot.gpus
        for instance in gpu.mig.instances
        if instance.compute_profiles
    }
