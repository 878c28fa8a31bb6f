# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Completing the steps of a GPU instance that has just been made."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._mig import model
from ansible_collections.accel.gpu.plugins.module_utils._mig.compute import arrange, mend
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Placement
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

A = "a100-80gb"
H = "h100-80gb-sxm5"


def live(key, name, start=0, inner=()):
    return boards.gpu(key, instances=[(name, start, inner)]).mig.instances[0]


def steps(*wished):
    return [
        model.CreateComputeInstance("GPU-1", Placement(0, 4), None, profile, None, start) for profile, start in wished
    ]


def test_the_default_spans_with_most_sms():
    done = arrange(live(H, "1g.20gb"), steps((None, None)))
    assert [(step.profile_id, step.profile, step.placement) for step in done] == [(7, "1g.20gb", Placement(0, 1))]
    done = arrange(live(A, "1g.20gb"), steps((None, None)))
    assert [step.profile_id for step in done] == [0]


def test_of_two_with_one_name_the_wished_one_is_made_and_what_is_there_stays():
    bare = live(H, "1g.20gb")
    narrow = model.CreateComputeInstance("GPU-1", Placement(0, 2), None, "1g.20gb", None, None, 0)
    assert [step.profile_id for step in arrange(bare, [narrow])] == [0]
    assert [step.profile_id for step in arrange(bare, steps(("1g.20gb", None)))] == [7]
    standing = live(H, "1g.20gb", 0, ("1g.20gb#0",))
    done = mend(standing, 1, (model.ComputeWish("1g.20gb", 0, 0),))
    assert done is not None
    assert done.destroyed == ()


def test_small_ones_do_not_block_large_ones():
    done = arrange(live(A, "3g.40gb"), steps(("1c.3g.40gb", None), ("2c.3g.40gb", None)))
    assert [(step.profile, step.placement) for step in done] == [
        ("2c.3g.40gb", Placement(0, 2)),
        ("1c.3g.40gb", Placement(2, 1)),
    ]


def test_wished_starts_are_honoured():
    done = arrange(live(A, "7g.80gb"), steps(("3c", 4), ("2c", 2), ("1c", 0)))
    assert {(step.profile, str(step.placement)) for step in done} == {
        ("3c.7g.80gb", "4:3"), ("2c.7g.80gb", "2:2"), ("1c.7g.80gb", "0:1"),
    }  # fmt: skip


def test_what_is_there_stays():
    done = arrange(live(A, "3g.40gb", 0, ("1c.3g.40gb", "1c.3g.40gb")), steps(("1c", None)))
    assert [str(step.placement) for step in done] == ["2:1"]


def test_no_room_is_an_error_that_names_what_is_offered():
    with pytest.raises(WishError) as caught:
        arrange(live(A, "3g.40gb", 0, ("3g.40gb",)), steps(("1c.3g.40gb", None)))
    assert caught.value.message == (
        "GPU instance 3g.40gb at 0:4 of GPU-1 has no room for compute instances 1c.3g.40gb; it offers 1c.3g.40gb, "
        "2c.3g.40gb, 3g.40gb"
    )


def test_a_driver_that_tells_no_placements_is_left_the_choice():
    bare = live(A, "3g.40gb")
    blind = tuple(dataclasses.replace(row, placements=()) for row in bare.compute_profiles)
    done = arrange(dataclasses.replace(bare, compute_profiles=blind), steps(("1c", None), ("2c", None)))
    assert [(step.profile_id, step.placement) for step in done] == [(1, None), (0, None)]


@pytest.mark.parametrize(
    ("inner", "wish", "kept", "destroyed", "created"),
    [
        (("1c.3g.40gb",) * 3, ("1c", "1c"), 2, 1, []),
        (("1c.3g.40gb",), None, 0, 1, ["3g.40gb"]),
        (("3g.40gb",), None, 1, 0, []),
        (("3g.40gb",), (), 0, 1, []),
        ((), ("2c", "1c"), 0, 0, ["2c.3g.40gb", "1c.3g.40gb"]),
    ],
)
@pytest.mark.parametrize("blind", [False, True])
def test_mending_with_and_without_placements(inner, wish, kept, destroyed, created, blind):
    instance = live(A, "3g.40gb", 0, inner)
    if blind:
        rows = tuple(dataclasses.replace(row, placements=()) for row in instance.compute_profiles)
        instance = dataclasses.replace(instance, compute_profiles=rows)
    done = mend(instance, 3, None if wish is None else tuple(model.ComputeWish(text) for text in wish))
    assert done is not None
    assert (len(done.kept), len(done.destroyed)) == (kept, destroyed)
    assert [spec.profile for spec in done.created] == created


@pytest.mark.parametrize("blind", [False, True])
def test_busy_ones_are_kept_first_or_there_is_no_way(blind):
    instance = live(A, "3g.40gb", 0, ("1c.3g.40gb",) * 3)
    if blind:
        instance = dataclasses.replace(instance, compute_profiles=())
    done = mend(instance, 3, (model.ComputeWish("1c"),), frozenset({2}))
    assert done is not None
    assert done.destroyed == (0, 1)
    assert mend(instance, 3, None, frozenset({2})) is None
