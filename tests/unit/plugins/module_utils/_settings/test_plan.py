# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is set and what is left alone, and why."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import BusyError
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Process
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Busy, Claim
from ansible_collections.accel.gpu.plugins.module_utils._settings import model, plan
from ansible_collections.accel.gpu.plugins.module_utils._settings.parse import defaults, parse
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._settings.nodes import (
    TODAY,
    A,
    B,
    H,
    clocks,
    gpu,
    node,
)

JOB = (Process(4711, "compute", "python"),)
LOCK = {"min": 1200, "max": 1305}
APP = {"graphics": 1200, "memory": 1593}
UNREAD = "NVML reads no locked clock back, and nothing is remembered since boot, reset and load of the driver"
LOST = "other settings of the GPU fell back to the driver's default, and a lock goes with them"


def made(seen, when_busy="refuse", **layers):
    layers = {name: value if isinstance(value, list) else [value] for name, value in layers.items()}
    return plan.plan(parse(**layers), seen, plan.Options(when_busy, TODAY))


def all_(**item):
    return {"gpus": "all", **item}


def remembered(**settings):
    """Of the first GPU: what was wished, and what was found where it is a pair."""
    pairs = {name: value if isinstance(value, tuple) else (value, None) for name, value in settings.items()}
    return {gpu(A).uuid: {name: model.Remembered(*pair) for name, pair in pairs.items()}}


def steps(planned):
    return [(step.setting, step.value) for step in planned.steps]


def reasons(planned, action):
    return [(one["object"], one["reason"]) for one in planned.actions if one["action"] == action]


