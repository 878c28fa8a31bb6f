# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The search: which standing instances stay, which go, where new ones are put. PRIVATE to the collection.

Exact by iterative deepening: first with no free instance given up, then with one, then two; within the first number
that works the rest of the order decides (fewest compute instances lost, then least fragmented, then lowest starts). A
GPU holds at most a dozen instances, so the whole space is small; the lower bound on what must go, and remembering how
a set of requests fits beside a mask of slots, keep it to microseconds.
"""

from __future__ import annotations

import functools
import itertools
import typing as t
from collections import Counter

from .._nvml.objects import Placement
from .layout import Grid, Uses, added, mask_of, openness


class Standing(t.NamedTuple):
    """An instance that exists. `locked` must stay. `weight` is what else is lost with it (compute instances)."""

    shape: int
    place: Placement
    uses: Uses
    locked: bool = False
    weight: int = 0


class Request(t.NamedTuple):
    """An instance that is wished. Requests of one `kind` are alike; `start` None means anywhere."""

    shape: int
    start: t.Optional[int] = None
    kind: int = 0


class Solution(t.NamedTuple):
    """`kept` pairs numbers of standing instances and requests; `created` pairs requests and places."""

    kept: t.Tuple[t.Tuple[int, int], ...]
    destroyed: t.Tuple[int, ...]
    created: t.Tuple[t.Tuple[int, Placement], ...]


# What it costs to make the standing instance serve the kind of request: compute instances lost, None if impossible.
Mend = t.Callable[[int, int], t.Optional[int]]

_Score = t.Tuple[int, t.Tuple[int, ...], t.Tuple[int, ...]]
_Placed = t.Tuple[t.Tuple[int, ...], t.Tuple[Placement, ...]]


def solve(
    grid: Grid, standing: t.Sequence[Standing], requests: t.Sequence[Request], mend: Mend = lambda number, kind: 0
) -> t.Optional[Solution]:
    """The best way from the standing instances to exactly the requests; None where there is none."""
    free = [number for number, one in enumerate(standing) if not one.locked]
    for count in range(_least_destroyed(standing, requests), len(free) + 1):
        best: t.Optional[t.Tuple[_Score, Solution]] = None
        for destroyed in itertools.combinations(free, count):
            found = _without(grid, standing, requests, destroyed, mend)
            if found is not None and (best is None or found[0] < best[0]):
                best = found
        if best is not None:
            return best[1]
    return None


def _least_destroyed(standing: t.Sequence[Standing], requests: t.Sequence[Request]) -> int:
    """Instances beyond the wished number of their shape cannot stay."""
    surplus = Counter(one.shape for one in standing)
    surplus.subtract(Counter(request.shape for request in requests))
    return sum(number for number in surplus.values() if number > 0)


def _without(
    grid: Grid,
    standing: t.Sequence[Standing],
    requests: t.Sequence[Request],
    destroyed: t.Tuple[int, ...],
    mend: Mend,
) -> t.Optional[t.Tuple[_Score, Solution]]:
    """The best solution that gives up just these standing instances."""
    gone = set(destroyed)
    kept = [number for number in range(len(standing)) if number not in gone]
    matched = _match(standing, kept, requests, mend)
    if matched is None:
        return None
    cost, pairs = matched
    mask, used = 0, grid.nothing
    for number in kept:
        mask |= mask_of(standing[number].place)
        used = added(used, standing[number].uses)
    taken = {pair[1] for pair in pairs}
    rest = sorted(
        (number for number in range(len(requests)) if number not in taken), key=lambda n: _order(grid, requests[n])
    )
    placed = _place(grid, tuple((requests[n].shape, requests[n].start) for n in rest), mask, used)
    if placed is None:
        return None
    fragmented, places = placed
    weight = cost + sum(standing[number].weight for number in destroyed)
    score = (weight, fragmented, tuple(place.start for place in places))
    return score, Solution(tuple(pairs), destroyed, tuple(zip(rest, places)))


def _order(grid: Grid, request: Request) -> t.Tuple[bool, int, int, int]:
    """Fixed starts first, then large shapes, equal shapes together."""
    shape = grid.shape(request.shape)
    return request.start is None, -(shape.size if shape else 0), request.shape, request.start or 0


# --- which kept instance serves which request ----------------------------------------------------------------------


def _match(
    standing: t.Sequence[Standing], kept: t.Sequence[int], requests: t.Sequence[Request], mend: Mend
) -> t.Optional[t.Tuple[int, t.List[t.Tuple[int, int]]]]:
    """The cheapest pairing of all kept instances with requests of their shape; None where one finds no request."""
    open_: t.Dict[t.Tuple[int, t.Optional[int], int], t.List[int]] = {}
    for number, request in enumerate(requests):
        open_.setdefault((request.shape, request.start, request.kind), []).append(number)
    keys = tuple(open_)

    @functools.cache
    def cheapest(position: int, left: t.Tuple[int, ...]) -> t.Optional[t.Tuple[int, t.Tuple[int, ...]]]:
        if position == len(kept):
            return 0, ()
        number = kept[position]
        best: t.Optional[t.Tuple[int, t.Tuple[int, ...]]] = None
        for choice in _choices(keys, left, standing[number]):
            price = mend(number, keys[choice][2])
            if price is None:
                continue
            tail = cheapest(position + 1, left[:choice] + (left[choice] - 1,) + left[choice + 1 :])
            if tail is not None and (best is None or price + tail[0] < best[0]):
                best = (price + tail[0], (choice,) + tail[1])
        return best

    found = cheapest(0, tuple(len(open_[key]) for key in keys))
    if found is None:
        return None
    return found[0], [(number, open_[keys[choice]].pop(0)) for number, choice in zip(kept, found[1])]


def _choices(
    keys: t.Sequence[t.Tuple[int, t.Optional[int], int]], left: t.Sequence[int], standing: Standing
) -> t.List[int]:
    """A request for this very place goes before requests for any place: nothing else could serve it."""
    fitting = [n for n, key in enumerate(keys) if key[0] == standing.shape and left[n]]
    exact = [n for n in fitting if keys[n][1] == standing.place.start]
    return exact or [n for n in fitting if keys[n][1] is None]


# --- where new ones go ---------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=65536)
def _place(
    grid: Grid, wanted: t.Tuple[t.Tuple[int, t.Optional[int]], ...], mask: int, used: Uses
) -> t.Optional[_Placed]:
    """The least fragmenting places for `wanted`, in its order, beside the occupied slots; None if there is no room.

    The first part is the score, smaller is better; equal scores are settled by the lower starts.
    """
    if not wanted:
        return tuple(-places for places in openness(grid, mask, used)), ()
    (shape_id, start), rest = wanted[0], wanted[1:]
    shape = grid.shape(shape_id)
    if shape is None:
        return None
    best: t.Optional[_Placed] = None
    for place in grid.free_places(shape, mask, used):
        if start not in (None, place.start):
            continue
        found = _place(grid, rest, mask | mask_of(place), added(used, shape.uses))
        if found is not None:
            candidate = (found[0], (place,) + found[1])
            best = candidate if best is None or candidate < best else best
    return best


def fits(grid: Grid, requests: t.Iterable[Request]) -> bool:
    """Whether an empty grid could hold all of them."""
    ordered = sorted(requests, key=lambda request: _order(grid, request))
    return _place(grid, tuple((r.shape, r.start) for r in ordered), 0, grid.nothing) is not None
