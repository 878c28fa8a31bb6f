# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


def test_settings_are_those_of_the_inventory(node):
    own = node("settings-own")
    a100, h100, l40s = (own.gpu(index)["settings"] for index in (0, 1, 2))
    assert (a100["power_limit"], h100["power_limit"]) == (300, 600)
    assert (l40s["locked_memory_clock_min"], l40s["locked_memory_clock_max"]) == (405, 810)
    assert (a100["application_clock_graphics"], a100["application_clock_memory"]) == (1200, 1593)
    for settings in (a100, h100, l40s):
        assert (settings["persistence_mode"], settings["compute_mode"], settings["accounting_mode"]) == (1, 3, 1)
        assert (settings["locked_gpu_clock_min"], settings["locked_gpu_clock_max"]) == (1200, 1305)
        assert (settings["ecc_current"], settings["ecc_pending"]) == (1, 1)


def test_the_daemon_keeps_persistence_mode_and_ecc_took_effect_with_the_reboot(node):
    settings = node("settings-daemon").gpu(0)["settings"]
    assert (settings["power_limit"], settings["ecc_current"]) == (500, 0)
    assert node("settings-daemon").active("nvidia-persistenced.service")


@pytest.mark.parametrize("name", ["settings-own", "settings-daemon"])
def test_the_agent_agrees(node, name):
    machine = node(name)
    assert machine.json("/run/accel-gpu/boot.json")["status"] == "ok"
    assert machine.host.run("accel-gpu settings assert").rc == 0