# id: items, changes of a fresh A100's settings, what is remembered, steps
CASES = {
    "as it is": (all_(ecc=True, power_limit=400, compute_mode="default", accounting_mode=False), {}, {}, []),
    "power": (all_(power_limit=300), {}, {}, [("power_limit", 300.0)]),
    "power by default": (
        all_(power_limit="default"),
        {"power_limit": {"current": 250.0}},
        {},
        [("power_limit", 400.0)],
    ),
    "what the hardware rounded": (
        all_(power_limit=250.3),
        {"power_limit": {"current": 250.0}},
        remembered(power_limit=(250.3, 250.0)),
        [],
    ),
    "rounded once, another wish now": (
        all_(power_limit=250.4),
        {"power_limit": {"current": 250.0}},
        remembered(power_limit=(250.3, 250.0)),
        [("power_limit", 250.4)],
    ),
    "rounded once, changed by hand": (
        all_(power_limit=250.3),
        {"power_limit": {"current": 251.0}},
        remembered(power_limit=(250.3, 250.0)),
        [("power_limit", 250.3)],
    ),
    "persistence": (all_(persistence_mode=True), {}, {}, [("persistence_mode", True)]),
    "application clocks": (all_(application_clocks=APP), {}, {}, [("application_clocks", APP)]),
    "application clocks by default": (
        all_(application_clocks="default"),
        {"application_clocks": {"graphics": 1200}},
        {},
        [("application_clocks", None)],
    ),
    "application clocks are the default": (all_(application_clocks="default"), {}, {}, []),
    "auto boost": (
        all_(auto_boost=False),
        {"auto_boost": {"current": True, "default": True}},
        {},
        [("auto_boost", False)],
    ),
    "auto boost by default": (
        all_(auto_boost="default"),
        {"auto_boost": {"current": False, "default": True}},
        {},
        [("auto_boost", True)],
    ),
    "ecc": (all_(ecc=False), {}, {}, [("ecc", False)]),
    "ecc waits for its reset": (all_(ecc=False), {"ecc": {"pending": False}}, {}, []),
    "ecc pending by another": (all_(ecc=True), {"ecc": {"pending": False}}, {}, [("ecc", True)]),
    "ecc by default": (all_(ecc="default"), {"ecc": {"current": False, "pending": False}}, {}, [("ecc", True)]),
    "no ecc where none is": (all_(ecc=False), {"ecc": {"current": None, "pending": None, "default": None}}, {}, []),
    "a lock of which nothing is known": (all_(locked_clocks=LOCK), {}, {}, [("locked_clocks", LOCK)]),
    "a lock that is remembered": (all_(locked_clocks=LOCK), {}, remembered(locked_clocks=LOCK), []),
    "another lock": (all_(locked_clocks=LOCK), {}, remembered(locked_clocks="default"), [("locked_clocks", LOCK)]),
    "a lock is opened": (all_(locked_clocks="default"), {}, remembered(locked_clocks=LOCK), [("locked_clocks", None)]),
    "a memory lock": (
        all_(locked_memory_clocks={"min": 1593, "max": 1593}),
        {},
        {},
        [("locked_memory_clocks", {"min": 1593, "max": 1593})],
    ),
    "a lock goes with what the GPU forgot": (
        all_(locked_clocks=LOCK, power_limit=300, accounting_mode=True),
        {},
        remembered(locked_clocks=LOCK, power_limit=(300.0, 300.0), accounting_mode=(True, True)),
        [("power_limit", 300.0), ("locked_clocks", LOCK), ("accounting_mode", True)],
    ),
    "a lock stays where something else that was set is there": (
        all_(locked_clocks=LOCK, power_limit=300, accounting_mode=True),
        {"accounting_mode": True},
        remembered(locked_clocks=LOCK, power_limit=(300.0, 300.0), accounting_mode=(True, True)),
        [("power_limit", 300.0)],
    ),
    "a lock goes where the driver may have ended": (
        all_(locked_clocks=LOCK, persistence_mode=True, accounting_mode=True),
        {"accounting_mode": True},
        remembered(locked_clocks=LOCK, persistence_mode=(True, True), accounting_mode=(True, True)),
        [("persistence_mode", True), ("locked_clocks", LOCK)],
    ),
    "a lock stays where a person changed something else": (
        all_(locked_clocks=LOCK, power_limit=300),
        {"power_limit": {"current": 350.0}},
        remembered(locked_clocks=LOCK, power_limit=(300.0, 300.0)),
        [("power_limit", 300.0)],
    ),
    "a lock stays where a new wish differs from the default": (
        all_(locked_clocks=LOCK, power_limit=300),
        {},
        remembered(locked_clocks=LOCK),
        [("power_limit", 300.0)],
    ),
    "an open lock cannot be lost": (
        all_(locked_clocks="default", power_limit=300),
        {},
        remembered(locked_clocks="default", power_limit=(300.0, 300.0)),
        [("power_limit", 300.0)],
    ),
    "in the order of setting": (
        all_(
            accounting_mode=True,
            locked_clocks=LOCK,
            application_clocks=APP,
            compute_mode="prohibited",
            power_limit=300,
            ecc=False,
            persistence_mode=True,
        ),
        {},
        {},
        [
            ("persistence_mode", True),
            ("ecc", False),
            ("power_limit", 300.0),
            ("compute_mode", "prohibited"),
            ("application_clocks", APP),
            ("locked_clocks", LOCK),
            ("accounting_mode", True),
        ],
    ),
}


@pytest.mark.parametrize(("item", "changes", "memory", "wanted"), CASES.values(), ids=CASES)
def test_steps(item, changes, memory, wanted):
    assert steps(made(node(gpu(A, changes=changes), memory=memory), settings=item)) == wanted


@pytest.mark.parametrize(
    "item",
    [
        {"power_limit": 100},
        {"locked_clocks": {"min": 210, "max": 1410}},
        {"locked_memory_clocks": {"min": 1593, "max": 1593}},
        {"application_clocks": {"graphics": 210, "memory": 1593}},
        {"application_clocks": {"graphics": 1410, "memory": 1593}},
    ],
)
def test_the_ends_of_a_range_belong_to_it(item):
    assert [name for name, _value in steps(made(node(gpu(A)), settings=all_(**item)))] == list(item)


def test_the_highest_power_limit_is_legal():
    seen = node(gpu(A, changes={"power_limit": {"current": 300.0}}))
    assert steps(made(seen, settings=all_(power_limit=400))) == [("power_limit", 400.0)]


