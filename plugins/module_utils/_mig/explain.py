# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a geometry cannot be, and what could: sentences for people. PRIVATE to the collection."""

from __future__ import annotations

import itertools
import typing as t
from collections import Counter

from .._nvml.objects import GpuInstanceProfile, Placement
from .assign import Request, fits
from .layout import Grid, Shape, mask_of

_ALTERNATIVES = 3


def impossible(grid: Grid, requests: t.Sequence[Request]) -> t.Optional[str]:
    """Why an empty GPU cannot hold all of these, with what it could hold; None if it can."""
    shapes = [shape for shape in (grid.shape(request.shape) for request in requests) if shape is not None]
    why = _overlap(grid, requests) or _shortage(grid, shapes)
    if why is None:
        if fits(grid, requests):
            return None
        why = _collision(grid, requests)
    return f"{listed(shapes)} do not fit: {why}; {_alternatives(grid, requests)}"


def listed(shapes: t.Iterable[Shape]) -> str:
    """ "2 x 3g.40gb + 1 x 1g.10gb", large ones first."""
    counts = Counter(shapes)
    ordered = sorted(counts, key=lambda shape: (-shape.size, -shape.slices, shape.name))
    return " + ".join(f"{counts[shape]} x {shape.name}" for shape in ordered)


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
        beside = listed(_fixed(grid, one)[0] for one in standing)
        blocked = [
            f"{place} (memory {slots(mask_of(place) & taken)} taken)" for place in places if mask_of(place) & taken
        ]
        where = ", ".join(blocked) or ", ".join(str(place) for place in places)
        return f"beside {beside} there is no room for {shape.name}, which can be at {where}"
    return "their places collide"


def _alternatives(grid: Grid, requests: t.Sequence[Request]) -> str:
    """The largest parts of the wish that would fit."""
    counts = Counter((request.shape, request.start) for request in requests)
    keys = sorted(counts, key=lambda key: (key[0], key[1] or -1))
    ranges = [range(min(counts[key], len(_shape(grid, key).places)), -1, -1) for key in keys]
    fitting: t.List[t.Tuple[int, ...]] = []
    ordered = sorted(
        itertools.product(*ranges),
        key=lambda chosen: (-sum(n * _shape(grid, key).size for n, key in zip(chosen, keys)), [-n for n in chosen]),
    )
    for chosen in ordered:
        if any(all(a <= b for a, b in zip(chosen, other)) for other in fitting):
            continue
        if any(chosen) and fits(grid, [Request(*key) for key in _times(chosen, keys)]):
            fitting.append(chosen)
            if len(fitting) == _ALTERNATIVES:
                break
    if not fitting:
        return "none of them fits alone"
    parts = [listed(_shape(grid, key) for key in _times(chosen, keys)) for chosen in fitting]
    return f"of these would fit {', or '.join(parts)}"


def _times(
    counts: t.Sequence[int], keys: t.Sequence[t.Tuple[int, t.Optional[int]]]
) -> t.List[t.Tuple[int, t.Optional[int]]]:
    return [key for count, key in zip(counts, keys) for key in [key] * count]


def _shape(grid: Grid, key: t.Tuple[int, t.Optional[int]]) -> Shape:
    return _fixed(grid, Request(*key))[0]
