# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's device files: what the driver wants of them, and whose setting a file is."""

from __future__ import annotations

import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._settings.device_files import (
    DeviceFile,
    decided,
    found,
    set_by_others,
)
from ansible_collections.accel.gpu.tests.component.settings.devices import ME, MIG, capability


def test_which_files_and_what_the_driver_wants_of_them(node):
    files = node.files
    files.write(f"{MIG}/config", capability(1, 0o400))
    files.write(f"{MIG}/monitor", capability(2, 0o444))
    files.write("/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt", capability(0, 0o400))
    files.write("/proc/driver/nvidia/capabilities/fabric-imex-mgmt", capability(4323, 0o400, modify=0))
    files.write("/proc/driver/nvidia-nvlink/permissions", b"DeviceFileMode: 432\n")
    files.write("/proc/driver/nvidia-nvswitch/permissions", b"DeviceFileGID: 7\n")
    for path in (
        *("/dev/nvidia-modeset", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-caps-imex-channels/channel7"),
        "/dev/nvidia-caps-imex-channels/channel0",
        *(f"/dev/nvidia-caps/nvidia-cap{number}" for number in (0, 1, 2, 21, 4323)),  # 21 is an instance's
        *("/dev/nvidia-nvlink", "/dev/nvidia-nvswitch0", "/dev/nvidia-nvswitchctl"),
        *("/dev/nvidia0.bak", "/dev/nvidia-other"),
    ):
        files.write(path, b"")
    os.symlink("nvidia0", files.path("/dev/nvidia9"))
    os.mkdir(files.path("/dev/nvidia8"))
    ours = (*ME, 0o666)
    assert {path: (one.driver, one.fixed) for path, one in found(files).items()} == {
        "/dev/nvidia0": (ours, False),
        "/dev/nvidia1": (ours, False),
        **dict.fromkeys(
            ["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-caps-imex-channels/channel7"], (ours, False)
        ),
        **dict.fromkeys(["/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"], ((0, 0, 0o666), False)),
        "/dev/nvidia-nvlink": ((0, 0, 0o660), False),
        **dict.fromkeys(["/dev/nvidia-nvswitch0", "/dev/nvidia-nvswitchctl"], ((0, 7, 0o666), False)),
        "/dev/nvidia-caps/nvidia-cap0": ((*ME, 0o400), False),
        "/dev/nvidia-caps/nvidia-cap1": ((*ME, 0o400), False),
        "/dev/nvidia-caps/nvidia-cap2": ((*ME, 0o444), False),
        "/dev/nvidia-caps/nvidia-cap4323": ((*ME, 0o400), True),
    }


@pytest.mark.parametrize("access", [(0, 44, 0o666), (7, 0, 0o666), (0, 0, 0o660)])
def test_whose_setting_it_is(access):
    ours = DeviceFile((0, 0, 0o666), (0, 0, 0o666))
    theirs = DeviceFile(access, (0, 0, 0o666))
    assert set_by_others({"/dev/nvidia0": ours, "/dev/nvidia1": theirs}) == {"/dev/nvidia1": theirs}
    assert decided(theirs, ours) is None


WANTED, OTHER = (0, 0, 0o666), (0, 44, 0o660)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (DeviceFile(OTHER, WANTED), ""),
        (DeviceFile(WANTED, WANTED), None),
        (DeviceFile((0, 7, 0o660), WANTED), "has owner 0, group 7 and mode 0660 since"),
        (DeviceFile(WANTED, WANTED, fixed=True), "has owner 0, group 0 and mode 0666 since"),
        (
            DeviceFile((0, 7, 0o640), (0, 7, 0o640)),
            "stays as the driver wants it since: owner 0, group 7 and mode 0640",
        ),
    ],
)
def test_who_has_decided_on_a_file_since(now, said):
    assert decided(DeviceFile(OTHER, WANTED), now) == said
