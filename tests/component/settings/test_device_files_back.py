# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may open the GPUs, across a reload: what the driver sets is the driver's, what others set comes back."""

from __future__ import annotations

import os

from ansible_collections.accel.gpu.plugins.module_utils._settings.device_files import PARAMETERS
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept_devices import GPUS, PATH
from ansible_collections.accel.gpu.tests.component.settings.devices import HAS, ME, MIG, capability, parameters


def test_what_the_driver_set_is_not_written_down(node):
    def change() -> None:
        assert not node.files.exists(PATH)
        node.reload(0o660)

    assert node.across(change) == ([], [])
    assert node.modes() == [0o660, 0o660]
    assert node.asked == []  # no GPU is asked for anything where nobody has set anything


def test_what_others_set_is_set_again(node):
    node.chmod("nvidia1", 0o600)

    def change() -> None:
        assert node.files.mode(PATH) == 0o600
        node.reload()
        assert node.modes() == [0o666, 0o666]

    assert node.across(change) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])
    assert node.modes() == [0o666, 0o600]
    assert not node.files.exists(PATH)


def test_owner_and_group_come_first_for_a_change_of_them_may_take_bits_away(node, monkeypatch):
    node.chmod("nvidia1", 0o600)
    calls = []
    monkeypatch.setattr(os, "chown", lambda path, *owner: calls.append((os.path.basename(path), *owner)))
    monkeypatch.setattr(os, "chmod", lambda path, mode: calls.append((os.path.basename(path), mode)))
    with node.devices():
        monkeypatch.setattr(node.files, "access", lambda _path: (*ME, 0o666))
    assert calls == [("nvidia1", *ME), ("nvidia1", 0o600)]


def test_what_is_as_before_is_not_told(node):
    node.chmod("nvidia1", 0o600)
    assert node.across(lambda: None) == ([], [])
    assert not node.files.exists(PATH)


def test_other_parameters_decide_anew(node):
    node.chmod("nvidia1", 0o600)
    told = f"/dev/nvidia1 had {HAS} 0600 before and stays as the driver wants it since: {HAS} 0660"
    assert node.across(lambda: node.reload(0o660)) == ([], [])
    assert node.noted == [told]
    assert node.modes() == [0o660, 0o660]


def test_parameters_that_were_taken_back_count_as_those_of_before(node):
    node.chmod("nvidia1", 0o600)

    def there_and_back() -> None:
        node.reload(0o660)
        node.reload()

    assert node.across(there_and_back) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


def test_whoever_sets_a_file_in_between_has_the_word(node):
    node.chmod("nvidia1", 0o660)

    def change() -> None:
        node.reload()
        node.chmod("nvidia1", 0o600)  # a udev rule of the new packages

    assert node.across(change) == ([], [])
    assert node.noted == [f"/dev/nvidia1 had {HAS} 0660 before and has {HAS} 0600 since"]
    assert node.modes() == [0o666, 0o600]


def test_a_number_that_another_gpu_has_since_gets_nothing(node):
    node.chmod("nvidia0", 0o660)
    node.chmod("nvidia1", 0o600)

    def change() -> None:
        node.files.remove(f"{GPUS}/0000:0b:00.0/information")
        node.files.prune(f"{GPUS}/0000:0b:00.0")
        node.number(0, "0000:1b:00.0")
        node.reload()

    assert node.across(change) == (
        [],
        [
            f"/dev/nvidia0 had {HAS} 0660 before and belongs to GPU 0000:1b:00.0 since",
            f"/dev/nvidia1 had {HAS} 0600 before and GPU 0000:1b:00.0 has another one, or none, since",
        ],
    )
    assert node.modes() == [0o666, 0o666]


def test_where_nvidia_modprobe_may_not_set_it_somebody_else_did(node):
    node.chmod("nvidia1", 0o600)
    node.files.write(PARAMETERS, parameters(modify=0))
    assert node.across(lambda: node.chmod("nvidia1", 0o666)) == ([], [])
    assert node.noted == [f"/dev/nvidia1 had {HAS} 0600 before and has {HAS} 0666 since"]


def test_a_capability_that_nvidia_modprobe_left_alone_until_the_driver_came_anew_comes_back(node):
    """Who may change that writes it to /proc, where it is lost with the driver."""
    node.files.write(f"{MIG}/config", capability(1, 0o400, modify=0))
    node.files.write("/dev/nvidia-caps/nvidia-cap1", b"", mode=0o440)

    def change() -> None:
        node.files.write(f"{MIG}/config", capability(1, 0o400))
        node.chmod("nvidia-caps/nvidia-cap1", 0o400)

    assert node.across(change) == ([f"/dev/nvidia-caps/nvidia-cap1 has {HAS} 0440 again"], [])


def test_what_was_set_again_early_is_set_again_once_more_and_told_once(node):
    node.chmod("nvidia1", 0o600)
    with node.devices() as devices:
        node.reload()
        devices.back()
        assert not node.files.exists(PATH)  # whoever dies now owes nothing
        assert node.modes() == [0o666, 0o600]
        node.reload()
    assert (devices.told, node.modes()) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [0o666, 0o600])


def test_a_driver_that_went_for_good_leaves_nothing(node):
    node.chmod("nvidia1", 0o600)
    with node.devices() as devices:
        node.files.remove(PARAMETERS)
        devices.drop()
    assert not node.files.exists(PATH)
    assert (devices.told, devices.lost) == ([], [])


def test_one_change_within_another_loses_nothing(node):
    node.chmod("nvidia1", 0o600)

    def change() -> None:
        with node.devices() as inner:
            node.reload()
        assert inner.told == [f"/dev/nvidia1 has {HAS} 0600 again"]
        node.reload()
        node.said.clear()

    assert node.across(change) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])
    assert node.modes() == [0o666, 0o600]
