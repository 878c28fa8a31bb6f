# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a geometry cannot be, and what could: sentences for people. PRIVATE to the collection."""

from __future__ import annotations

import itertools
import math
import typing as t
from collections import Counter

from .._nvml.objects import GpuInstanceProfile, Placement
from .assign import Request, fits
from .layout import Grid, Shape, mask_of

# What a person reads, and what is tried to find it.
_ALTERNATIVES = 3
_TRIED = 5000


def impossible(grid: Grid, requests: t.Sequence[Request]) -> t.Optional[str]:
    """Why an empty GPU cannot hold all of these, with what it could hold; None if it can."""
    shapes = [_fixed(grid, request)[0] for request in requests]
    why = _overlap(grid, requests) or _shortage(grid, shapes)
    if why is None:
        if fits(grid, requests):
            return None
        why = _collision(grid, requests)
    return f"{listed(grid, requests)} do not fit: {why}; {_alternatives(grid, requests)}"


def listed(grid: Grid, requests: t.Iterable[Request]) -> str:
    """What is asked, as people say it: 2 x 3g.40gb + 1 x 1g.10gb at 4:1, large ones first."""
    counts = Counter(_fixed(grid, request) for request in requests)
    ordered = sorted(counts, key=lambda key: (-key[0].size, -key[0].slices, key[0].name, key[1] or Placement(0, 0)))
    return " + ".join(f"{counts[key]} x {key[0].name}" + ("" if key[1] is None else f" at {key[1]}") for key in ordered)


def slots(mask: int) -> str:
    """ "slot 3" or "slots 0, 1, 2"."""
    numbers = [str(number) for number in range(mask.bit_length()) if mask >> number & 1]
    return f"slot{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def too_little_left(
    profiles: t.Sequence[GpuInstanceProfile], wanted: t.Sequence[GpuInstanceProfile], percent: float
) -> t.Optional[str]:
    """Why the geometry leaves less memory free than `headroom_percent` asks; None if it leaves enough."""
    whole = max((profile.memory_mib for profile in profiles), default=0)
    left = whole - sum(profile.memory_mib for profile in wanted)
    needed = whole * percent / 100
    if left >= needed:
        return None
    return (
        f"headroom_percent {percent:g} wants {needed / 1024:.2f} of {whole / 1024:.2f} GiB left free, the geometry "
        f"leaves {max(left, 0) / 1024:.2f} GiB; wish fewer or smaller instances, or a smaller headroom_percent"
    )


# --- reasons, the plainest first -----------------------------------------------------------------------------------


def _overlap(grid: Grid, requests: t.Sequence[Request]) -> t.Optional[str]:
    """Two explicit placements that want the same slots."""
    fixed = [(shape, place) for shape, place in (_fixed(grid, request) for request in requests) if place is not None]
    for (one, here), (other, there) in itertools.combinations(fixed, 2):
        both = mask_of(here) & mask_of(there)
        if both:
            return f"{one.name} at {here} and {other.name} at {there} both want memory {slots(both)}"
    return None


def _fixed(grid: Grid, request: Request) -> t.Tuple[Shape, t.Optional[Placement]]:
    shape = grid.shape(request.shape)
    if shape is None:
        raise KeyError(request.shape)
    return shape, next((place for place in shape.places if place.start == request.start), None)


def _shortage(grid: Grid, shapes: t.Sequence[Shape]) -> t.Optional[str]:
    """More slots or engines than the GPU has."""
    needed = sum(shape.size for shape in shapes)
    if needed > grid.slots:
        return f"they need {needed} memory slots, the GPU has {grid.slots}"
    for name, limit, column in zip(grid.resources, grid.limits, zip(*(shape.uses for shape in shapes))):
        if sum(column) > limit:
            return f"they need {sum(column)} {name}, the GPU has {limit}"
    return None


def _collision(grid: Grid, requests: t.Sequence[Request]) -> str:
    """Enough of everything, but not in places that match: the first that finds no room, and what is in its way."""
    standing: t.List[Request] = []
    for request in sorted(requests, key=lambda one: (one.start is None, -_fixed(grid, one)[0].size)):
        if fits(grid, standing + [request]):
            standing.append(request)
            continue
        shape, place = _fixed(grid, request)
        places = [place] if place is not None else list(shape.places)
        taken = 0
        for one in standing:
            other = _fixed(grid, one)[1]
            taken |= 0 if other is None else mask_of(other)
        beside = listed(grid, standing)
        blocked = [
            f"{place} (memory {slots(mask_of(place) & taken)} taken)" for place in places if mask_of(place) & taken
        ]
        where = ", ".join(blocked) or ", ".join(str(place) for place in places)
        return f"beside {beside} there is no room for {shape.name}, which can be at {where}"
    return "their places collide"


def _alternatives(grid: Grid, requests: t.Sequence[Request]) -> str:
    """The largest parts of the wish that would fit."""
    counts = Counter(Request(request.shape, request.start) for request in requests)
    keys = sorted(counts, key=lambda key: (key.shape, -1 if key.start is None else key.start))
    most = [min(counts[key], len(_fixed(grid, key)[0].places)) for key in keys]
    parts = _largest(grid, keys, most) if math.prod(n + 1 for n in most) <= _TRIED else _greedy(grid, keys, most)
    if not parts:
        return "none of them fits alone"
    return f"of these would fit {', or '.join(listed(grid, part) for part in parts)}"


def _largest(grid: Grid, keys: t.Sequence[Request], most: t.Sequence[int]) -> t.List[t.List[Request]]:
    """Parts that fit and are not part of another one found, by the slots they fill."""
    sizes = [_fixed(grid, key)[0].size for key in keys]
    ordered = sorted(
        itertools.product(*(range(count, -1, -1) for count in most)),
        key=lambda chosen: (-sum(n * size for n, size in zip(chosen, sizes)), [-n for n in chosen]),
    )
    fitting: t.List[t.Tuple[int, ...]] = []
    for chosen in ordered:
        if len(fitting) == _ALTERNATIVES:
            break
        inside = any(all(a <= b for a, b in zip(chosen, other)) for other in fitting)
        if not inside and any(chosen) and fits(grid, _times(chosen, keys)):
            fitting.append(chosen)
    return [_times(chosen, keys) for chosen in fitting]


def _greedy(grid: Grid, keys: t.Sequence[Request], most: t.Sequence[int]) -> t.List[t.List[Request]]:
    """One part, large ones first, where there are too many to be tried."""
    part: t.List[Request] = []
    for request in sorted(_times(most, keys), key=lambda one: -_fixed(grid, one)[0].size):
        if fits(grid, [*part, request]):
            part.append(request)
    return [part] if part else []


def _times(counts: t.Sequence[int], keys: t.Sequence[Request]) -> t.List[Request]:
    return [key for count, key in zip(counts, keys) for key in [key] * count]
