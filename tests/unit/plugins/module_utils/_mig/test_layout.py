# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._mig.layout import gpu_grid, is_maximal, layouts
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._mig import oracle

# Layouts, maximal layouts, distinct maximal multisets: the figures of an enumeration made outside this repository.
COUNTS = [
    ("a100-80gb", oracle.BASE["a100-80gb"], (298, 19, 14)),
    ("h100-80gb-sxm5", oracle.BASE["h100-80gb-sxm5"], (298, 19, 14)),
    ("a100-80gb", None, (2319, 239, 64)),
    ("h100-80gb-sxm5", None, (2319, 239, 64)),
    ("b200-180gb", None, (2319, 239, 64)),
    ("a30-24gb", oracle.BASE["a30-24gb"], (26, 5, 4)),
    ("rtx-pro-6000-blackwell-96gb", oracle.BASE["rtx-pro-6000-blackwell-96gb"], (26, 5, 4)),
]


@pytest.mark.parametrize(("key", "names", "counts"), COUNTS)
def test_number_of_layouts(key, names, counts):
    grid = gpu_grid(tuple(row for row in boards.profiles(key) if names is None or row.name in names))
    everything = list(layouts(grid))
    full = [layout for layout in everything if is_maximal(grid, layout)]
    assert (len(everything), len(full), len({tuple(sorted(place[0] for place in one)) for one in full})) == counts


@pytest.mark.parametrize("key", ["a30-24gb", "a100-40gb", "rtx-pro-6000-blackwell-96gb"])
def test_same_layouts_as_plain_enumeration(key):
    grid = gpu_grid(boards.profiles(key))
    names = {row.id: row.name for row in boards.profiles(key)}
    found = {frozenset((names[shape], start) for shape, start in layout) for layout in layouts(grid)}
    assert found == set(oracle.layouts(key))


def test_a30_does_not_trust_the_instance_count():
    row = boards.profile("a30-24gb", "1g.6gb")
    assert row.instance_count == 7
    grid = gpu_grid(boards.profiles("a30-24gb"))
    assert max(len(layout) for layout in layouts(grid)) == 4


def test_all_media_engines_leave_room_for_instances_without_any():
    key = "rtx-pro-6000-blackwell-96gb"
    beside = {place[0] for layout in oracle.layouts(key) if ("1g.24gb+me.all", 0) in layout for place in layout}
    assert beside == {"1g.24gb+me.all", "1g.24gb-me", "2g.48gb-me"}
