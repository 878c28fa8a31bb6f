# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def test_all_drift_is_mended(node):
    host = node("drifting").host
    assert "options nvidia NVreg_EnableMSI=1" in host.file("/etc/modprobe.d/accel-gpu.conf").content_string
    assert "NVreg_Other" not in host.file("/etc/modprobe.d/accel-gpu.conf").content_string
    assert "8099" in host.file("/etc/apt/sources.list.d/accel-gpu-driver.sources").content_string
    assert "BEGIN PGP" in host.file("/etc/apt/keyrings/accel-gpu-driver.asc").content_string
    for unit in ("nvidia-persistenced.service", "nvidia-fabricmanager.service"):
        assert host.service(unit).is_enabled
        assert host.service(unit).is_running
    assert host.check_output("lsinitramfs /boot/initrd.img-$(uname -r) | grep -c nvidia.ko || :") == "0"
    assert {"libcuda1", "nvidia-persistenced"} <= set(host.check_output("apt-mark showhold").split())


def test_replaced_files_are_kept(node):
    kept = node("drifting").host.check_output("ls /var/lib/accel-gpu/backup/etc/modprobe.d")
    assert kept.startswith("accel-gpu.conf.")
