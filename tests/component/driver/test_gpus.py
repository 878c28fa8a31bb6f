# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs across a change of the driver: their settings, also of a run that died, and those that give no answer."""

from __future__ import annotations

import functools
import os
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import record
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply as applying
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply_back import Aftermath
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply_gpus import Gpus
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_unset
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import PciDevice
from ansible_collections.accel.gpu.plugins.module_utils._settings import kept, kept_devices
from ansible_collections.accel.gpu.tests.component.driver.machine import (
    LOADED_LIMIT,
    PCI,
    Fault,
    Machine,
    gpus_of,
)
from ansible_collections.accel.gpu.tests.component.driver.test_apply import (
    MODPROBE,
    WISHED,
    deeds,
    make,
    run,
    taken_back,
    wished,
)
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

SECOND, THIRD = "0000:3b:00.0", "0000:86:00.0"
THREE = {
    "GPU-1": {"pci": PCI, "limit": 300.0},
    "GPU-2": {"pci": SECOND, "limit": 310.0},
    "GPU-3": {"pci": THIRD, "limit": 320.0},
}
WITHOUT_FILES = "the files of the installed "


def limits(machine: Machine) -> t.List[float]:
    return [gpu["limit"] for gpu in gpus_of(machine.state).values()]


def told(answer: t.Mapping[str, t.Any]) -> t.List[str]:
    return [text for text in answer["warnings"] if not text.startswith(WITHOUT_FILES)]


def died(tmp_path: t.Any, deed: str) -> Machine:
    """A run that died after this deed."""
    at = 1 + deeds(tmp_path).index(deed)
    (tmp_path / "node").mkdir()
    machine = make(tmp_path / "node", gpus=THREE)
    machine.fault = Fault(at, "dies_after")
    assert in_child(functools.partial(run, machine)) is None
    return Machine(machine.root)


def test_settings_are_set_again_after_the_reload(tmp_path):
    machine = make(tmp_path, gpus=THREE)
    assert told(run(machine)) == []
    assert wished(machine)
    assert limits(machine) == [300.0, 310.0, 320.0]
    assert not machine.files.exists(kept.PATH)


@pytest.mark.parametrize("deed", ["package libnvidia-ml1", "rmmod nvidia", "modprobe nvidia", "modprobe nvidia_uvm"])
def test_what_a_run_that_died_owes_is_set_by_the_next_one(tmp_path, deed):
    machine = died(tmp_path, deed)
    assert told(run(machine)) == []
    assert wished(machine)
    assert limits(machine) == [300.0, 310.0, 320.0]
    assert not machine.files.exists(kept.PATH)


@pytest.mark.parametrize("deed", ["package libnvidia-ml1", "modprobe nvidia_uvm"])
def test_so_does_one_that_goes_the_way_back(tmp_path, deed):
    machine = died(tmp_path, deed)
    journal = record.read_journal(machine.files)
    assert journal is not None
    back = taken_back(machine, journal)
    assert (back.after.missing, limits(machine)) == ((), [300.0, 310.0, 320.0])
    # Nothing was loaded anew where it died early.
    anew = deed == "modprobe nvidia_uvm"
    assert back.reapplied == tuple(f"GPU-{n}: power limit is {300.0 + 10 * (n - 1)} again" for n in (1, 2, 3) if anew)
    assert not machine.files.exists(kept.PATH)


def across(machine: Machine) -> Gpus:
    ports = machine.ports()
    return Gpus(ports, kept_devices.DeviceFiles(ports))


def opened_to_few(machine: Machine) -> None:
    machine.files.write("/dev/nvidia0", b"", mode=0o600)


def test_who_may_open_a_gpu_is_set_again_after_the_reload(tmp_path):
    machine = make(tmp_path)
    opened_to_few(machine)
    done = run(machine)
    assert machine.files.mode("/dev/nvidia0") == 0o600
    has = f"owner {os.getuid()}, group {os.getgid()} and mode 0600"
    assert f"/dev/nvidia0 has {has} again" in done["settings_reapplied"]


@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "goes back"])
@pytest.mark.parametrize("deed", ["package libnvidia-ml1", "modprobe nvidia"])
def test_so_it_is_where_a_run_died(tmp_path, deed, goes_on):
    at = 1 + deeds(tmp_path).index(deed)
    (tmp_path / "node").mkdir()
    machine = make(tmp_path / "node", gpus={"GPU-1": {"pci": PCI, "limit": 300.0, "unread": 99}})
    opened_to_few(machine)
    machine.fault = Fault(at, "dies_after")
    assert in_child(functools.partial(run, machine)) is None
    assert machine.files.mode("/dev/nvidia0") == (0o666 if deed == "modprobe nvidia" else 0o600)
    machine = Machine(machine.root)
    journal = record.read_journal(machine.files)
    assert journal is not None
    if goes_on:
        assert "failed" not in run(machine)
    else:
        back = taken_back(machine, journal)
        assert back.after.missing == ()
        assert any(one.startswith("/dev/nvidia0 has ") for one in back.reapplied) is (deed == "modprobe nvidia")
    assert machine.files.mode("/dev/nvidia0") == 0o600
    assert not machine.files.exists(kept_devices.PATH)


