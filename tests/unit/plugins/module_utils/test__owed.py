# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is owed after a run, in sentences."""

from __future__ import annotations

from ansible_collections.accel.gpu.plugins.module_utils._owed import owed_states


def test_what_a_driver_owes_is_told_with_its_reasons():
    result = {
        "upgrade_pending": {"from": "580.95.05", "to": "580.126.16"},
        "reload_required": ["module 580.95.05 is loaded, 580.126.16 is installed"],
        "reboot_required": ["nouveau is loaded"],
        "reboot_pending": ["/run/reboot-required is there"],  # for other packages: told, and no debt of the driver
        "daemon_reload_required": ["docker 1f0c"],
        "enrolment_required": "reboot and type it",
        "fabric_deferred": ["nvidia-imex.service: needs a file"],
        "boot_without_driver": ["kernel 6.2, which boots next, has no NVIDIA module"],
        "not_restored": ["GPU-1: power limit was 140.0 before and is not set again"],
    }
    assert owed_states([result]) == [
        "reboot: nouveau is loaded",
        "driver: upgrade pending 580.95.05 → 580.126.16, its module is loaded",
        "reload of the kernel modules: module 580.95.05 is loaded, 580.126.16 is installed",
        "a key to be enrolled: reboot and type it",
        "NVLink fabric: nvidia-imex.service: needs a file",
        "the next boot would be without the driver: kernel 6.2, which boots next, has no NVIDIA module",
        "lost by a reload of the driver: GPU-1: power limit was 140.0 before and is not set again",
        "systemctl daemon-reload: a running container would lose its GPU",
    ]


def test_owed_states_say_what_they_are_about():
    told = owed_states([{"subject": "settings", "reset_required": ["GPU-1"], "deferred": ["GPU-2"]}])
    assert told == ["reset of GPU-1: its pending ECC mode waits for it", "settings of GPU-2: deferred while it is busy"]
    told = owed_states([{"reset_required": ["GPU-1"], "deferred": ["GPU-2"]}])
    assert told == ["reset of GPU-1: its pending MIG mode waits for it", "geometry of GPU-2: deferred while it is busy"]
