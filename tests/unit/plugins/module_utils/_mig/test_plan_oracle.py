# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner against brute force: it never destroys one instance more than it must."""

from __future__ import annotations

import collections
import dataclasses
import random
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import BusyError
from ansible_collections.accel.gpu.plugins.module_utils._mig import model
from ansible_collections.accel.gpu.plugins.module_utils._mig.compute import mend
from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._mig.plan import plan
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import ComputeInstance, GpuInstance, Process
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._mig import oracle


def planned(key, names, now, wish, busy=frozenset()):
    standing = sorted(now, key=lambda position: position[1])
    processes = [
        Process(4000 + number, "compute", "job", None, number + 1, 0)
        for number, position in enumerate(standing)
        if position in busy
    ]
    gpu = boards.gpu(key, instances=standing, processes=processes)
    if names is not None:
        table = tuple(row for row in gpu.mig.profiles if row.name in names)
        gpu = dataclasses.replace(gpu, mig=dataclasses.replace(gpu.mig, profiles=table))
    counts = dict(collections.Counter(wish))
    return plan(parse([{"gpus": "all", "instances": counts, "mig": True}]), boards.node(gpu))


def destroyed(made):
    return {step.placement.start for step in made.steps if isinstance(step, model.DestroyGpuInstance)}


def maximal_wishes(key, names):
    return sorted({oracle.multiset(layout) for layout in oracle.maximal(key, names)})


@pytest.mark.parametrize("key", sorted(oracle.BASE))
def test_every_layout_and_every_maximal_wish(key):
    names = oracle.BASE[key]
    for now in oracle.layouts(key, names):
        for wish in maximal_wishes(key, names):
            made = planned(key, names, now, wish)
            assert len(destroyed(made)) == oracle.least_destroyed(key, names, now, wish), (sorted(now), wish)


@pytest.mark.full
def test_every_layout_and_every_maximal_wish_with_media_and_double_memory():
    key = "h100-80gb-sxm5"
    for now in oracle.layouts(key):
        for wish in maximal_wishes(key, None):
            made = planned(key, None, now, wish)
            assert len(destroyed(made)) == oracle.least_destroyed(key, None, now, wish), (sorted(now), wish)


@pytest.mark.parametrize(
    ("key", "cases"),
    [("a30-24gb", 10_000), ("a100-80gb", 1500), ("h100-80gb-sxm5", 500), ("rtx-pro-6000-blackwell-96gb", 1000)],
)
def test_media_and_double_memory_profiles(key, cases):
    """Exhaustive on A30; of the larger grids a seeded sample. All wishes, not only the maximal."""
    pairs = [(now, wish) for now in oracle.layouts(key) for wish in oracle.by_multiset(key)]
    chosen = pairs if len(pairs) <= cases else random.Random(20261122).sample(pairs, cases)
    for now, wish in chosen:
        made = planned(key, None, now, wish)
        assert len(destroyed(made)) == oracle.least_destroyed(key, None, now, wish), (sorted(now), wish)


@pytest.mark.parametrize(
    ("key", "cases"), [("a30-24gb", 600), ("a100-80gb", 1200), ("rtx-pro-6000-blackwell-96gb", 600)]
)
def test_with_busy_instances(key, cases):
    """A busy instance is never destroyed; refused is what cannot be had without, and only that."""
    chance = random.Random(4711)
    refused = 0
    for _unused in range(cases):
        now = chance.choice(oracle.layouts(key))
        wish = chance.choice(sorted(oracle.by_multiset(key)))
        busy = frozenset(position for position in now if chance.random() < 0.3)
        made = planned(key, None, now, wish, busy)
        least = oracle.least_destroyed(key, None, now, wish, busy)
        if least is None:
            refused += 1
            assert isinstance(made.refusal, BusyError)
            assert made.steps == ()
        else:
            assert made.refusal is None
            assert len(destroyed(made)) == least
            assert not destroyed(made) & {position[1] for position in busy}
    assert 0 < refused < cases


def test_a_refusal_names_the_fewest_instances():
    made = planned(
        "a100-80gb", None, frozenset({("1g.10gb", 0), ("1g.10gb", 6)}), ("4g.40gb",), frozenset({("1g.10gb", 6)})
    )
    assert made.refusal is not None
    assert made.refusal.facts["instances"] == ["1g.10gb at 6:1"]
    assert made.refusal.facts["owners"] == ["process 4001 (job)"]