def test_so_it_is_where_a_change_fails_and_goes_back(tmp_path):
    at = 1 + deeds(tmp_path).index("modprobe nvidia_uvm")
    (tmp_path / "node").mkdir()
    machine = make(tmp_path / "node")
    opened_to_few(machine)
    machine.fault = Fault(at, "fails")
    assert "what was there before is back" in run(machine)["failed"]
    assert machine.deeds.count("modprobe nvidia") == 2
    assert machine.files.mode("/dev/nvidia0") == 0o600


def test_so_it_is_where_the_new_driver_does_not_prove_itself(tmp_path, monkeypatch):
    """The parameters that came with it are gone again, so it is the access of before that comes back."""
    machine = make(tmp_path)
    opened_to_few(machine)
    monkeypatch.setitem(WISHED, MODPROBE, f"options nvidia NVreg_DeviceFileMode={0o640}\n")

    def silent(gpus: Gpus, _devices: t.Any) -> t.List[str]:
        assert machine.files.mode("/dev/nvidia0") == 0o640
        return ["GPU x: gives no answer"]

    monkeypatch.setattr(Gpus, "silent", silent)
    done = run(machine)
    assert done["failed"].endswith("; what was there before is back")
    assert machine.files.mode("/dev/nvidia0") == 0o600


def test_so_it_is_where_a_run_dies_while_it_waits_for_the_fabric(tmp_path, monkeypatch):
    machine = make(tmp_path)
    opened_to_few(machine)
    monkeypatch.setattr(applying, "_check_fabric", lambda *_all: os._exit(9))
    assert in_child(functools.partial(run, machine)) is None
    assert record.read_journal(machine.files) is None
    assert machine.files.mode("/dev/nvidia0") == 0o600


def test_so_it_is_where_a_run_dies_on_its_way_back(tmp_path, monkeypatch):
    machine = make(tmp_path)
    opened_to_few(machine)

    def dies(*_all: t.Any) -> None:
        os.chmod(machine.files.path("/dev/nvidia0"), 0o666)
        os._exit(9)

    with monkeypatch.context() as patched:
        patched.setattr(Gpus, "silent", lambda *_all: ["GPU x: gives no answer"])
        patched.setattr(apply_back, "undo", dies)
        assert in_child(functools.partial(run, machine)) is None
    assert machine.files.mode("/dev/nvidia0") == 0o666
    assert "failed" not in run(machine)
    assert machine.files.mode("/dev/nvidia0") == 0o600


def test_a_way_back_that_is_not_over_leaves_it_to_the_next_run(tmp_path, monkeypatch):
    machine = died(tmp_path, "package libnvidia-ml1")
    opened_to_few(machine)
    journal = record.read_journal(machine.files)
    assert journal is not None

    def loads(mode: int, *missing: str) -> None:
        def undo_(*_all: t.Any) -> Aftermath:
            machine.save({**machine.state, "live": ["Kernel Module", {"DeviceFileMode": mode}]})
            machine.files.write("/dev/nvidia0", b"", mode=mode)
            return Aftermath(missing, 1)

        monkeypatch.setattr(applying, "undo", undo_)

    loads(0o640, "reload of nvidia failed")
    taken_back(machine, journal)
    assert machine.files.mode("/dev/nvidia0") == 0o640
    loads(0o666)
    taken_back(machine, journal)
    assert machine.files.mode("/dev/nvidia0") == 0o600
    assert not machine.files.exists(kept_devices.PATH)


def test_a_file_of_device_files_that_nobody_can_read_is_told_and_fails_no_change(tmp_path):
    machine = make(tmp_path)
    machine.files.write(kept_devices.PATH, b"{")
    answer = run(machine)
    assert "failed" not in answer
    assert [
        one.startswith(f"access to device files could not be written down: {kept_devices.PATH} is not JSON: ")
        for one in told(answer)
    ] == [True]
    assert wished(machine)


def test_what_the_earlier_run_found_counts_where_the_modules_are_loaded_once_more(tmp_path):
    machine = died(tmp_path, "modprobe nvidia_uvm")
    assert limits(machine) == [LOADED_LIMIT] * 3
    gpus = across(machine)
    gpus.take(())
    gpus.back()
    assert limits(machine) == [300.0, 310.0, 320.0]
    assert gpus.lost == []


def test_a_file_of_settings_that_nobody_can_read_is_told_and_fails_no_change(tmp_path):
    machine = make(tmp_path, gpus=THREE)
    machine.files.write(kept.PATH, b"{")
    answer = run(machine)
    assert "failed" not in answer
    assert any(f"{kept.PATH} is not JSON" in text for text in answer["noted"])
    assert answer["lost"] == []
    assert wished(machine)


