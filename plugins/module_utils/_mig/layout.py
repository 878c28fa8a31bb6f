# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The grid of a GPU: slots, shapes, engines, and which layouts can exist. PRIVATE to the collection.

A GPU instance occupies memory slots (bits of a mask) and engines. The driver's `instanceCount` is never used: it is
wrong on A30 (NVIDIA/mig-parted pkg/mig/discovery), while placements and engines decide the same and are right.

The same grid describes a GPU instance and its compute instances: slots are then compute slots.
"""

from __future__ import annotations

import functools
import typing as t

from .._nvml.objects import ComputeInstanceProfile, GpuInstanceProfile, Placement

# What GPU instances take besides memory slots. Media engines are shared out once (nvml.h: *_ALL_ME "prevents
# allocation of all but _NO_ME profiles"). Copy engines never decide in any listing and their totals are not known for
# every board, so they are left to the driver.
RESOURCES = ("compute slices", "decoders", "encoders", "JPEG engines", "optical flow engines")

Uses = t.Tuple[int, ...]


class Shape(t.NamedTuple):
    """A profile as the search sees it. `places` are by start; `uses` follows `Grid.resources`."""

    id: int
    name: str
    slices: int
    size: int
    places: t.Tuple[Placement, ...]
    uses: Uses


class Grid:
    """Slots, shapes and limits. Compared by identity: `gpu_grid` and `compute_grid` hand out one grid a table."""

    def __init__(self, shapes: t.Sequence[Shape], resources: t.Tuple[str, ...]) -> None:
        # Large shapes first: it is the order in which people think and in which a search fails early.
        self.shapes = tuple(sorted(shapes, key=lambda shape: (-shape.size, -shape.slices, shape.id)))
        self.resources = resources
        self.slots = max((place.start + place.size for shape in shapes for place in shape.places), default=0)
        # The GPU has what its largest profile gets. Where two are of full size, each engine's larger figure counts.
        self.limits: Uses = tuple(max(column) for column in zip(*(shape.uses for shape in shapes)))
        self._by_id = {shape.id: shape for shape in shapes}

    def shape(self, id: int) -> t.Optional[Shape]:
        return self._by_id.get(id)

    def free_places(self, shape: Shape, mask: int, used: Uses) -> t.List[Placement]:
        """Where one more of this shape could go."""
        if not self.within(added(used, shape.uses)):
            return []
        return [place for place in shape.places if not mask & mask_of(place)]

    def within(self, used: Uses) -> bool:
        return all(amount <= limit for amount, limit in zip(used, self.limits))

    @property
    def nothing(self) -> Uses:
        return (0,) * len(self.resources)


def mask_of(place: Placement) -> int:
    return ((1 << place.size) - 1) << place.start


def added(used: Uses, more: Uses) -> Uses:
    return tuple(map(sum, zip(used, more)))


@functools.lru_cache(maxsize=64)
def gpu_grid(profiles: t.Tuple[GpuInstanceProfile, ...]) -> Grid:
    """The grid of GPU instances on a GPU, from its live profile table."""
    return Grid(
        [
            Shape(
                profile.id,
                profile.name,
                profile.slices,
                max((place.size for place in profile.placements), default=0),
                tuple(sorted(profile.placements)),
                (profile.slices, profile.decoders, profile.encoders, profile.jpegs, profile.ofas),
            )
            for profile in profiles
        ],
        RESOURCES,
    )


@functools.lru_cache(maxsize=64)
def compute_grid(profiles: t.Tuple[ComputeInstanceProfile, ...]) -> Grid:
    """The grid of compute instances in one GPU instance, from its live profile table."""
    return Grid(
        [
            Shape(
                profile.id,
                profile.name,
                profile.slices,
                max((place.size for place in profile.placements), default=0),
                tuple(sorted(profile.placements)),
                (profile.slices,),
            )
            for profile in profiles
        ],
        ("compute slices",),
    )


@functools.lru_cache(maxsize=65536)
def openness(grid: Grid, mask: int, used: Uses) -> t.Tuple[int, ...]:
    """How many places each shape still has, large shapes first: the larger, the less fragmented."""
    return tuple(len(grid.free_places(shape, mask, used)) for shape in grid.shapes)


Position = t.Tuple[int, int]  # (shape id, start)


def layouts(grid: Grid) -> t.Iterator[t.Tuple[Position, ...]]:
    """Every layout that can exist, by start, the empty one included."""
    starts = sorted(
        (place.start, shape.id, mask_of(place), shape.uses) for shape in grid.shapes for place in shape.places
    )

    def extend(first: int, mask: int, used: Uses, chosen: t.Tuple[Position, ...]) -> t.Iterator[t.Tuple[Position, ...]]:
        yield chosen
        for number in range(first, len(starts)):
            start, shape_id, place_mask, uses = starts[number]
            if not mask & place_mask and grid.within(added(used, uses)):
                yield from extend(number + 1, mask | place_mask, added(used, uses), chosen + ((shape_id, start),))

    return extend(0, 0, grid.nothing, ())


def is_maximal(grid: Grid, layout: t.Sequence[Position]) -> bool:
    """Whether nothing more finds room."""
    mask, used = occupied(grid, layout)
    return not any(openness(grid, mask, used))


def occupied(grid: Grid, layout: t.Iterable[Position]) -> t.Tuple[int, Uses]:
    """The slots and engines that a layout takes."""
    mask, used = 0, grid.nothing
    for shape_id, start in layout:
        shape = grid.shape(shape_id)
        if shape is None:
            raise KeyError(shape_id)
        mask |= mask_of(Placement(start, shape.size))
        used = added(used, shape.uses)
    return mask, used
