# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared settings of a host against its other variables: each contradiction names variable and item."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.accel.gpu.plugins.module_utils import _fleet

TODAY = datetime.date(2026, 11, 25)
ECC = {"gpus": "all", "ecc": True}
EXCLUSIVE = {"gpus": "all", "compute_mode": "exclusive_process"}
EIGHT = {"accel_gpu_expected": {"count": 8}}
MIG = {"gpus": "all", "instances": {"1g.10gb": 7}}


def judged(**variables):
    return _fleet.problems({"node-1": {**EIGHT, **variables}}, TODAY)


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        (
            {"gpu_settings": [{"gpus": "all", "power_limit": "much"}]},
            'gpu_settings[0].power_limit: "much" is a string; give a number of watts, or default',
        ),
        (
            {"gpu_settings_group": [ECC, {"gpus": "all", "ecc": False}]},
            "gpu_settings_group[0].ecc (gpus: all) and gpu_settings_group[1].ecc (gpus: all) claim the same GPUs with "
            "equal rank; keep one, or name the GPU by uuid, pci or index in the other",
        ),
        (
            {"gpu_settings_host": [ECC], "accel_gpu_use": "none"},
            "gpu_settings_host[0]: wishes settings, but accel_gpu_use is none; remove the item for this host",
        ),
        (
            {
                "gpu_settings_group": [{"gpus": {"index": 0}, "ecc": True}],
                "accel_gpu_use": "passthrough",
                "gpu_passthrough_devices": [{"gpus": {"index": 0}}],
            },
            "gpu_settings_group[0]: wishes settings for GPUs that gpu_passthrough_devices gives to virtual machines; "
            "remove the item for this host, or give it a selector without these GPUs",
        ),
        (
            {"gpu_settings": [EXCLUSIVE], "mps_daemons_group": [{"gpus": "all", "pinned_memory_limit": "4G"}]},
            "gpu_settings[0].compute_mode: the compute mode of these GPUs belongs to MPS, which mps_daemons declares "
            "for them; remove compute_mode from the item",
        ),
        (
            {"gpu_settings": [EXCLUSIVE], "mig_geometry_group": [MIG]},
            "gpu_settings[0].compute_mode: exclusive_process cannot be had in MIG mode, which mig_geometry wishes for "
            "the same GPUs; give default, or take one of the items away",
        ),
        (
            {"gpu_settings": [{"gpus": "all", "accounting_mode": True}], "mig_geometry_group": [MIG]},
            "gpu_settings[0].accounting_mode: true cannot be had in MIG mode, which mig_geometry wishes for the same "
            "GPUs; give false, or take one of the items away",
        ),
    ],
)
def test_contradictions(variables, error):
    assert judged(**variables)["errors"] == [f"node-1: {error}"]


@pytest.mark.parametrize(
    "variables",
    [
        {"gpu_settings": [ECC], "gpu_settings_group": [{"gpus": "all", "power_limit": 400}]},
        {"gpu_settings": [ECC], "accel_gpu_use": "none"},
        {"gpu_settings": [ECC], "accel_gpu_use": "passthrough", "gpu_passthrough_devices": [{"gpus": "all"}]},
        {"gpu_settings": [EXCLUSIVE], "mig_geometry": [MIG], "mig_geometry_host": [{"gpus": "all", "mig": False}]},
        {"gpu_settings": [EXCLUSIVE], "mig_geometry": [{"gpus": "all", "mig": False}]},
        {"gpu_settings": [EXCLUSIVE], "mig_geometry": [{"gpus": {"model": "*A100*"}, "mig": True}]},
        {
            "gpu_settings": [EXCLUSIVE],
            "gpu_settings_host": [{"gpus": "all", "compute_mode": "default"}],
            "mig_geometry": [MIG],
        },
        {"gpu_settings": [{"gpus": "all", "compute_mode": "default"}], "mig_geometry": [MIG]},
        {"gpu_settings": [EXCLUSIVE], "mps_daemons": [{"gpus": {"mig": {"profile": "1g.10gb"}}}, {"gpus": 3}, 7]},
    ],
)
def test_what_may_be_right_on_some_hardware_is_no_contradiction(variables):
    assert judged(**variables) == {"errors": [], "warnings": []}


def test_exceptions_past_their_date_are_warnings():
    item = {**ECC, "reason": "debug", "until": "2026-11-24"}
    assert judged(gpu_settings_host=[item])["warnings"] == [
        "node-1: gpu_settings_host[0] (debug): expired on 2026-11-24; remove or extend it"
    ]


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"gpu_settings_group": [ECC]}, True),
        ({"gpu_settings": [ECC]}, False),
        ({"gpu_settings_host": [ECC], **EIGHT}, False),
    ],
)
def test_a_host_that_is_skipped_does_not_lose_its_settings_in_silence(variables, warned):
    name = next(iter(variables))
    warning = (
        f"node-1: {name}[0]: settings are wished, but the host declares no GPU and is skipped; declare its GPUs, as "
        "accel_gpu_expected: {count: 8}, or that it has none, as accel_gpu_use: none"
    )
    assert _fleet.problems({"node-1": variables}, TODAY)["warnings"] == ([warning] if warned else [])
