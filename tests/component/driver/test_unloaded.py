# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that dies among rmmod and modprobe: the next one loads all that was in memory before it."""

from __future__ import annotations

import functools
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import record
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import apply
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.objects import Change
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import LoadModules, ReloadModules, Step
from ansible_collections.accel.gpu.tests.component.driver.machine import Fault, Machine, Manager
from ansible_collections.accel.gpu.tests.component.driver.test_apply import look, make
from ansible_collections.accel.gpu.tests.component.driver.test_use import read, seen_by_core
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

DEPENDENTS = ("nvidia_peermem", "gdrdrv", "nvidia_uvm")
INWARD = ("nvidia", "nvidia_uvm", "gdrdrv", "nvidia_peermem")


def changed(machine: Machine, *steps: Step) -> t.Dict[str, t.Any]:
    journal = record.read_journal(machine.files)
    change = Change(steps, look(machine), lambda: (look(machine), ()), earlier=journal, state=STATE)
    done = apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    return {"warnings": [*done.warnings, *done.lost, *done.layouts_lost, *done.noted]}


STATE = {"packages": ["x"], "unloaded": {"boot": "5f1c", "modules": list(INWARD)}}


@pytest.fixture
def died(tmp_path, monkeypatch):
    """A node on which a run died when nvidia had gone from memory."""
    machine = make(tmp_path, modules=dict.fromkeys((*DEPENDENTS, "nvidia"), "580.1-1"))
    machine.fault = Fault(4, "dies_after")
    assert in_child(functools.partial(changed, machine, ReloadModules((*DEPENDENTS, "nvidia"), INWARD))) is None
    machine = Machine(tmp_path)
    assert machine.state["modules"] == {}
    seen_by_core(machine, monkeypatch)
    return machine


def test_the_next_run_knows_what_was_in_memory(died):
    assert read(died).state.node.unloaded == INWARD
    (died.root / "proc/sys/kernel/random/boot_id").write_text("another\n")
    assert read(died).state.node.unloaded == ()


def test_all_of_it_is_loaded_again(died):
    assert changed(died, LoadModules(INWARD[:2], again=INWARD[2:])) == {"warnings": []}
    assert [deed for deed in died.deeds if "mod" in deed] == [f"modprobe {name}" for name in INWARD]
    assert record.read_journal(died.files) is None
    assert "unloaded" not in record.read_state(died.files)
    assert read(died).state.node.unloaded == ()


def test_what_has_no_file_under_this_driver_is_told_and_not_asked_for_again(died):
    died.save({**died.state, "fileless": ["gdrdrv"]})
    assert changed(died, LoadModules(INWARD[:2], again=INWARD[2:])) == {
        "warnings": [
            "kernel module gdrdrv was loaded before a run was interrupted and has no file for this driver and kernel; "
            "install what brings it, then load it"
        ]
    }
    assert list(died.state["modules"]) == ["nvidia", "nvidia_uvm", "nvidia_peermem"]
    assert read(died).state.node.unloaded == ()
