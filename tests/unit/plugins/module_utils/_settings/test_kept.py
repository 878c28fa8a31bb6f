# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What waits until MIG is off, which settings are lost for good, and the words for what became of a setting."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import SettingSet
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept import (
    LOST,
    NOTED,
    TOLD,
    became,
    merged,
    sentence,
    waits,
)


@pytest.mark.parametrize(
    ("found", "stored", "kept"),
    [
        ({"compute_mode": "default"}, {"compute_mode": "prohibited"}, {"compute_mode": "prohibited"}),
        ({"compute_mode": None}, {"compute_mode": "prohibited"}, {"compute_mode": "prohibited"}),
        # Somebody has set another one since.
        (
            {"compute_mode": "exclusive_process"},
            {"compute_mode": "prohibited"},
            {"compute_mode": "exclusive_process"},
        ),
        ({"power_limit": 300.0}, {"power_limit": 250.0}, {"power_limit": 300.0}),
        ({"power_limit": 300.0}, {}, {"power_limit": 300.0}),
    ],
)
def test_what_waits_does_not_override_what_was_set_since(found, stored, kept):
    assert merged(found, stored) == kept


def test_what_a_run_that_died_owes_counts_more_than_the_default_that_is_found():
    stored = {"power_limit": 300.0, "locked_clocks": [1200, 1305]}
    found = {"power_limit": 400.0, "compute_mode": "default"}
    assert merged(found, stored, owed=True) == {**stored, "compute_mode": "default"}


def test_only_what_mig_mode_refuses_waits():
    done = [
        SettingSet("compute_mode", "prohibited", None, "NOT_SUPPORTED"),
        SettingSet("accounting_mode", True, False, "UNKNOWN"),
        SettingSet("power_limit", 250.0, 400.0, "NOT_SUPPORTED"),
        SettingSet("auto_boost", True, True),
    ]
    assert waits(done) == {"compute_mode": "prohibited"}


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (SettingSet("power_limit", 250.0, 250.0), "power limit is 250.0 again"),
        (SettingSet("power_limit", 250.5, 250.0), "power limit was 250.5 before and the GPU made 250.0 of it"),
        (
            SettingSet("power_limit", 250.0, 400.0, "INVALID_ARGUMENT"),
            "power limit was 250.0 before and the GPU refuses it now (INVALID_ARGUMENT)",
        ),
        (
            SettingSet("compute_mode", "prohibited", "default", "NOT_SUPPORTED"),
            "compute mode was prohibited before and the GPU refuses it now (NOT_SUPPORTED); "
            "it is set again when MIG is off",
        ),
    ],
)
def test_each_outcome_has_its_words(one, text):
    assert sentence(one) == text


@pytest.mark.parametrize(
    ("one", "end"),
    [
        (SettingSet("power_limit", 140.0, 140.0), TOLD),
        (SettingSet("compute_mode", "exclusive_process", "exclusive_process"), TOLD),
        # What hardware does to values.
        (SettingSet("power_limit", 301.5, 301.0), NOTED),
        (SettingSet("application_clocks", [1593, 1000], [1593, 990]), NOTED),
        # What it does not.
        (SettingSet("power_limit", 140.0, 300.0), LOST),
        (SettingSet("application_clocks", [1593, 1410], [1593, 210]), LOST),
        (SettingSet("compute_mode", "exclusive_process", "default"), LOST),
        (SettingSet("persistence_mode", True, False), LOST),
        (SettingSet("application_clocks", [1593, 1410], None), LOST),
        # MIG mode has them not, and they wait.
        (SettingSet("compute_mode", "exclusive_process", "default", "NOT_SUPPORTED"), NOTED),
        (SettingSet("accounting_mode", True, None, "NOT_SUPPORTED"), NOTED),
        # A driver that has them no more.
        (SettingSet("application_clocks", [1593, 1410], None, "DEPRECATED"), NOTED),
        (SettingSet("application_clocks", [1593, 1410], None, "NOT_SUPPORTED"), NOTED),
        (SettingSet("auto_boost", True, None, "FUNCTION_NOT_FOUND"), NOTED),
        # One that has them, and refuses.
        (SettingSet("application_clocks", [1593, 1410], [1593, 1200], "NOT_SUPPORTED"), LOST),
        (SettingSet("power_limit", 140.0, None, "NOT_SUPPORTED"), LOST),
        (SettingSet("power_limit", 140.0, 300.0, "UNKNOWN"), LOST),
        (SettingSet("locked_clocks", [210, 1200], [210, 1200], "DEPRECATED"), LOST),
    ],
)
def test_what_became_of_a_setting(one: SettingSet, end: str) -> None:
    assert became(one) == end
