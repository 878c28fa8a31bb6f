# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wishes of many hosts: each contradiction names host, variable and item."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._fleet import problems

TODAY = datetime.date(2026, 11, 22)
SEVEN = {"gpus": "all", "mig": True, "instances": {"1g.10gb": 7}}
FAULT = {"gpu": "GPU-5c1e", "state": "missing", "reason": "RMA 4711", "until": "2026-12-15"}


def judged(**variables):
    return problems({"node-1": variables}, TODAY)


def test_a_sound_fleet_has_no_problems():
    layers = {
        "mig_geometry": [SEVEN],
        "mig_geometry_group": [SEVEN],
        "mig_geometry_host": [{"gpus": "all", "mig": False}],
    }
    sound: dict[str, t.Any] = {
        **layers,
        "accel_gpu_expected": {"count": 8},
        "accel_gpu_exceptions": [FAULT],
        "accel_gpu_use": "compute",
    }
    assert problems({"b": sound, "a": {}}, TODAY) == {"errors": [], "warnings": []}


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        (
            {"mig_geometry_group": [SEVEN], "mig_parted": "mig.yml", "mig_parted_label": "all-1g.10gb"},
            "node-1: mig_parted and mig_geometry_group exclude each other; keep one form of the wish",
        ),
        (
            {"mig_parted": "mig.yml"},
            "node-1: mig_parted_label is missing; give the label of mig_parted that the host gets",
        ),
        (
            {"mig_geometry_host": [SEVEN, SEVEN]},
            "node-1: mig_geometry_host[0] (gpus: all) and mig_geometry_host[1] (gpus: all) claim the same GPUs with "
            "equal rank; keep one, or name the GPU by uuid, pci or index in the other",
        ),
        (
            {"mig_geometry": [{"gpus": {"index": 0}, "mig": True}, {"gpus": {"index": 0}, "mig": False}]},
            "node-1: mig_geometry[0] (gpus: index 0) and mig_geometry[1] (gpus: index 0) claim the same GPUs with "
            "equal rank; keep one",
        ),
        (
            {"mig_geometry": [SEVEN, {"gpus": "all", "mig": "yes"}]},
            'node-1: mig_geometry[1].mig: "yes" is a string; give true or false',
        ),
        (
            {"mig_geometry_group": [SEVEN], "accel_gpu_use": "passthrough"},
            "node-1: mig_geometry_group[0]: wishes MIG, but accel_gpu_use is passthrough; remove the item for this "
            "host, or set accel_gpu_use: compute",
        ),
        (
            {"mig_geometry_host": [SEVEN], "accel_gpu_use": "none"},
            "node-1: mig_geometry_host[0]: wishes MIG, but accel_gpu_use is none; remove the item for this host, or "
            "set accel_gpu_use: compute",
        ),
        (
            {"accel_gpu_use": "gaming"},
            "node-1: accel_gpu_use: 'gaming' is unknown; allowed are compute, passthrough, vgpu, none",
        ),
        (
            {"accel_gpu_expected": {"count": "eight"}},
            'node-1: accel_gpu_expected.count: "eight" is a string; give an integer, 0 or more',
        ),
        (
            {"accel_gpu_exceptions": [{"gpu": "GPU-5c1e"}]},
            "node-1: accel_gpu_exceptions[0]: state is missing; an exception has gpu, state, reason, until",
        ),
        (
            {"mig_notify": ["nvidia-dcgm.service", "nvidia-fabricmanager"]},
            "node-1: mig_notify[1]: nvidia-fabricmanager ends running jobs when it stops; remove it from the list",
        ),
    ],
)
def test_contradictions(variables, error):
    assert judged(**variables)["errors"] == [error]


def test_all_hosts_and_all_problems_are_told_at_once():
    hosts = {
        "b": {"mig_geometry": [SEVEN, SEVEN]},
        "a": {"accel_gpu_use": "gaming", "mig_geometry_host": [{"gpus": 0}]},
    }
    told = problems(hosts, TODAY)["errors"]
    assert [line.split(":")[0] for line in told] == ["a", "a", "b"]


