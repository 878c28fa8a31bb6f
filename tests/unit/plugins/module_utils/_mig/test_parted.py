# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of mig-parted with their own meaning. The shipped configuration is rebuilt here by its rules: all-disabled,
all-enabled, all-<profile> with as many as fit, all-balanced by device filter; its text is not copied."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import GpuLostError, WishError
from ansible_collections.accel.gpu.plugins.module_utils._mig import model
from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._mig.plan import plan
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._mig import oracle

MIG_BOARDS = sorted(key for key, row in boards.rows().items() if row.get("mig"))


def most(key, name):
    """How many instances of one profile an empty GPU holds."""
    return max(len(layout) for layout in oracle.layouts(key, (name,)))


def device_filter(key):
    return f"0x{boards.rows()[key]['identity']['device_id'].upper()}10DE"


def shipped():
    """Label to items, the structure of the configuration that mig-parted installs."""
    labels: t.Dict[str, t.List[t.Dict[str, t.Any]]] = {
        "all-disabled": [{"devices": "all", "mig-enabled": False}],
        "all-enabled": [{"devices": "all", "mig-enabled": True, "mig-devices": {}}],
    }
    for name in sorted({row.name for key in MIG_BOARDS for row in boards.profiles(key)}):
        holders = [key for key in MIG_BOARDS if name in {row.name for row in boards.profiles(key)}]
        counts = collections.defaultdict(list)
        for key in holders:
            counts[most(key, name)].append(device_filter(key))
        items = [
            {
                "device-filter": counts[count] if len(counts) > 1 else [],
                "devices": "all",
                "mig-enabled": True,
                "mig-devices": {name: count},
            }
            for count in counts
        ]
        labels["all-" + name.replace("+", ".")] = items
    labels["all-balanced"] = [
        {"device-filter": device_filter(key), "devices": "all", "mig-enabled": True, "mig-devices": balanced(key)}
        for key in MIG_BOARDS
    ]
    return labels


def balanced(key):
    """2 x 1g + 1 x 2g + 1 x 3g, on boards with four slices without the 3g."""
    base = {
        row.slices: row.name for row in reversed(boards.profiles(key)) if "+" not in row.name and "-" not in row.name
    }
    plain = min((row for row in boards.profiles(key) if row.slices == 1), key=lambda row: row.memory_mib)
    wish = {plain.name: 2, base[2]: 1}
    return {**wish, base[3]: 1} if 3 in base else wish


SHIPPED = {"version": "v1", "mig-configs": shipped()}


def planned(items, *gpus, options=None):
    document = {"version": "v1", "mig-configs": {"wish": items}}
    return plan(
        parse(mig_parted=document, mig_parted_label="wish"), boards.node(*gpus), options=options or model.Options()
    )


def found(made, number=0):
    return collections.Counter(spec.profile for spec in made.gpus[number].after.layout)


@pytest.mark.parametrize("label", sorted(SHIPPED["mig-configs"]))
def test_every_label_on_every_board(label):
    """As many as mig-parted means, or the error that it would only meet after destroying everything."""
    wish = parse(mig_parted=SHIPPED, mig_parted_label=label)
    for key in MIG_BOARDS:
        gpu = boards.gpu(key)
        names = {row.name for row in boards.profiles(key)}
        items = [
            item
            for item in SHIPPED["mig-configs"][label]
            if device_filter(key) in (item.get("device-filter") or [device_filter(key)])
        ]
        asked = items[-1].get("mig-devices", {}) if items else {}
        if not set(asked) <= names:
            try:
                made = plan(wish, boards.node(gpu))
            except WishError as error:
                assert "does not exist on this GPU" in error.message or "do not fit" in error.message
                continue
            # A name that another board spells nearly alike is accepted and told.
            assert any("is named" in action["reason"] for action in made.actions)
            continue
        made = plan(wish, boards.node(gpu))
        assert found(made) == asked
        assert made.gpus[0].after.mode == (label != "all-disabled")
        assert all(spec.compute == (model.ComputeSpec(spec.profile),) for spec in made.gpus[0].after.layout)


def test_every_label_of_one_board_fits_it():
    counted = 0
    for key in MIG_BOARDS:
        for row in boards.profiles(key):
            wish = parse(mig_parted=SHIPPED, mig_parted_label="all-" + row.name.replace("+", "."))
            assert found(plan(wish, boards.node(boards.gpu(key)))) == {row.name: most(key, row.name)}
            counted += 1
    assert counted > 60


A100 = "a100-80gb"


def test_filter_and_indexes_choose_gpus():
    items = [
        {"device-filter": "0x20B210DE", "devices": [1], "mig-enabled": True, "mig-devices": {"1g.10gb": 7}},
        {"device-filter": ["0x20B710DE", "0x233010DE:0x16C110DE"], "devices": "all", "mig-enabled": False},
    ]
    made = planned(
        items,
        boards.gpu(A100, index=0),
        boards.gpu(A100, index=1),
        boards.gpu("a30-24gb", index=2),
        boards.gpu("h100-80gb-sxm5", index=3, subsystem_id="10de:16c1"),
        boards.gpu("h100-80gb-sxm5", index=4, subsystem_id="10de:16c0"),
    )
    assert [bool(gpu.steps) for gpu in made.gpus] == [False, True, True, True, False]
    assert found(made, 1) == {"1g.10gb": 7}
    assert [gpu.after.mode for gpu in made.gpus] == [True, True, False, False, True]


