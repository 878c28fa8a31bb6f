# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs of an NVLink fabric after their driver was reloaded: success is told when the fabric has them again."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import record
from ansible_collections.accel.gpu.plugins.module_utils._holders import apply_fabric
from ansible_collections.accel.gpu.tests.component.driver.machine import PCI, Fault, Machine
from ansible_collections.accel.gpu.tests.component.driver.test_apply import NEW, deeds, make, run, wished

LATE = (
    f"GPU {PCI} (GPU-1): its NVLink fabric state is in_progress and not completed after 300 s, and CUDA fails on it "
    "until then (error 802); see journalctl -u nvidia-fabricmanager.service, keep the node out of service and reboot "
    "it where that tells nothing to mend"
)


@pytest.fixture
def pauses(monkeypatch):
    """What happens while time passes; without it the time is over at once."""
    passes: t.List[t.Callable[[], None]] = []
    clock = SimpleNamespace(sleep=lambda _seconds: passes.pop(0)(), monotonic=lambda: 0.0 if passes else 1000.0)
    monkeypatch.setattr(apply_fabric, "time", clock)
    return passes


def complete(machine: Machine) -> None:
    machine.save({**machine.state, "fabric": "completed"})


def test_a_fabric_that_comes_late_is_waited_for(tmp_path, pauses):
    machine = make(tmp_path, fabric="completed")
    pauses += [lambda: None, lambda: None, lambda: complete(machine)]
    assert "failed" not in run(machine)
    assert (pauses, machine.state["fabric"]) == ([], "completed")
    assert wished(machine)


def test_a_fabric_that_never_comes_is_an_error_and_the_change_stands(tmp_path, monkeypatch):
    machine = make(tmp_path, fabric="completed")
    monkeypatch.setattr(apply_fabric, "FABRIC_SECONDS", 0.0)
    answer = run(machine)
    assert (answer["failed"], answer["kind"], answer["step"]) == (LATE, "verify", "NVLink fabric")
    assert (answer["changed"], answer["restored"]) == (True, False)
    assert machine.state["packages"] == NEW
    assert record.read_journal(machine.files) is None


def test_who_was_in_no_fabric_is_not_waited_for(tmp_path, monkeypatch):
    """A tray whose fabric manager is elsewhere in the rack, and was not done before either."""
    machine = make(tmp_path, fabric="in_progress")
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _seconds: pytest.fail("there is nothing to wait for"))
    monkeypatch.setattr(apply_fabric, "time", clock)
    assert "failed" not in run(machine)


def test_after_the_way_back_the_fabric_is_waited_for_too(tmp_path, monkeypatch):
    names = deeds(tmp_path)
    (tmp_path / "node").mkdir()
    machine = make(tmp_path / "node", fabric="completed")
    machine.fault = Fault(1 + names.index("modprobe nvidia_uvm"), "fails")
    monkeypatch.setattr(apply_fabric, "FABRIC_SECONDS", 0.0)
    assert run(machine)["failed"].endswith(f"what was there before is back; {LATE}")