def compute_loss(now, target, cut):
    """Compute instances lost on the way: all of a destroyed GPU instance, and those that are not the default."""
    return sum(cut[position] for position in now if position not in target or cut[position] > 1)


@pytest.mark.parametrize(("key", "cases"), [("a30-24gb", 400), ("a100-80gb", 600)])
def test_among_those_the_fewest_compute_instances_go(key, cases):
    chance = random.Random(31)
    decided = 0
    for _unused in range(cases):
        now = chance.choice(oracle.layouts(key))
        wish = chance.choice(sorted(oracle.by_multiset(key)))
        cut = {position: chance.choice((0, 1, boards.profile(key, position[0]).slices)) for position in now}
        standing = [
            (name, start, (f"1c.{name}",) * cut[name, start]) if cut[name, start] != 1 else (name, start)
            for name, start in sorted(now, key=lambda position: position[1])
        ]
        made = plan(
            parse([{"gpus": "all", "mig": True, "instances": dict(collections.Counter(wish))}]),
            boards.node(boards.gpu(key, instances=standing)),
        )
        targets = oracle.by_multiset(key)[wish]
        least = min(len(now - target) for target in targets)
        losses = {compute_loss(now, target, cut) for target in targets if len(now - target) == least}
        decided += len(losses) > 1
        lost = sum(isinstance(step, model.DestroyComputeInstance) for step in made.steps)
        assert lost == min(losses), (sorted(now), wish, cut)
    assert decided > cases // 20


def left_open(key, layout):
    """How many places each profile still has, the large profiles first."""
    everything = set(oracle.layouts(key))
    rows = sorted(boards.profiles(key), key=lambda row: (-row.placements[0].size, -row.slices, row.id))
    return [
        sum(layout | {(row.name, p.start)} in everything for p in row.placements if (row.name, p.start) not in layout)
        for row in rows
    ]


@pytest.mark.parametrize(("key", "cases"), [("a30-24gb", 300), ("a100-80gb", 300)])
def test_among_those_the_least_fragmented_is_taken(key, cases):
    chance = random.Random(5)
    decided = 0
    for _unused in range(cases):
        now = chance.choice(oracle.layouts(key))
        wish = chance.choice(sorted(oracle.by_multiset(key)))
        made = planned(key, None, now, wish)
        targets = oracle.by_multiset(key)[wish]
        least = min(len(now - target) for target in targets)
        best = [left_open(key, target) for target in targets if len(now - target) == least]
        decided += len({tuple(one) for one in best}) > 1
        got = frozenset((spec.profile, spec.placement.start) for spec in made.gpus[0].after.layout)
        assert left_open(key, got) == max(best), (sorted(now), wish)
    assert decided > cases // 20


# --- the same inside a GPU instance --------------------------------------------------------------------------------


def compute_layouts(profiles):
    places = [(row, place) for row in profiles for place in row.placements]
    found: t.List[t.Tuple[t.Any, ...]] = [()]
    for row, place in places:
        found += [(*one, (row, place)) for one in found if not any(place.overlaps(other[1]) for other in one)]
    return found


@pytest.mark.parametrize(
    ("key", "name"),
    [("a100-80gb", "3g.40gb"), ("a100-80gb", "4g.40gb"), ("a100-80gb", "7g.80gb"), ("h100-80gb-sxm5", "1g.20gb")],
)
def test_compute_instances_are_mended_with_the_fewest_destroyed(key, name):
    profiles = boards.compute_profiles(key, name)
    row = boards.profile(key, name)
    everything = compute_layouts(profiles)
    groups = collections.defaultdict(list)
    for layout in everything:
        groups[tuple(sorted((entry[0].name, entry[0].id) for entry in layout))].append(set(layout))
    chance = random.Random(7)
    for now in everything if len(everything) < 40 else chance.sample(everything, 40):
        computes = tuple(
            ComputeInstance(number, entry.id, entry.name, place, f"MIG-{number}")
            for number, (entry, place) in enumerate(now)
        )
        instance = GpuInstance(1, row.id, name, row.placements[0], computes, profiles)
        for wish, targets in groups.items():
            done = mend(instance, row.slices, tuple(model.ComputeWish(text, None, number) for text, number in wish))
            assert done is not None
            assert len(done.destroyed) == min(len(set(now) - target) for target in targets), (now, wish)
            assert len(done.kept) + len(done.created) == len(wish)
