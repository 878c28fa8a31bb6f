# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may open the GPUs, across a reload: what the driver sets is the driver's, what others set comes back."""

from __future__ import annotations

import contextlib
import os
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import ApplyError, GpuHungError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.plugins.module_utils._run import TIMED_OUT, SubprocessRun
from ansible_collections.accel.gpu.plugins.module_utils._settings.device_files import (
    PARAMETERS,
    DeviceFile,
    found,
    set_by_others,
    stays,
)
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept_devices import GPUS, PATH, DeviceFiles

MIG = "/proc/driver/nvidia/capabilities/mig"
# Whoever runs the tests can give files to himself alone.
ME = (os.getuid(), os.getgid())
HAS = f"owner {ME[0]}, group {ME[1]} and mode"


def parameters(mode: int = 0o666, modify: int = 1) -> bytes:
    return (
        f"EnableMSI: 1\nModifyDeviceFiles: {modify}\nDeviceFileUID: {ME[0]}\nDeviceFileGID: {ME[1]}\n"
        f'DeviceFileMode: {mode}\nRegistryDwords: ""\n'
    ).encode()


def capability(minor: int, mode: int, modify: int = 1) -> bytes:
    told = f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: {modify}\n"
    return f"DeviceFileUID: {ME[0]}\nDeviceFileGID: {ME[1]}\n{told}".encode()


class Node:
    """`said` are the lines for a person."""

    def __init__(self, root: t.Any) -> None:
        self.files = Files(str(root))
        self.said: t.List[str] = []
        self.asked: t.List[t.Tuple[str, t.Optional[float]]] = []
        self.hangs = False
        self.files.write("/proc/sys/kernel/random/boot_id", b"5f1c\n")
        self.files.write(PARAMETERS, parameters())
        for number, name in enumerate(("nvidia0", "nvidia1", "nvidiactl")):
            self.files.write(f"/dev/{name}", b"", mode=0o666)
            if name != "nvidiactl":
                self.number(number, f"0000:{number}b:00.0")

    def number(self, minor: int, pci: str) -> None:
        self.files.write(f"{GPUS}/{pci}/information", f"Model: \t A100\nDevice Minor: \t {minor}\n".encode())

    def chmod(self, name: str, mode: int) -> None:
        os.chmod(self.files.path(f"/dev/{name}"), mode)

    def modes(self) -> t.List[int]:
        return [self.files.mode(f"/dev/nvidia{number}") for number in (0, 1)]

    def reload(self, mode: int = 0o666) -> None:
        """nvidia-modprobe sets what is otherwise."""
        self.files.write(PARAMETERS, parameters(mode))
        for name in self.files.names("/dev"):
            self.chmod(name, mode)

    def run(self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Any = None) -> t.Any:
        self.asked.append((argv[0], timeout))
        return (TIMED_OUT, "", "") if self.hangs else SubprocessRun()(argv, timeout, stdin)

    def devices(self) -> DeviceFiles:
        return DeviceFiles(Ports(run=self.run, files=self.files, open_nvml=t.cast(t.Any, None), log=self.said.append))

    def across(self, change: t.Callable[[], None]) -> t.Tuple[t.List[str], t.List[str]]:
        """What is told and lost."""
        with self.devices() as devices:
            change()
        assert self.said == [*devices.told, *devices.lost]
        return devices.told, devices.lost

    def died(self, change: t.Callable[[], None]) -> None:
        self.devices().__enter__()
        change()


@pytest.fixture
def node(tmp_path: t.Any) -> Node:
    return Node(tmp_path)


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
    assert node.across(lambda: node.reload(0o660)) == ([], [told])
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

    assert node.across(change) == ([], [f"/dev/nvidia1 had {HAS} 0660 before and has {HAS} 0600 since"])
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
    assert node.across(lambda: node.chmod("nvidia1", 0o666)) == (
        [],
        [f"/dev/nvidia1 had {HAS} 0600 before and has {HAS} 0666 since"],
    )


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
    assert devices.lost == [f"/dev/nvidia1 had {HAS} 0600 before and stays as the driver wants it since: {HAS} 0640"]
    node.said.clear()
    assert node.across(node.reload) == ([f"/dev/nvidia1 has {HAS} 0600 again"], [])


def test_a_driver_that_went_for_good_leaves_nothing(node):
    node.chmod("nvidia1", 0o600)
    with node.devices() as devices:
        node.files.remove(PARAMETERS)
        devices.drop()
    assert not node.files.exists(PATH)
    assert (devices.told, devices.lost) == ([], [])


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
    told, lost = node.across(node.reload)
    # What this run has seen comes back all the same.
    assert (told, [one.partition(" (")[0].partition(": Expecting")[0] for one in lost]) == (
        [f"/dev/nvidia1 has {HAS} 0600 again"],
        [
            f"access to device files could not be written down: {PATH} is not JSON"
            if content == "{"
            else f"access to device files could not be written down: {PATH} was not written by accel.gpu"
        ],
    )
    assert node.files.read_text(PATH) == content


def test_a_full_disk_costs_only_what_a_killed_run_would_have_lost(node, monkeypatch):
    node.chmod("nvidia1", 0o600)
    real = Files.write

    def full(files: Files, path: str, *rest: t.Any, **more: t.Any) -> t.Any:
        if path == PATH:
            raise OSError(28, "No space left on device", path)
        return real(files, path, *rest, **more)

    monkeypatch.setattr(Files, "write", full)
    assert node.across(node.reload) == (
        [f"/dev/nvidia1 has {HAS} 0600 again"],
        [f"access to device files could not be written down: {PATH}: No space left on device"],
    )


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
    assert stays(theirs, ours) is None