def test_no_mig_on_a_passthrough_host_is_no_contradiction():
    assert judged(mig_geometry=[{"gpus": "all", "mig": False}], accel_gpu_use="passthrough")["errors"] == []


def test_a_fleet_wide_list_for_models_is_no_tie():
    layers = [{"gpus": {"model": "*A100*"}, "instances": {"1g.10gb": 7}}, {"gpus": {"model": "*H100*"}, "mig": False}]
    assert judged(mig_geometry=layers)["errors"] == []


def test_expired_exceptions_are_warnings():
    told = judged(
        accel_gpu_expected={"count": 8},
        accel_gpu_exceptions=[{**FAULT, "until": "2026-11-21"}],
        mig_geometry_host=[{"gpus": {"uuid": "GPU-9d02"}, "mig": False, "reason": "debug", "until": "2026-11-01"}],
    )
    assert told["errors"] == []
    assert told["warnings"] == [
        "node-1: accel_gpu_exceptions[0]: expired on 2026-11-21 (GPU-5c1e missing: RMA 4711); repair or extend it",
        "node-1: mig_geometry_host[0]: expired on 2026-11-01 (reason: debug); remove or extend it",
    ]


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"mig_geometry_host": [SEVEN]}, True),
        ({"mig_parted": "mig.yml", "mig_parted_label": "x", "accel_gpu_expected": {}}, True),
        ({"mig_geometry": [SEVEN], "accel_gpu_expected": {"count": 1}}, False),
        ({"mig_geometry": [{"gpus": "all", "mig": False}], "accel_gpu_use": "none"}, False),
        ({}, False),
    ],
)
def test_a_host_that_wishes_mig_and_declares_no_gpu_is_not_skipped_in_silence(variables, warned):
    name = next(iter(variables), "")
    warning = (
        f"node-1: {name}: MIG is wished, but the host declares no GPU and is skipped; declare its GPUs, as "
        "accel_gpu_expected: {count: 8}, or that it has none, as accel_gpu_use: none"
    )
    assert judged(**variables)["warnings"] == ([warning] if warned else [])


def test_the_last_day_is_still_valid():
    assert judged(accel_gpu_exceptions=[{**FAULT, "until": "2026-11-22"}])["warnings"] == []


DRIVERS = [
    ({"gpu_driver_branch": "999"}, 'gpu_driver_branch: "999" is no driver branch that is known here; known are '),
    (
        {"gpu_driver_branch": "580", "gpu_driver_version": "580.95.05"},
        'gpu_driver_branch: "580" and gpu_driver_version "580.95.05" exclude each other; ',
    ),
    ({"gpu_driver_source": "mirror"}, "gpu_driver_mirror: is empty, but gpu_driver_source is mirror; "),
    (
        {"gpu_driver_source": "mirror", "gpu_driver_mirror": {"url": "x"}},
        'gpu_driver_mirror.url: "x" is no http, https or file address; ',
    ),
]


@pytest.mark.parametrize(("variables", "beginning"), DRIVERS)
def test_wrong_driver_wishes_are_found_before_the_first_host(variables, beginning):
    (error,) = problems({"node-1": variables}, datetime.date(2026, 11, 25))["errors"]
    assert error.startswith(f"node-1: {beginning}")


def test_a_key_in_a_file_is_judged_where_it_is_read():
    mirror = {"url": "https://mirror.example/nvidia", "key": "files/nvidia.asc", "fingerprint": "A" * 40}
    variables = {"gpu_driver_source": "mirror", "gpu_driver_mirror": mirror, "gpu_driver_version": "580.95.05"}
    assert problems({"node-1": variables}, datetime.date(2026, 11, 25))["errors"] == []


def test_who_does_not_want_the_role_may_leave_its_variables():
    variables = {"gpu_driver_enabled": False, "gpu_driver_branch": "999"}
    assert problems({"node-1": variables}, datetime.date(2026, 11, 25))["errors"] == []
