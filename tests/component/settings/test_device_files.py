# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may open the GPUs, across a reload: what the driver sets is the driver's, what others set comes back."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._settings.device_files import (
    PARAMETERS,
    PATH,
    DeviceFiles,
    found,
    set_by_others,
)

MIG = "/proc/driver/nvidia/capabilities/mig"
# Whoever runs the tests can give files to himself alone.
ME = (os.getuid(), os.getgid())
HAS = f"owner {ME[0]}, group {ME[1]} and mode"


def parameters(mode: int = 0o666, modify: int = 1) -> bytes:
    return (
        f"EnableMSI: 1\nModifyDeviceFiles: {modify}\nDeviceFileUID: {ME[0]}\nDeviceFileGID: {ME[1]}\n"
        f'DeviceFileMode: {mode}\nRegistryDwords: ""\n'
    ).encode()


def capability(minor: int, mode: int) -> bytes:
    return f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n".encode()


@pytest.fixture
def files(tmp_path: t.Any) -> Files:
    made = Files(str(tmp_path))
    made.write("/proc/sys/kernel/random/boot_id", b"5f1c\n")
    made.write(PARAMETERS, parameters())
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        made.write(f"/dev/{name}", b"", mode=0o666)
    return made


def reloaded(files: Files, mode: int = 0o666, modify: int = 1) -> None:
    """nvidia-modprobe sets what is otherwise, or makes it anew."""
    files.write(PARAMETERS, parameters(mode, modify))
    for name in files.names("/dev"):
        if not name.startswith("nvidia-"):
            os.chmod(files.path(f"/dev/{name}"), mode)


def chmod(files: Files, path: str, mode: int) -> None:
    os.chmod(files.path(path), mode)


def test_what_the_driver_set_is_not_written_down(files):
    DeviceFiles(files).keep()
    assert not files.exists(PATH)
    reloaded(files, mode=0o660)
    assert DeviceFiles(files).back() == ([], [])
    assert files.mode("/dev/nvidia0") == 0o660


def test_what_others_set_is_set_again_by_whoever_comes_after(files):
    chmod(files, "/dev/nvidia1", 0o600)
    DeviceFiles(files).keep()
    reloaded(files)
    assert files.mode("/dev/nvidia1") == 0o666
    assert DeviceFiles(files).back() == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])
    assert (files.mode("/dev/nvidia0"), files.mode("/dev/nvidia1")) == (0o666, 0o600)
    assert not files.exists(PATH)
    assert DeviceFiles(files).back() == ([], [])


def test_what_is_as_before_is_not_told(files):
    chmod(files, "/dev/nvidia1", 0o600)
    DeviceFiles(files).keep()
    assert DeviceFiles(files).back() == ([], [])
    assert not files.exists(PATH)


def test_other_parameters_decide_anew(files):
    chmod(files, "/dev/nvidia1", 0o600)
    DeviceFiles(files).keep()
    reloaded(files, mode=0o660)
    sentence = f"/dev/nvidia1 had {HAS} 0600 before and stays as the driver has it since: {HAS} 0660"
    assert DeviceFiles(files).back() == ([], [sentence])
    assert files.mode("/dev/nvidia1") == 0o660


def test_where_the_driver_leaves_files_alone_all_come_back(files):
    files.write(PARAMETERS, parameters(modify=0))
    DeviceFiles(files).keep()
    reloaded(files, mode=0o666, modify=0)
    chmod(files, "/dev/nvidiactl", 0o640)  # as a udev rule
    assert DeviceFiles(files).back() == ([f"/dev/nvidiactl has {HAS} 0666 again"], [])


def test_without_a_driver_all_waits(files):
    chmod(files, "/dev/nvidia1", 0o600)
    DeviceFiles(files).keep()
    files.remove(PARAMETERS)
    DeviceFiles(files).keep()  # by a run that finds no driver either
    assert DeviceFiles(files).back() == ([], [])
    reloaded(files)
    assert DeviceFiles(files).back() == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


