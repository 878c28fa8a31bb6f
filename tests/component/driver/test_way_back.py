# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back brings all of it: the images of the kernels, and the modules in memory as they were loaded before."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._driver import core, record
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import Change, apply
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.back import steps_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.requests import whole_request
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_now
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Initramfs, Kernel
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import ChangePackages, RebuildInitramfs, Step
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Transaction
from ansible_collections.accel.gpu.tests.component.driver.machine import Fault, Machine, Manager
from ansible_collections.accel.gpu.tests.component.driver.test_apply import IMAGE, deeds, look, make, run
from ansible_collections.accel.gpu.tests.component.mig.node import in_child


def taken_back(machine: Machine) -> t.List[str]:
    """A run with state restored, as the core makes it; the kernels whose image it builds."""
    ports, manager = machine.ports(), t.cast(t.Any, Manager(machine))
    kept = record.read_record(ports.files)
    assert kept is not None

    def steps() -> t.Tuple[Step, ...]:
        return tuple(steps_back(kept, probe_now.look(kept, ports, manager), frozenset(machine.state["holds"])))

    made = steps()
    packages = [step for step in made if isinstance(step, ChangePackages)]
    change = Change(
        made,
        look(machine),
        lambda: (look(machine), steps()),
        transaction=Manager(machine).transaction(whole_request(packages[0])) if packages else Transaction(),
        remembers=False,
        state=kept.state,
    )
    apply(change, ports, manager)
    return [step.kernel for step in made if isinstance(step, RebuildInitramfs)]


def test_a_change_that_ended_well_is_taken_back_with_its_image(tmp_path):
    machine = make(tmp_path)
    before = machine.seen()
    assert "failed" not in run(machine)
    assert machine.seen()["images"] == IMAGE
    assert taken_back(machine) == ["6.1.0"]
    assert {**machine.seen(), "ours": before["ours"]} == before
    assert taken_back(machine) == []


def test_an_image_that_is_built_later_goes_back_with_the_packages(tmp_path):
    machine = make(tmp_path)
    before = machine.seen()
    assert "failed" not in run(machine)
    kept = record.read_record(machine.files)
    assert kept is not None
    record.write_record(machine.files, dataclasses.replace(kept, initramfs=()))
    change = Change((RebuildInitramfs("6.1.0"),), look(machine), lambda: (look(machine), ()))
    apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    assert taken_back(machine) == ["6.1.0"]
    assert {**machine.seen(), "ours": before["ours"]} == before


def test_a_kernel_that_came_since_gets_the_old_driver_into_its_image_too(tmp_path):
    machine = make(tmp_path)
    assert "failed" not in run(machine)
    machine.build("6.2.0")
    came = Kernel("6.2.0", True, initramfs=Initramfs("/boot/initrd.img-6.2.0", ("590.2",)))
    node = dataclasses.replace(look(machine), next=came)
    kept, now = core._way_back(machine.ports(), t.cast(t.Any, Manager(machine)), None, node, None)
    assert kept is not None and now is not None
    rebuilt = [step.kernel for step in steps_back(kept, now) if isinstance(step, RebuildInitramfs)]
    assert rebuilt == ["6.1.0", "6.2.0"]


def test_a_kernel_that_went_since_has_no_image_to_go_back(tmp_path):
    machine = make(tmp_path)
    assert "failed" not in run(machine)
    (tmp_path / "boot/initrd.img-6.1.0").unlink()
    assert taken_back(machine) == []


def test_a_death_at_each_deed_of_the_way_back_leaves_it_to_the_next_run(tmp_path):
    first = deeds(tmp_path).index("modprobe nvidia_uvm")
    (tmp_path / "failing").mkdir()
    machine = make(tmp_path / "failing")
    machine.fault = Fault(1 + first, "fails")
    names = run(machine)["deeds"][first + 1 :]
    assert "update-initramfs -u -k 6.1.0" in names
    for nth, name in enumerate(names, start=2):
        folder = tmp_path / str(nth)
        folder.mkdir()
        machine = make(folder)
        before = machine.seen()
        machine.fault = Fault(1 + first, "fails")
        machine.later = Fault(first + nth, "dies_after")
        assert in_child(functools.partial(run, machine)) is None, name
        machine = Machine(folder)
        journal = record.read_journal(machine.files)
        assert journal is not None, name
        after = apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine)))
        assert after.missing == (), name
        assert machine.seen() == before, name
