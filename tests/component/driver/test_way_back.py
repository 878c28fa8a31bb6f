# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back brings all of it: the images of the kernels, and the modules in memory as they were loaded before."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import core, record
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import apply
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.objects import Change
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import planned
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.back import steps_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.requests import whole_request
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_modules, probe_now
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Initramfs, Kernel
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    HoldPackages,
    RebuildInitramfs,
    ReloadModules,
    Step,
    UnholdPackages,
    WriteFile,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Transaction
from ansible_collections.accel.gpu.tests.component.driver.machine import Fault, Machine, Manager
from ansible_collections.accel.gpu.tests.component.driver.test_apply import (
    IMAGE,
    MODPROBE,
    MODULES,
    OFFERS,
    deeds,
    look,
    make,
    run,
    undo,
)
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
        assert undo(machine, journal).missing == (), name
        assert machine.seen() == before, name


# --- modules of the same version ------------------------------------------------------------------------------------

FIRMWARE = "options nvidia NVreg_EnableGpuFirmware=0\n"
LIVE = {"nvidia": {"NVreg_EnableGpuFirmware": "0"}}
WRITE = WriteFile(MODPROBE, FIRMWARE, "modprobe")
RELOAD = ReloadModules(MODULES, ("nvidia", "nvidia_uvm"))
LEFT = (HoldPackages(("x",)),)  # what a verification finds missing


def changed(machine: Machine, *steps: Step, left: t.Sequence[Step] = LEFT, **more: t.Any) -> AccelError:
    """The failure of a change."""
    flavour = planned.flavour_of(look(machine))
    change = Change(steps, look(machine), lambda: (look(machine), left), flavour=flavour, **more)
    with pytest.raises(AccelError) as caught:
        apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    return caught.value


def test_modules_that_were_loaded_with_other_parameters_are_loaded_again(tmp_path):
    machine = make(tmp_path)
    before = machine.seen()
    error = changed(machine, WRITE, RELOAD, parameters=LIVE)
    assert machine.deeds.count("modprobe nvidia") == 2
    assert error.message.endswith("; what was there before is back")
    assert machine.seen() == before


def test_modules_that_keep_parameters_of_the_change_are_told(tmp_path):
    machine = make(tmp_path)
    machine.fault = Fault(7, "fails")
    error = changed(machine, WRITE, RELOAD, parameters=LIVE)
    assert machine.deeds[6] == "rmmod nvidia_uvm"
    assert error.message.endswith(
        "; NOT restored: the modules stay (kernel module nvidia_uvm cannot be unloaded (broken)); the next run tries "
        "again"
    )
    assert (error.facts["restored"], error.facts["changed"]) == (False, True)
    journal = record.read_journal(machine.files)
    assert journal is not None
    assert apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine))).missing == ()
    assert probe_modules.probe(machine.files).parameters["nvidia"]["NVreg_EnableGpuFirmware"] == "18"


def test_modules_that_were_not_loaded_anew_stay(tmp_path):
    """Where somebody works on the GPUs the file alone changes, and goes back alone."""
    machine = make(tmp_path)
    before = machine.seen()
    machine.open_device()
    error = changed(machine, WRITE, parameters=LIVE)
    assert error.message.endswith("; what was there before is back")
    assert (machine.seen(), [deed for deed in machine.deeds if "mod" in deed.split()[0]]) == (before, [])


def test_modules_of_the_other_flavour_are_loaded_again(tmp_path):
    machine = make(tmp_path, offers={**OFFERS, "nvidia-dkms-580": ["580.1-1"]})
    before = machine.seen()
    other = ChangePackages((("nvidia-dkms-580", "580.1-1"),), ("nvidia-dkms-580-open",), idle=True)
    transaction = Manager(machine).transaction(whole_request(other))
    holds = UnholdPackages(("nvidia-dkms-580-open",))
    error = changed(machine, holds, other, RELOAD, transaction=transaction)
    assert error.message.endswith("; what was there before is back")
    assert machine.seen() == before


def test_parameters_go_back_to_those_of_the_record(tmp_path):
    """The packages are of one version, so that nothing but the parameters tells the modules apart."""
    machine = make(tmp_path, offers={**OFFERS, "nvidia-imex": ["580.1-1"]})
    before = machine.seen()
    more = ChangePackages((("nvidia-imex", "580.1-1"),), idle=True)
    change = Change(
        (WRITE, more, RELOAD),
        look(machine),
        lambda: (look(machine), ()),
        transaction=Manager(machine).transaction(whole_request(more)),
        parameters=LIVE,
    )
    apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    assert machine.state["live"][1] == {"EnableGpuFirmware": "0"}
    taken_back(machine)
    assert {**machine.seen(), "ours": before["ours"]} == before
    done = len(machine.deeds)
    taken_back(machine)
    assert machine.deeds[done:] == []
