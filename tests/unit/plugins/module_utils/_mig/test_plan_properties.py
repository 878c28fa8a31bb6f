# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every plan: the steps lead to the wish, add up, touch nothing busy, and leave nothing to do."""

from __future__ import annotations

import collections
import typing as t

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError, BusyError
from ansible_collections.accel.gpu.plugins.module_utils._mig import document, model
from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._mig.plan import plan
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Process
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._mig import machine, oracle

KEYS = ("a30-24gb", "a100-80gb", "h100-80gb-sxm5", "rtx-pro-6000-blackwell-96gb")
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

# How a GPU instance with so many slices may be cut; None is the default.
CUTS: t.Dict[int, t.List[t.Optional[t.Tuple[str, ...]]]] = {
    1: [None, ()],
    2: [None, ("1c", "1c"), ("1c",)],
    3: [None, ("1c", "2c"), ("1c", "1c", "1c"), ("2c",), ()],
    4: [None, ("2c", "2c"), ("1c", "2c"), ("4c",)],
    7: [None, ("4c", "2c", "1c"), ("3c", "3c"), ("7c",)],
}


def entries(draw, key, layout, explicit):
    """A wish in the long form that asks for this layout, with or without its placements."""
    found = []
    for name, start in sorted(layout):
        entry = {"profile": name}
        if explicit and draw(st.booleans()):
            entry["placement"] = start
        cut = draw(st.sampled_from(CUTS[boards.profile(key, name).slices]))
        if cut is not None:
            entry["compute"] = list(cut)
        found.append(entry)
    return found


def standing(draw, key, layout):
    """Instances of this layout, some of them cut."""
    found: t.List[boards.Standing] = []
    for name, start in sorted(layout, key=lambda position: position[1]):
        slices = boards.profile(key, name).slices
        cut = draw(st.sampled_from([None, ("1c",) * slices, ()]))
        wide = key == "h100-80gb-sxm5" and name == "1g.20gb"
        if wide and draw(st.booleans()):
            found.append((name, start, (f"{name}#0",)))
        elif cut is None or slices == 1:
            found.append((name, start))
        else:
            found.append((name, start, tuple(f"{piece}.{name}" for piece in cut)))
    return found


@st.composite
def situations(draw):
    key = draw(st.sampled_from(KEYS))
    everything = oracle.layouts(key)
    now = draw(st.sampled_from(everything))
    target = draw(st.sampled_from(everything))
    instances = standing(draw, key, now)
    wish = entries(draw, key, target, explicit=True)
    busy = [number for number in range(len(instances)) if draw(st.integers(0, 4)) == 0]
    processes = [Process(5000 + number, "compute", "job", None, number + 1, None) for number in busy]
    return key, boards.gpu(key, instances=instances, processes=processes), wish, target, {number + 1 for number in busy}


def planned(gpu, wish, **options):
    made = parse([{"gpus": {"uuid": gpu.uuid}, "mig": True, "instances": wish}])
    return plan(made, boards.node(gpu), options=model.Options(**options))


@SETTINGS
@given(situations())
def test_steps_lead_to_the_wish_and_nothing_is_left_to_do(situation):
    key, gpu, wish, target, busy = situation
    made = planned(gpu, wish)
    if made.refusal is not None:
        assert isinstance(made.refusal, BusyError)
        assert busy
        return
    after = machine.apply(key, gpu, made.steps)
    assert oracle.multiset(target) == tuple(sorted(one.profile for one in after.mig.instances))
    for entry in wish:
        if "placement" in entry:
            assert any(
                (one.profile, one.placement.start) == (entry["profile"], entry["placement"])
                for one in after.mig.instances
            )
    again = planned(after, wish)
    assert again.steps == ()
    assert not again.changed
    assert again.diff == {"before": {}, "after": {}}


@SETTINGS
@given(situations())
def test_nothing_busy_is_touched(situation):
    key, gpu, wish, unused, busy = situation
    made = planned(gpu, wish)
    if made.refusal is not None:
        return
    touched = {
        step.gi_id for step in made.steps if isinstance(step, (model.DestroyGpuInstance, model.DestroyComputeInstance))
    }
    assert not touched & busy
    after = machine.apply(key, gpu, made.steps)
    for number in busy:
        assert next(one for one in gpu.mig.instances if one.id == number) in after.mig.instances or any(
            one.id == number for one in after.mig.instances
        )


@SETTINGS
@given(situations())
def test_kept_destroyed_and_created_add_up(situation):
    key, gpu, wish = situation[:3]
    made = planned(gpu, wish)
    if made.refusal is not None:
        return
    actions = collections.Counter(action["action"] for action in made.actions)
    steps = collections.Counter(type(step).__name__ for step in made.steps)
    assert actions["create_gpu_instance"] == steps["CreateGpuInstance"]
    assert actions["destroy_gpu_instance"] == steps["DestroyGpuInstance"]
    assert actions["create_compute_instance"] == steps["CreateComputeInstance"]
    assert actions["destroy_compute_instance"] == steps["DestroyComputeInstance"]
    kept = len(gpu.mig.instances) - steps["DestroyGpuInstance"]
    assert kept + steps["CreateGpuInstance"] == len(wish)
    if made.steps:
        assert actions["keep"] == kept


@SETTINGS
@given(situations())
def test_the_difference_predicts_the_result(situation):
    key, gpu, wish = situation[:3]
    made = planned(gpu, wish)
    if made.refusal is not None:
        return
    after = machine.apply(key, gpu, made.steps)
    predicted = made.gpus[0].after.layout
    found = sorted(after.mig.instances, key=lambda one: one.placement)
    assert [(spec.profile, spec.placement) for spec in predicted] == [(one.profile, one.placement) for one in found]
    for spec, one in zip(predicted, found):
        assert sorted(inner.profile for inner in spec.compute) == sorted(
            inner.profile for inner in one.compute_instances
        )


@SETTINGS
@given(situations())
def test_a_backup_restores_the_layout(situation):
    key, gpu, wish, unused, busy = situation
    backup = document.export_node(boards.node(gpu))
    assert not plan(parse(backup), boards.node(gpu)).changed
    if busy:
        return
    changed = machine.apply(key, gpu, planned(gpu, wish).steps)
    restored = machine.apply(key, changed, plan(parse(backup), boards.node(changed)).steps)
    assert document.export_node(boards.node(restored)) == backup


@SETTINGS
@given(situations())
def test_equal_input_gives_an_equal_plan(situation):
    gpu, wish = situation[1:3]
    one, other = planned(gpu, wish), planned(gpu, list(reversed(wish)))
    assert [type(step) for step in one.steps] == [type(step) for step in planned(gpu, wish).steps]
    assert one.gpus[0].after.lines() == planned(gpu, wish).gpus[0].after.lines()
    # The order of the wish changes nothing that matters.
    assert one.diff == other.diff


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ("gpus", "except", "mig", "instances", "uuid", "index", "model", "profile", "count", "compute", "placement",
             "slices", "memory_gib", "attributes", "until", "version", "mig-configs", "devices", "1g.10gb")
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(JSON, JSON)
def test_whatever_is_given_parse_answers_or_names_the_place(geometry, parted):
    for arguments in (
        {"geometry": geometry},
        {"mig_parted": parted, "mig_parted_label": "a"},
        {"geometry": [geometry]},
    ):
        try:
            assert isinstance(parse(**arguments), model.NodeWish)
        except AccelError as error:
            assert error.kind == "wish"
            assert error.message.startswith(("geometry", "mig_parted"))
