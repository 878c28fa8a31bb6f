# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def test_hosts_have_their_geometry(node):
    assert node("site-a100").profiles(0) == ["1g.10gb"] * 7
    assert node("site-h100").profiles(0) == ["3g.40gb", "3g.40gb"]


def test_settings_are_there_after_the_reset_for_mig_mode(node):
    settings = node("site-a100").gpu(0)["settings"]
    assert settings["power_limit"] == 300
    assert (settings["locked_gpu_clock_min"], settings["locked_gpu_clock_max"]) == (1200, 1305)


def test_the_hosts_own_layer_wins(node):
    assert node("site-h100").mode(1) == (False, False)


def test_the_host_without_gpu_has_got_nothing(node):
    assert not node("site-cpu").host.file("/etc/accel-gpu").exists