def test_filter_is_read_in_any_case_of_letters():
    made = planned([{"device-filter": "0x20b210de", "devices": "all", "mig-enabled": False}], boards.gpu(A100))
    assert made.gpus[0].after.mode is False


def test_the_later_item_wins_and_it_is_told():
    items = [
        {"devices": "all", "mig-enabled": True, "mig-devices": {"7g.80gb": 1}},
        {"devices": [0], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}},
    ]
    made = planned(items, boards.gpu(A100, index=0), boards.gpu(A100, index=1))
    assert (found(made, 0), found(made, 1)) == ({"3g.40gb": 2}, {"7g.80gb": 1})
    notes = [action["reason"] for action in made.actions if action["action"] == "note"]
    where = 'mig_parted.mig-configs["wish"]'
    assert notes == [f"{where}[1]: overrides {where}[0] on {made.gpus[0].uuid}, later items win"]


def test_an_item_that_matches_nothing_is_told():
    made = planned([{"device-filter": "0x20B710DE", "devices": "all", "mig-enabled": False}], boards.gpu(A100))
    assert not made.changed
    assert made.actions[0]["reason"] == 'mig_parted.mig-configs["wish"][0]: matches no GPU of this node'


@pytest.mark.parametrize(("devices", "lost"), [("all", True), ([1], True), ([0, 1], True), ([0], False)])
def test_an_item_that_means_a_gpu_without_an_answer_is_refused(devices, lost):
    failure = GpuFailure(1, "gpu_lost", "nvmlDeviceGetHandleByIndex failed: GPU_IS_LOST")
    snapshot = dataclasses.replace(boards.node(boards.gpu(A100)), failures=(failure,))
    document = {"version": "v1", "mig-configs": {"x": [{"devices": devices, "mig-enabled": False}]}}
    refusal = plan(parse(mig_parted=document, mig_parted_label="x"), snapshot).refusal
    assert isinstance(refusal, GpuLostError) if lost else refusal is None


def test_zero_counts_beside_others_ask_for_nothing():
    made = planned(
        [{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 0, "7g.80gb": 1}}], boards.gpu(A100)
    )
    assert found(made) == {"7g.80gb": 1}
    assert "counts of 0 ask for nothing: 1g.10gb" in made.actions[0]["reason"]
    after = boards.gpu(A100, instances=[("7g.80gb", 0)])
    again = planned([{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 0, "7g.80gb": 1}}], after)
    assert not again.changed


def test_enabled_without_instances_removes_those_that_are_there():
    made = planned(
        [{"devices": "all", "mig-enabled": True, "mig-devices": {}}], boards.gpu(A100, instances=[("1g.10gb", 3)])
    )
    assert found(made) == {}
    assert made.changed


@pytest.mark.parametrize(
    ("devices", "layout"),
    [
        ({"1c.3g.40gb": 3}, [("3g.40gb", ["1c.3g.40gb"] * 3)]),
        ({"1c.3g.40gb": 4}, [("3g.40gb", ["1c.3g.40gb"] * 3), ("3g.40gb", ["1c.3g.40gb"])]),
        ({"2c.3g.40gb": 1, "1c.3g.40gb": 1}, [("3g.40gb", ["2c.3g.40gb", "1c.3g.40gb"])]),
        ({"2c.3g.40gb": 2, "1c.3g.40gb": 2}, [("3g.40gb", ["2c.3g.40gb", "1c.3g.40gb"])] * 2),
        ({"1c.3g.40gb": 1, "3g.40gb": 1}, [("3g.40gb", ["1c.3g.40gb"]), ("3g.40gb", ["3g.40gb"])]),
        ({"7c.7g.80gb": 1}, [("7g.80gb", ["7g.80gb"])]),
        ({"2c.2g.20gb": 1, "1c.2g.20gb": 2}, [("2g.20gb", ["1c.2g.20gb"] * 2), ("2g.20gb", ["2g.20gb"])]),
    ],
)
def test_compute_instances_of_one_profile_share_gpu_instances(devices, layout):
    made = planned([{"devices": "all", "mig-enabled": True, "mig-devices": devices}], boards.gpu(A100))
    got = [(spec.profile, [inner.profile for inner in spec.compute]) for spec in made.gpus[0].after.layout]
    assert sorted(got) == sorted(layout)


def test_a_gpu_without_mig_is_skipped_under_all():
    made = planned(
        [{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 7}}],
        boards.gpu("t4", index=0),
        boards.gpu(A100, index=1),
    )
    assert [gpu.changed for gpu in made.gpus] == [False, True]
    assert "mig-parted skips it" in made.actions[0]["reason"]


def test_names_in_the_rounding_of_mig_parted():
    """Drivers 535 and 545 said 3g.39gb where mig-parted says 3g.40gb (NVIDIA/mig-parted#31)."""
    gpu = boards.gpu("h100-80gb-sxm5")
    table = tuple(dataclasses.replace(row, name=row.name.replace("40gb", "39gb")) for row in gpu.mig.profiles)
    gpu = dataclasses.replace(gpu, mig=dataclasses.replace(gpu.mig, profiles=table))
    made = planned([{"devices": "all", "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}], gpu)
    assert found(made) == {"3g.39gb": 2}
    assert any(action["reason"].endswith("profile 3g.40gb is named 3g.39gb by this driver") for action in made.actions)