def test_a_limit_that_the_gpu_refuses_is_lost_and_stays_owed(tmp_path):
    machine = make(tmp_path, gpus={**THREE, "GPU-2": {**THREE["GPU-2"], "refuses": 2}})
    answer = run(machine)
    assert answer["lost"] == ["GPU-2: power limit was 310.0 before and the GPU refuses it now (UNKNOWN)"]
    assert limits(machine) == [300.0, LOADED_LIMIT, 320.0]
    owed = ("GPU-2: power limit was 310.0 before and is not set again",)
    assert probe_unset.unset(machine.files) == owed
    # The next change, a way back above all, sets it again, and does not take what is there now for what was set.
    gpus = across(machine)
    gpus.take(())
    gpus.back()
    assert (limits(machine), gpus.lost) == ([300.0, 310.0, 320.0], [])
    assert probe_unset.unset(machine.files) == ()


def test_a_device_file_that_is_lost_stays_owed_and_one_that_somebody_else_decided_on_does_not(tmp_path):
    machine = make(tmp_path)
    opened_to_few(machine)
    machine.files.write("/dev/nvidiactl", b"", mode=0o600)
    with kept_devices.DeviceFiles(machine.ports()) as devices:
        machine.files.remove("/dev/nvidia0")
        machine.files.write("/dev/nvidiactl", b"", mode=0o640)
    has = f"owner {os.getuid()}, group {os.getgid()} and mode"
    assert devices.lost == [f"/dev/nvidia0 had {has} 0600 before and is not there any more"]
    assert devices.noted == [f"/dev/nvidiactl had {has} 0600 before and has {has} 0640 since"]
    assert probe_unset.unset(machine.files) == (f"/dev/nvidia0 had {has} 0600 before and has not again",)
    machine.files.write("/dev/nvidia0", b"", mode=0o600)
    assert probe_unset.unset(machine.files) == ()


@pytest.mark.parametrize("path", [kept.PATH, kept_devices.PATH])
@pytest.mark.parametrize("content", ["{", "[1]", '{"boot_id": "5f1c"}', '{"boot_id": "5f1c", "gpus": {"GPU-1": 7}}'])
def test_a_file_that_is_none_of_ours_owes_nothing(tmp_path, path, content):
    machine = make(tmp_path)
    machine.files.write(path, content.encode())
    assert probe_unset.unset(machine.files) == ()


def test_a_gpu_that_cannot_be_read_costs_the_others_nothing(tmp_path):
    machine = make(tmp_path, gpus={**THREE, "GPU-2": {**THREE["GPU-2"], "unread": 99}})
    assert told(run(machine)) == [
        "GPU-2: settings could not be read before the driver changed: nvmlDeviceGetPowerManagementLimit failed: UNKNOWN"
    ]
    assert wished(machine)
    assert limits(machine) == [300.0, LOADED_LIMIT, 320.0]


def test_one_that_can_be_read_at_the_second_time_is(tmp_path):
    machine = make(tmp_path, gpus={**THREE, "GPU-2": {**THREE["GPU-2"], "unread": 1}})
    assert told(run(machine)) == []
    assert limits(machine) == [300.0, 310.0, 320.0]


def lost(*uuids: str) -> t.Dict[str, t.Any]:
    return {uuid: {**gpu, "lost": True} if uuid in uuids else gpu for uuid, gpu in THREE.items()}


def test_a_gpu_that_was_lost_before_is_told_and_takes_nothing_back(tmp_path):
    machine = make(tmp_path, gpus=lost("GPU-2"))
    answer = run(machine)
    assert "failed" not in answer
    assert told(answer) == [
        f"GPU {SECOND}: GPU is lost; it gave no answer before the change either",
        "GPU-2: settings could not be read before the driver changed: GPU is lost",
    ]
    assert wished(machine)


def test_a_gpu_that_is_lost_by_the_change_takes_it_back(tmp_path, monkeypatch):
    machine = make(tmp_path, gpus=lost("GPU-2"))
    before = machine.seen()["packages"]
    take = Gpus.take

    def then_lost(gpus: Gpus, stopped: t.Collection[str]) -> None:
        take(gpus, stopped)
        machine.save({**machine.state, "gpus": lost("GPU-2", "GPU-3")})

    monkeypatch.setattr(Gpus, "take", then_lost)
    answer = run(machine)
    assert answer["failed"].startswith(f"all steps succeeded, yet GPU {THIRD}: GPU is lost; see the package manager's")
    assert machine.state["packages"] == before


@pytest.mark.parametrize("modules", [{}, {"nvidia": "590.2-1"}], ids=["none", "another"])
def test_all_have_to_answer_where_nobody_could_be_asked_before(tmp_path, modules):
    machine = make(tmp_path, gpus=lost("GPU-2"), modules=modules)
    gpus = across(machine)
    gpus.take(())
    machine.save({**machine.state, "modules": {"nvidia": "580.1-1"}})
    devices = [PciDevice(gpu["pci"], "10de:20b5", "", "nvidia") for gpu in THREE.values()]
    assert gpus.silent(devices) == [f"GPU {SECOND}: GPU is lost"]
