# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What files of kernel modules say. The files are constructed in the layout of elf(5)."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.model import ModuleFile
from ansible_collections.accel.gpu.plugins.module_utils._driver.texts import modinfo
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import module


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/lib/modules/6.1.0/updates/dkms/nvidia.ko", "nvidia"),
        ("extra/nvidia.ko.xz", "nvidia"),
        ("nvidia-current.ko", "nvidia"),
        ("nvidia-current-open.ko", "nvidia"),
        ("nvidia-current-open-uvm.ko", "nvidia-uvm"),
        ("nvidia-tesla-535.ko.zst", "nvidia"),
        ("nvidia-tesla-535-modeset.ko", "nvidia-modeset"),
        ("nvidia-legacy-390xx.ko", "nvidia"),
        ("nvidia-drm.ko.gz", "nvidia-drm"),
        ("nvidia_peermem.ko", "nvidia-peermem"),
        ("nvidiafb.ko", None),
        ("nvidia-fs.ko", None),
        ("kernel/drivers/platform/x86/nvidia-wmi-ec-backlight.ko", None),
        ("typec_nvidia.ko", None),
        ("nvidia.conf", None),
    ],
)
def test_the_driver_goes_by_many_names(path, name):
    assert modinfo.canonical(path) == name


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (module(), ModuleFile("nvidia", "/m", "580.126.16", "Dual MIT/GPL", None)),
        (module("535.309.01", "NVIDIA"), ModuleFile("nvidia", "/m", "535.309.01", "NVIDIA", None)),
        (
            module(signer="DKMS module signing key"),
            ModuleFile("nvidia", "/m", "580.126.16", "Dual MIT/GPL", "DKMS module signing key"),
        ),
        (module(more=("version=1.2.3",)), ModuleFile("nvidia", "/m", "580.126.16", "Dual MIT/GPL", None)),
        (module(version=None), None),
        (b"", None),
        (b"not a module at all", None),
        (module()[:-100], None),
        (module()[:70], None),
    ],
)
def test_a_file_tells_version_license_and_signer(data, wanted):
    assert modinfo.module_file("/m", data) == wanted
    assert modinfo.module_file("/m", memoryview(data)) == wanted


def test_a_signature_without_a_name_is_one_all_the_same():
    magic = b"~Module signature appended~\n"
    assert modinfo.signer(module() + b"xxxx" + bytes((0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4)) + magic) == "unknown"
    assert modinfo.signer(b"xxxx" + bytes((0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0)) + magic) is None
    assert modinfo.signer(magic) is None


def test_the_program_tells_the_same():
    text = (
        "filename:       /m\nalias:          char-major-195-*\nversion:        580.126.16\nlicense:        NVIDIA\n"
        "name:           nvidia\nsig_id:         PKCS#7\nsigner:         Canonical Ltd. Kernel Module Signing\n"
        "sig_key:        11:22\n"
    )
    wanted = ModuleFile("nvidia", "/m", "580.126.16", "NVIDIA", "Canonical Ltd. Kernel Module Signing")
    assert modinfo.from_program("/m", text) == wanted
    assert modinfo.from_program("/m", "filename: /m\n") is None
