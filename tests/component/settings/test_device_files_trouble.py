# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may open the GPUs, where runs die, the driver hangs, disks are full or a change fails."""

from __future__ import annotations

import contextlib
import os
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import ApplyError, GpuHungError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._settings.device_files import PARAMETERS
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept_devices import PATH, DeviceFiles
from ansible_collections.accel.gpu.tests.component.settings.devices import HAS


@pytest.mark.parametrize("how", ["error", "told"])
def test_what_a_change_that_is_not_over_could_not_bring_back_waits(node, how):
    node.chmod("nvidia1", 0o600)

    def change(devices: DeviceFiles) -> None:
        node.reload(0o640)
        devices.back()
        if how == "error":
            raise ApplyError("NOT restored", restored=False)
        devices.unfinished = True

    with contextlib.suppress(ApplyError), node.devices() as devices:
        change(devices)
    assert devices.noted == [f"/dev/nvidia1 had {HAS} 0600 before and stays as the driver wants it since: {HAS} 0640"]
    node.said.clear()
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_driver_that_hangs_is_not_waited_for_and_gets_nothing(node, when):
    for name in ("nvidia1", "nvidiactl"):
        node.chmod(name, 0o600)
    node.hangs = when == "before"

    def change() -> None:
        node.hangs = True
        node.reload()

    assert node.across(change) == (
        [f"/dev/nvidiactl has {HAS} 0600 again"],
        [f"/dev/nvidia1 had {HAS} 0600 before and the driver does not say whose it is"],
    )
    assert set(node.asked) == {("grep", 20.0)}


def test_before_the_driver_is_touched_once_more_all_of_it_is_written_down_again(node):
    node.chmod("nvidia1", 0o600)
    with contextlib.suppress(KeyboardInterrupt):
        devices = node.devices().__enter__()  # it dies
        node.reload()
        devices.back()
        node.reload()
        devices.keep()
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


def test_a_driver_that_was_to_go_and_did_not_has_its_files_as_before(node):
    node.chmod("nvidia1", 0o600)

    def change(devices: DeviceFiles) -> None:
        devices.drop()
        node.reload()
        raise ApplyError("it failed", restored=True)

    with contextlib.suppress(ApplyError), node.devices() as devices:
        change(devices)
    assert node.modes() == [0o666, 0o600]


def test_the_run_after_one_that_died_sets_it_again(node):
    node.chmod("nvidia1", 0o600)
    node.died(node.reload)
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


def test_what_somebody_has_set_after_a_run_died_is_what_comes_back(node):
    node.chmod("nvidia0", 0o660)
    node.chmod("nvidia1", 0o660)
    node.died(node.reload)
    node.chmod("nvidia0", 0o600)
    told = [f"/dev/nvidia0 has {HAS} 0600 again", f"/dev/nvidia1 has {HAS} 0660 again"]
    assert node.across(node.reload) == (told, [])


def test_without_a_driver_all_waits(node):
    node.chmod("nvidia1", 0o600)
    assert node.across(lambda: node.files.remove(PARAMETERS) and None) == ([], [])
    assert node.across(lambda: None) == ([], [])  # by a run that finds no driver either
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


def test_a_reboot_makes_it_void(node):
    node.chmod("nvidia1", 0o600)
    node.died(node.reload)
    node.files.write("/proc/sys/kernel/random/boot_id", b"6a2d\n")
    assert node.across(node.reload) == ([], [])
    assert node.modes() == [0o666, 0o666]
    assert not node.files.exists(PATH)


@pytest.mark.parametrize("error", [GpuHungError("hung"), ApplyError("failed"), KeyboardInterrupt()])
def test_it_comes_back_where_the_change_fails(node, error):
    node.chmod("nvidia1", 0o600)

    def change() -> None:
        node.reload()
        raise error

    with pytest.raises(type(error)):
        node.across(change)
    assert node.modes() == [0o666, 0o600]


def test_what_is_gone_or_cannot_be_set_is_told_also_by_an_error(node, monkeypatch):
    for name in ("nvidia0", "nvidia1"):
        node.chmod(name, 0o600)

    def refuses(*_all: t.Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    def change() -> None:
        node.reload()
        node.files.remove("/dev/nvidia0")
        monkeypatch.setattr(os, "chmod", refuses)
        raise ApplyError("it failed")

    with pytest.raises(ApplyError) as caught:
        node.across(change)
    assert caught.value.message == (
        f"it failed; /dev/nvidia0 had {HAS} 0600 before and is not there any more; "
        f"/dev/nvidia1 had {HAS} 0600 before and could not be set so again: Operation not permitted"
    )


def test_what_somebody_else_decided_on_is_told_by_an_error_too_and_once(node):
    node.chmod("nvidia1", 0o600)
    # One change within another: both have noted it.
    with pytest.raises(ApplyError) as caught, node.devices() as outer, node.devices() as devices:
        node.reload(0o640)
        devices.back()
        raise ApplyError("it failed")
    noted = f"/dev/nvidia1 had {HAS} 0600 before and stays as the driver wants it since: {HAS} 0640"
    assert outer.noted == devices.noted == [noted]
    assert caught.value.message == f"it failed; {noted}"


OURS = '{"version": 1, "boot_id": "5f1c", "files": %s}'


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        "{}",
        '{"version": 2, "boot_id": "5f1c", "files": {}}',
        OURS % '{"/dev/nvidia1": {}}',
        OURS % '{"/dev/nvidia1": {"access": [0], "driver": [0, 0, 0], "fixed": false, "gpu": ""}}',
        OURS % '{"/dev/nvidia1": {"access": ["a", 0, 0], "driver": [0, 0, 0], "fixed": false, "gpu": ""}}',
        OURS % '{"/dev/nvidia1": {"access": [1e999, 0, 0], "driver": [0, 0, 0], "fixed": false, "gpu": ""}}',
        OURS % '{"/dev/nvidia1": {"access": [4294967295, 0, 0], "driver": [0, 0, 0], "fixed": false, "gpu": ""}}',
        OURS % '{"/dev/nvidia1": {"access": [0, 0, 4096], "driver": [0, 0, 0], "fixed": false, "gpu": ""}}',
        OURS % '["/dev/nvidia1"]',
    ],
)
def test_a_file_that_is_none_of_ours_is_told_and_stays(node, content):
    node.chmod("nvidia1", 0o600)
    node.files.write(PATH, content.encode())
    # What this run has seen comes back all the same.
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])
    assert [one.partition(" (")[0].partition(": Expecting")[0] for one in node.noted] == [
        f"access to device files could not be written down: {PATH} is not JSON"
        if content == "{"
        else f"access to device files could not be written down: {PATH} was not written by accel.gpu"
    ]
    assert node.files.read_text(PATH) == content


def test_a_full_disk_costs_only_what_a_killed_run_would_have_lost(node, monkeypatch):
    node.chmod("nvidia1", 0o600)
    real = Files.write

    def full(files: Files, path: str, *rest: t.Any, **more: t.Any) -> t.Any:
        if path == PATH:
            raise OSError(28, "No space left on device", path)
        return real(files, path, *rest, **more)

    monkeypatch.setattr(Files, "write", full)
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])
    assert node.noted == [f"access to device files could not be written down: {PATH}: No space left on device"]