def test_each_setting_is_ruled_by_itself():
    """The example of the fleet: ECC from the list of all, the power limit from the group's."""
    planned = made(
        node(gpu(A, changes={"ecc": {"pending": False}})),
        settings=all_(ecc=True, power_limit=200),
        settings_group=all_(power_limit=300),
        settings_host={"gpus": {"index": 0}, "accounting_mode": True, "reason": "billing"},
    )
    assert reasons(planned, "set_setting") == [
        ("ecc on", "wished by settings[0]; it is on, off pending"),
        ("power_limit 300 W", "wished by settings_group[0]; it is 400 W"),
        ("accounting_mode on", "wished by settings_host[0] (billing); it is off"),
    ]


def test_a_more_specific_selector_wins_in_what_it_names():
    planned = made(
        node(gpu(A), gpu(H, 1)),
        settings=[all_(power_limit=350), {"gpus": {"model": "*H100*"}, "power_limit": 600}],
    )
    assert [(step.gpu[-1], step.gpu[4:12], step.value) for step in planned.steps] == [
        ("0", "00000000", 350.0),
        ("0", "00000001", 600.0),
    ]


def test_the_difference_names_what_is_set_and_nothing_else():
    (only,) = made(node(gpu(A)), settings=all_(power_limit=300, ecc=True, locked_clocks=LOCK)).gpus
    assert only.key == f"0000:3b:00.0 NVIDIA A100-SXM4-80GB {only.uuid}"
    assert only.before == ("power_limit 400 W", "locked_clocks unknown")
    assert only.after == ("power_limit 300 W", "locked_clocks min 1200 MHz, max 1305 MHz")


def test_ecc_owes_a_reset_until_it_is_there():
    fresh = made(node(gpu(A)), settings=all_(ecc=False)).gpus[0]
    waiting = made(node(gpu(A, changes={"ecc": {"pending": False}})), settings=all_(ecc=False)).gpus[0]
    there = made(node(gpu(A, changes={"ecc": {"current": False, "pending": False}})), settings=all_(ecc=False)).gpus[0]
    back = made(node(gpu(A, changes={"ecc": {"pending": False}})), settings=all_(ecc=True)).gpus[0]
    assert [one.reset_required for one in (fresh, waiting, there, back)] == [True, True, False, False]
    assert [bool(one.steps) for one in (fresh, waiting, there, back)] == [True, False, False, True]


@pytest.mark.parametrize("wished", [None, False])
def test_an_ecc_mode_that_nobody_wished_is_told(wished):
    item = all_(accounting_mode=False) if wished is None else all_(ecc=wished)
    planned = made(node(gpu(A, changes={"ecc": {"pending": False}, "persistence_mode": True})), settings=item)
    told = [("ecc off pending", "nobody wished this; a reset or reboot would bring it")]
    assert reasons(planned, "note") == (told if wished is None else [])


def test_a_lower_limit_from_outside_is_named_and_no_drift():
    planned = made(
        node(gpu(A, changes={"power_limit": {"current": 300.0, "enforced": 250.0}, "persistence_mode": True})),
        settings=all_(power_limit=300),
    )
    assert not planned.steps
    outside = "the GPU enforces 250 W: something outside the driver, such as a BMC, limits it further"
    assert reasons(planned, "note") == [("power_limit 300 W", outside)]


def test_what_is_rounded_is_named():
    changes = {"power_limit": {"current": 250.0}, "persistence_mode": True}
    seen = node(gpu(A, changes=changes), memory=remembered(power_limit=(250.3, 250.0)))
    planned = made(seen, settings=all_(power_limit=250.3, locked_clocks={"min": 1203, "max": 1305}))
    assert reasons(planned, "note") == [
        ("power_limit 250 W", "the GPU makes 250 W of it"),
        (
            "locked_clocks min 1203 MHz, max 1305 MHz",
            "min 1203 MHz is between two clocks of this GPU, which takes 1200 or 1215 MHz",
        ),
    ]