def test_of_two_runs_the_younger_finding_counts_and_what_it_does_not_see_stays(files):
    chmod(files, "/dev/nvidia0", 0o600)
    chmod(files, "/dev/nvidia1", 0o600)
    DeviceFiles(files).keep()
    reloaded(files)
    chmod(files, "/dev/nvidia0", 0o640)  # somebody, after the first run died
    DeviceFiles(files).keep()
    reloaded(files)
    told = [f"/dev/nvidia0 has {HAS} 0640 again", f"/dev/nvidia1 has {HAS} 0600 again"]
    assert DeviceFiles(files).back() == (told, [])


def test_a_reboot_makes_it_void(files):
    chmod(files, "/dev/nvidia1", 0o600)
    DeviceFiles(files).keep()
    files.write("/proc/sys/kernel/random/boot_id", b"6a2d\n")
    reloaded(files)
    assert DeviceFiles(files).back() == ([], [])
    assert files.mode("/dev/nvidia1") == 0o666


def test_what_is_gone_or_cannot_be_set_is_told(files, monkeypatch):
    for number in (0, 1):
        chmod(files, f"/dev/nvidia{number}", 0o600)
    DeviceFiles(files).keep()
    reloaded(files)
    files.remove("/dev/nvidia0")

    def refuses(*_all: t.Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuses)
    assert DeviceFiles(files).back() == (
        [],
        [
            f"/dev/nvidia0 had {HAS} 0600 before and is not there any more",
            f"/dev/nvidia1 had {HAS} 0600 before and could not be set so again: Operation not permitted",
        ],
    )


@pytest.mark.parametrize("content", [b"{", b'{"files": {}}', b"[1]"])
def test_a_file_that_is_none_of_ours_is_an_error(files, content):
    files.write(PATH, content)
    with pytest.raises(AccelError, match=f"^{PATH} (is not JSON|was not written by accel.gpu; remove it)"):
        DeviceFiles(files).keep()


def test_which_files_and_what_the_driver_wants_of_them(files):
    files.write(f"{MIG}/config", capability(1, 0o400))
    files.write(f"{MIG}/monitor", capability(2, 0o444))
    for path in (
        *("/dev/nvidia-modeset", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-caps-imex-channels/channel7"),
        *(f"/dev/nvidia-caps/nvidia-cap{number}" for number in (1, 2, 21)),  # 21 is an instance's
        *("/dev/nvidia-nvlink", "/dev/nvidia0.bak", "/dev/nvidia-other"),
    ):
        files.write(path, b"")
    os.symlink("nvidia0", files.path("/dev/nvidia9"))
    assert {path: own for path, (_access, own) in found(files).items()} == {
        **dict.fromkeys(["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-modeset"], (*ME, 0o666, 1)),
        "/dev/nvidia-caps-imex-channels/channel7": (*ME, 0o666, 1),
        "/dev/nvidia-uvm": (0, 0, 0o666, 1),
        "/dev/nvidia-uvm-tools": (0, 0, 0o666, 1),
        "/dev/nvidia-caps/nvidia-cap1": (0, 0, 0o400, 1),
        "/dev/nvidia-caps/nvidia-cap2": (0, 0, 0o444, 1),
    }


@pytest.mark.parametrize(
    ("access", "own", "kept"),
    [
        ((0, 0, 0o666), (0, 0, 0o666, 1), False),
        ((0, 44, 0o666), (0, 0, 0o666, 1), True),
        ((7, 0, 0o666), (0, 0, 0o666, 1), True),
        ((0, 0, 0o660), (0, 0, 0o666, 1), True),
        ((0, 0, 0o666), (0, 0, 0o666, 0), True),
    ],
)
def test_whose_setting_it_is(access, own, kept):
    expected = {"/dev/nvidia0": {"access": list(access), "driver": list(own)}} if kept else {}
    assert set_by_others({"/dev/nvidia0": (access, own)}) == expected
