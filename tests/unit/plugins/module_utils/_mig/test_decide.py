# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the resident decides beyond layouts: the stored wish, its removal, restarts, the names in messages."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._mig import resident, restarts
from ansible_collections.accel.gpu.plugins.module_utils._mig.decide import WISH_FILE, State
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Gpu
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Busy, Claim
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

A, H = "a100-80gb", "h100-80gb-sxm5"
SEVEN = [{"gpus": "all", "mig": True, "instances": {"1g.10gb": 7}}]
STORED = {"version": 1, "options": {"geometry": SEVEN}}
ABSENT = {"version": 1, "options": {"state": "absent", "when_busy": "defer"}}
OFF = {"state": "absent", "persist": True, "when_busy": "defer"}


def decided(*gpus: Gpu, stored=None, busy=None, unit=None, **params):
    units = (restarts.Unit("slurmd.service", frozenset(["slurmd.service"]), True, unit),) if unit else ()
    state = State(
        boards.node(*gpus), busy=busy or Busy(), stored=stored, notified=restarts.Notified(units, changed=None)
    )
    return resident.plan(resident.parse(params), state)


def words(plan):
    return [(line["action"], line["object"]) for line in plan.actions if line["action"] != "keep"]


def worked_on(gpu: Gpu) -> Busy:
    return Busy({gpu.uuid: (Claim("kubelet", "pod default/train", False),)})


def test_absent_switches_off_and_removes_the_wish():
    gpu = boards.gpu(H, instances=[("7g.80gb", 0)])
    made = decided(gpu, stored=STORED, **OFF)
    assert made.refusal is None and made.changed and made.remove_wish and not made.write_wish
    assert ("remove_wish", WISH_FILE) in words(made)
    assert (made.diff["before"][WISH_FILE], made.diff["after"][WISH_FILE]) == (STORED, None)
    assert [type(step).__name__ for step in made.mig.steps][-1] == "SetMigMode"


def test_absent_is_silent_where_nothing_is_left():
    made = decided(boards.gpu(H, mig=False), boards.gpu("t4", index=1, mig=None), **OFF)
    assert (made.changed, made.touches, words(made)) == (False, False, [])
    assert made.diff == {"before": {}, "after": {}}


def test_a_busy_gpu_keeps_a_wish_to_switch_off_for_the_next_boot():
    gpu = boards.gpu(H, instances=[("7g.80gb", 0)])
    made = decided(gpu, stored=STORED, busy=worked_on(gpu), **OFF)
    assert made.result()["deferred"] == [gpu.uuid]
    assert (made.write_wish, made.remove_wish) == (True, False)
    assert made.diff["after"][WISH_FILE] == ABSENT
    again = decided(gpu, stored=ABSENT, busy=worked_on(gpu), **OFF)
    assert not again.changed
    # what the node agent does with that file at boot
    at_boot = decided(boards.gpu(H, instances=[("7g.80gb", 0)]), **ABSENT["options"], mig_apply="now")
    assert at_boot.touches and not at_boot.stores
    off = decided(boards.gpu(H, mig=False), stored=ABSENT, **OFF)
    assert words(off) == [("remove_wish", WISH_FILE)]


def test_next_boot_keeps_the_wish_to_switch_off_too():
    made = decided(boards.gpu(H, instances=[("7g.80gb", 0)]), stored=STORED, mig_apply="next_boot", **OFF)
    assert made.result()["reboot_required"] is True
    assert (made.touches, made.write_wish, made.remove_wish) == (False, True, False)


def test_absent_reads_no_list_and_refuses_under_its_own_name():
    gpu = boards.gpu(H, instances=[("7g.80gb", 0)])
    made = decided(
        gpu, busy=worked_on(gpu), geometry="nonsense", address_prefix="mig_", **{**OFF, "when_busy": "refuse"}
    )
    assert made.refusal is not None and made.refusal.message.startswith(f"mig_state: absent ({gpu.uuid}, {gpu.name}): ")


@pytest.mark.parametrize(
    ("missing", "params", "stored", "told"),
    [
        ("no driver", {"geometry": SEVEN}, None, [("deferred", "MIG geometry"), ("write_wish", WISH_FILE)]),
        ("", {}, None, [("write_wish", WISH_FILE)]),
        ("", {}, {"version": 1, "options": {}}, []),
        ("", {"state": "absent"}, STORED, [("remove_wish", WISH_FILE)]),
    ],
)
def test_without_a_driver_every_change_of_the_wish_file_is_told(missing, params, stored, told):
    state = State(None, stored=stored, missing_driver=missing)
    made = resident.plan(resident.parse({"persist": True, **params}), state)
    assert (words(made), made.changed) == (told, bool(told))


def test_without_persist_the_file_is_not_looked_at():
    made = decided(boards.gpu(H, mig=False), state="absent")
    assert not made.changed and not made.stores


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"geometry_group": [{"gpus": "all", "mig": "yes"}]},
            'mig_geometry_group[0].mig: "yes" is a string; give true or false',
        ),
        (
            {"geometry": SEVEN, "mig_parted": {}, "mig_parted_label": "a"},
            "mig_parted and mig_geometry exclude each other; keep one form of the wish",
        ),
        ({"headroom_percent": 101}, "mig_headroom_percent: 101 is out of range; allowed is 0 to 100"),
        (
            {"expected": {"model": "*H100*"}},
            "mig_expected: count is missing; give the number of GPUs of the host, 0 for none",
        ),
        ({"notify": ["a b"]}, 'mig_notify[0]: "a b" is no name of a unit; give one such as nvidia-dcgm.service'),
    ],
)
def test_messages_name_the_variables_of_the_role(params, message):
    with pytest.raises(WishError) as raised:
        resident.parse({**params, "address_prefix": "mig_"})
    assert raised.value.message == message


def test_reasons_and_live_errors_name_them_too():
    gpu = boards.gpu(H, mig=False)
    made = decided(gpu, geometry=SEVEN, address_prefix="mig_")
    assert {line["reason"] for line in made.actions if line["action"] == "create_gpu_instance"} == {
        "wished by mig_geometry[0]"
    }
    wrong = [{"gpus": "all", "instances": {"9g.90gb": 1}}]
    assert decided(gpu, geometry_host=wrong, address_prefix="mig_").refusal.message.startswith("mig_geometry_host[0]")


def test_a_restart_is_foretold_and_never_a_change():
    gpu = boards.gpu(H, instances=[("7g.80gb", 0)])
    assert decided(gpu, unit=5, geometry=SEVEN).result()["restart_required"] == ["slurmd.service"]
    right = decided(gpu, unit=5, geometry=[{"gpus": "all", "instances": {"7g.80gb": 1}}])
    assert (right.changed, right.result()["restart_required"]) == (False, [])
    owed = dataclasses.replace(right.state.notified, changed=6)
    late = resident.plan(right.wish, dataclasses.replace(right.state, notified=owed))
    assert (late.changed, late.result()["restart_required"]) == (False, ["slurmd.service"])


def test_a_refused_plan_foretells_no_restart():
    gpu = boards.gpu(H, instances=[("7g.80gb", 0)])
    made = decided(gpu, unit=5, busy=worked_on(gpu), geometry=SEVEN)
    assert made.refusal is not None
    assert made.result()["restart_required"] == []