@pytest.mark.parametrize(
    ("running", "reason"),
    [(1305, None), (1320, "the GPU runs at 1320 MHz, above what was locked"), (210, None)],
)
def test_a_gpu_above_its_lock_has_none(running, reason):
    seen = node(gpu(A), memory=remembered(locked_clocks=LOCK), clocks={gpu(A).uuid: clocks(A, running)})
    told = reasons(made(seen, settings=all_(locked_clocks=LOCK)), "set_setting")
    wanted = [("locked_clocks min 1200 MHz, max 1305 MHz", f"wished by settings[0]; {reason}")]
    assert told == (wanted if reason else [])


def test_a_lock_between_two_clocks_may_be_rounded_up():
    lock = {"min": 1200, "max": 1303}
    seen = node(gpu(A), memory=remembered(locked_clocks=lock), clocks={gpu(A).uuid: clocks(A, 1305)})
    assert not made(seen, settings=all_(locked_clocks=lock)).steps


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, UNREAD),
        ({"locked_clocks": "default"}, "it is default"),
        ({"locked_clocks": LOCK, "power_limit": (300.0, 300.0)}, LOST),
    ],
)
def test_why_a_lock_is_set(settings, reason):
    seen = node(gpu(A), memory=remembered(**settings))
    told = reasons(made(seen, settings=all_(locked_clocks=LOCK, power_limit=300)), "set_setting")
    assert told[-1] == ("locked_clocks min 1200 MHz, max 1305 MHz", f"wished by settings[0]; {reason}")


def test_settings_without_persistence_are_told_to_be_fleeting():
    fleeting = [
        (
            "persistence_mode off",
            "the driver may drop what is set when the last client of the GPU ends; run nvidia-persistenced, or wish "
            "persistence_mode: true",
        )
    ]
    assert reasons(made(node(gpu(A)), settings=all_(power_limit=300)), "note") == fleeting
    assert reasons(made(node(gpu(A)), settings=all_(power_limit=300, persistence_mode=True)), "note") == []
    assert reasons(made(node(gpu(A)), settings=all_(ecc=True)), "note") == []


# --- in use --------------------------------------------------------------------------------------------------------


# setting: (value, does a job feel it)
FELT = {
    "persistence_mode": (True, False),
    "ecc": (False, False),
    "power_limit": (300, True),
    "compute_mode": ("exclusive_process", True),
    "application_clocks": (APP, True),
    "locked_clocks": (LOCK, True),
    "locked_memory_clocks": ("default", True),
    "accounting_mode": (True, False),
}


@pytest.mark.parametrize(("setting", "value", "felt"), [(name, *pair) for name, pair in FELT.items()])
def test_what_a_job_would_feel_waits(setting, value, felt):
    seen = node(gpu(A, processes=JOB))
    refused = made(seen, settings=all_(**{setting: value}))
    deferred = made(seen, "defer", settings=all_(**{setting: value}))
    assert (bool(refused.steps), isinstance(refused.refusal, BusyError)) == (not felt, felt)
    assert (bool(deferred.steps), deferred.gpus[0].deferred) == (not felt, felt)


def test_switching_off_under_a_job_waits_too():
    seen = node(gpu(A, changes={"persistence_mode": True, "accounting_mode": True}, processes=JOB))
    planned = made(seen, "defer", settings=all_(persistence_mode=False, accounting_mode=False))
    assert [one[0] for one in reasons(planned, "deferred")] == ["persistence_mode off", "accounting_mode off"]


def test_the_refusal_names_settings_owner_and_remedy():
    planned = made(node(gpu(A, processes=JOB)), settings=all_(power_limit=300, compute_mode="prohibited", ecc=False))
    assert planned.refusal is not None
    assert planned.refusal.message == (
        f"settings[0] ({gpu(A).uuid}, NVIDIA A100-SXM4-80GB): power_limit, compute_mode cannot be set now: the GPU is "
        "in use by process 4711 (python); drain it first, or give when_busy: defer"
    )
    assert planned.steps == ()


def test_deferring_does_the_rest_and_the_other_gpus():
    planned = made(
        node(gpu(A, processes=JOB), gpu(A, 1)),
        "defer",
        settings=all_(power_limit=300, persistence_mode=True, ecc=False),
    )
    assert [(step.gpu[4:12], step.setting) for step in planned.steps] == [
        ("00000000", "persistence_mode"),
        ("00000000", "ecc"),
        ("00000001", "persistence_mode"),
        ("00000001", "ecc"),
        ("00000001", "power_limit"),
    ]
    assert reasons(planned, "deferred") == [
        ("power_limit 300 W", "the GPU is in use by process 4711 (python); wished by settings[0]")
    ]


