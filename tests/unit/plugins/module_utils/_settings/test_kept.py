# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings a reset or reload took for good, and which differences are no loss."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import SettingSet
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept import LOST, NOTED, TOLD, became


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
