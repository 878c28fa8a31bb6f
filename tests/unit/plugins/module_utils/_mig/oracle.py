# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layouts and minima by plain enumeration, written without a look at the planner: sets of slots and nothing else."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

# (profile name, start)
Position = t.Tuple[str, int]
Layout = t.FrozenSet[Position]
Multiset = t.Tuple[str, ...]

BASE = {
    "a100-80gb": ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    "h100-80gb-sxm5": ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    "a30-24gb": ("1g.6gb", "2g.12gb", "4g.24gb"),
    "rtx-pro-6000-blackwell-96gb": ("1g.24gb", "2g.48gb", "4g.96gb"),
}


@functools.cache
def positions(
    key: str, names: t.Optional[t.Tuple[str, ...]]
) -> t.Tuple[t.Tuple[Position, t.FrozenSet[int], t.Any], ...]:
    return tuple(
        ((row.name, place.start), frozenset(place.slots), (row.decoders, row.encoders, row.jpegs, row.ofas))
        for row in boards.profiles(key)
        if names is None or row.name in names
        for place in row.placements
    )


@functools.cache
def layouts(key: str, names: t.Optional[t.Tuple[str, ...]] = None) -> t.Tuple[Layout, ...]:
    """Every set of positions that shares no slot and takes no more engines and slices than the GPU has."""
    everything = positions(key, names)
    slices = {row.name: row.slices for row in boards.profiles(key)}
    engines = [max(column) for column in zip(*(row[2] for row in everything))]
    found: t.Set[Layout] = {frozenset()}
    frontier: t.Set[Layout] = {frozenset()}
    where = {position: (slots, uses) for position, slots, uses in everything}
    while frontier:
        grown = set()
        for layout in frontier:
            taken = frozenset().union(*(where[position][0] for position in layout))
            for position, slots, uses in everything:
                if taken & slots:
                    continue
                sums = [sum(column) for column in zip(uses, *(where[other][1] for other in layout))]
                width = slices[position[0]] + sum(slices[other[0]] for other in layout)
                if all(a <= b for a, b in zip(sums, engines)) and width <= max(slices.values()):
                    grown.add(layout | {position})
        frontier = grown - found
        found |= grown
    return tuple(sorted(found, key=sorted))


def multiset(layout: t.Iterable[Position]) -> Multiset:
    return tuple(sorted(position[0] for position in layout))


@functools.cache
def maximal(key: str, names: t.Optional[t.Tuple[str, ...]] = None) -> t.Tuple[Layout, ...]:
    """Layouts that are part of no larger one."""
    everything = layouts(key, names)
    return tuple(
        one for one in everything if not any(one < other for other in everything if len(other) == len(one) + 1)
    )


@functools.cache
def by_multiset(key: str, names: t.Optional[t.Tuple[str, ...]] = None) -> t.Dict[Multiset, t.Tuple[Layout, ...]]:
    grouped: t.Dict[Multiset, t.List[Layout]] = {}
    for layout in layouts(key, names):
        grouped.setdefault(multiset(layout), []).append(layout)
    return {key: tuple(group) for key, group in grouped.items()}


def least_destroyed(
    key: str, names: t.Optional[t.Tuple[str, ...]], now: Layout, wish: Multiset, busy: Layout = frozenset()
) -> t.Optional[int]:
    """The smallest number of instances that must go; None if a busy one would have to."""
    targets = [layout for layout in by_multiset(key, names)[wish] if busy <= layout]
    return min((len(now - layout) for layout in targets), default=None)
