# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings are set again, and in which order."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.settings_write import differing

DEFAULT = {
    "persistence_mode": False,
    "power_limit": 400.0,
    "compute_mode": "default",
    "application_clocks": [1593, 1275],
    "auto_boost": None,
    "accounting_mode": False,
}
CASES = {
    "the same": ({}, {}, []),
    "one": ({"power_limit": 250.0}, {}, ["power_limit"]),
    "the default before": ({}, {"power_limit": 250.0}, ["power_limit"]),
    "persistence first, auto boost after clocks": (
        {"auto_boost": True, "application_clocks": [1593, 1200], "persistence_mode": True},
        {"auto_boost": False},
        ["persistence_mode", "application_clocks", "auto_boost"],
    ),
    "not told before": ({"power_limit": None}, {}, []),
    "not told now": ({}, {"power_limit": None}, ["power_limit"]),
    "MIG mode tells none, the default was there": ({}, {"compute_mode": None, "accounting_mode": None}, []),
    "MIG mode tells none, another was there": (
        {"compute_mode": "prohibited", "accounting_mode": True},
        {"compute_mode": None, "accounting_mode": None},
        ["compute_mode", "accounting_mode"],
    ),
}


@pytest.mark.parametrize(("before", "found", "names"), CASES.values(), ids=CASES)
def test_what_differs_is_set(before, found, names):
    assert differing({**DEFAULT, **before}, {**DEFAULT, **found}) == names


def test_a_setting_that_was_not_kept_is_left_alone():
    before = {name: value for name, value in DEFAULT.items() if name != "persistence_mode"}
    assert differing(before, {**DEFAULT, "persistence_mode": True}) == []