@pytest.mark.parametrize(
    "busy",
    [
        Busy({gpu(A).uuid: (Claim("Slurm job 7", "", False),)}),
        Busy(unknown=(Claim("kubelet", "(could not be asked: no socket)", True),)),
    ],
)
def test_an_allocation_without_a_process_is_use(busy):
    assert isinstance(made(node(gpu(A), busy=busy), settings=all_(power_limit=300)).refusal, BusyError)


# --- other owners --------------------------------------------------------------------------------------------------


def test_persistence_that_its_daemon_keeps_is_left_to_it():
    others = model.Others(persistenced="/lib/systemd/system/x.service")
    planned = made(
        node(gpu(A, changes={"persistence_mode": True}), others=others), settings=all_(persistence_mode=True)
    )
    assert reasons(planned, "keep") == [
        (
            "persistence_mode on",
            "is as settings[0] wishes; it belongs to nvidia-persistenced (/lib/systemd/system/x.service)",
        )
    ]


def test_a_wish_that_agrees_with_mps_is_no_contradiction():
    others = model.Others(mps={gpu(A).uuid: "MPS daemon (PID 77)"})
    seen = node(gpu(A, changes={"compute_mode": "exclusive_process"}), others=others)
    assert made(seen, settings=all_(compute_mode="exclusive_process")).steps == ()


@pytest.mark.parametrize("told", ["default", None])
def test_the_values_of_mig_mode_may_be_wished(told):
    seen = node(gpu(A, mig=True, changes={"compute_mode": told, "accounting_mode": None}))
    assert made(seen, settings=all_(compute_mode="default", accounting_mode=False)).steps == ()


# --- the rest ------------------------------------------------------------------------------------------------------


def test_absent_takes_back_what_can_be_taken_back():
    changes = {
        "persistence_mode": True,
        "accounting_mode": True,
        "compute_mode": "prohibited",
        "power_limit": {"current": 300.0},
        "ecc": {"current": False, "pending": False},
    }
    seen = node(gpu(A, changes=changes), memory=remembered(locked_clocks=LOCK))
    planned = plan.plan(defaults("gpu_"), seen, plan.Options())
    assert steps(planned) == [
        ("persistence_mode", False),
        ("power_limit", 400.0),
        ("compute_mode", "default"),
        ("locked_clocks", None),
        ("accounting_mode", False),
    ]
    assert reasons(planned, "set_setting")[1] == ("power_limit 400 W", "wished by gpu_state: absent; it is 300 W")


def test_absent_leaves_to_others_what_is_theirs_and_to_gpus_what_they_lack():
    others = model.Others(mps={gpu(B).uuid: "MPS daemon (PID 77)"}, persistenced="/x/nvidia-persistenced.service")
    changes = {"compute_mode": "exclusive_process", "persistence_mode": True}
    planned = plan.plan(defaults(), node(gpu(B, changes=changes), others=others), plan.Options())
    assert planned.steps == ()
    assert [one[0] for one in reasons(planned, "left_alone")] == [
        "persistence_mode off",
        "compute_mode default",
        "application_clocks default",
        "auto_boost default",
        "locked_clocks default",
        "locked_memory_clocks default",
    ]


def test_a_gpu_that_no_item_means_is_left_alone():
    planned = made(node(gpu(A), gpu(H, 1)), settings={"gpus": {"model": "*A100*"}, "power_limit": 400})
    assert reasons(planned, "left_alone") == [("GPU", "no item of the wish means it")]


def test_an_item_past_its_date_is_told():
    item = {"gpus": "all", "ecc": True, "reason": "test", "until": datetime.date(2026, 11, 1)}
    assert reasons(made(node(gpu(A)), settings=item), "note") == [
        ("wish", "settings[0] (test) was meant until 2026-11-01, which has passed")
    ]
