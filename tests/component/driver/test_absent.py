# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver that goes while services use it, and fails or dies at each of its deeds.

DCGM's NVML runs as root, and nvidia-modprobe loads the modules for it as long as the driver is on the disk.
"""

from __future__ import annotations

import functools
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import record
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import apply
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.objects import Change
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    ReloadModules,
    SetUnit,
    Step,
    UnholdPackages,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Transaction
from ansible_collections.accel.gpu.plugins.module_utils._settings import kept, kept_devices
from ansible_collections.accel.gpu.tests.component.driver.machine import UNIT, Fault, Machine, Manager
from ansible_collections.accel.gpu.tests.component.driver.test_apply import NEW, look, make, undo
from ansible_collections.accel.gpu.tests.component.driver.test_apply import run as upgrade
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

DCGM = "nvidia-dcgm.service"
UNITS = {UNIT: [True, True], DCGM: [True, True]}
START = f"systemctl start {DCGM}"


def served(root: t.Any, **state: t.Any) -> Machine:
    return make(root, **{"units": UNITS, "loaders": [DCGM], **state})


def steps(machine: Machine) -> t.Tuple[Step, ...]:
    """As the plan of absent has them for the node as it is."""
    node, state = look(machine), machine.state
    found: t.List[Step] = []
    if node.packages and node.units[UNIT].active:
        found.append(SetUnit(UNIT, running=False))
    if node.packages and node.loaded:
        stop = (DCGM,) if node.units[DCGM].active else ()
        found.append(ReloadModules((*node.loaded.dependents, "nvidia"), (), stop))
    if state["holds"]:
        found.append(UnholdPackages(tuple(state["holds"])))
    if node.packages:
        found.append(ChangePackages((), tuple(sorted(node.packages))))
    return tuple(found)


def remove(machine: Machine) -> t.Dict[str, t.Any]:
    planned = steps(machine)
    packages = [step for step in planned if isinstance(step, ChangePackages)]
    change = Change(
        planned,
        look(machine),
        lambda: (look(machine), steps(machine)),
        Manager(machine).transaction(t.cast(t.Any, packages[0])) if packages else Transaction(),
        earlier=record.read_journal(machine.files),
        state={},
    )
    try:
        done = apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    except AccelError as error:
        return {"failed": error.message, "kind": error.kind, **error.facts}
    return {"warnings": [*done.warnings, *done.lost, *done.layouts_lost, *done.noted]}


def gone(machine: Machine) -> bool:
    state = machine.state
    left = (state["packages"], state["modules"], state["holds"], record.read_journal(machine.files))
    return left == ({}, {}, [], None) and state["units"] == {UNIT: [True, False], DCGM: [True, True]}


def undone(machine: Machine) -> t.Tuple[str, ...]:
    journal = record.read_journal(machine.files)
    assert journal is not None
    return undo(machine, journal).missing


def deeds(folder: t.Any) -> t.List[str]:
    folder.mkdir()
    machine = served(folder)
    assert "failed" not in remove(machine)
    return machine.deeds


def at_each_deed(root: t.Any, what: str) -> t.Iterator[t.Tuple[str, Machine]]:
    """Each deed of a removal by its name, and a machine of its own on which it goes wrong."""
    names = deeds(root / "counted")
    assert "rmmod nvidia" in names
    assert names[-1] == START
    for nth, name in enumerate(names, start=1):
        folder = root / str(nth)
        folder.mkdir()
        machine = served(folder)
        machine.fault = Fault(nth, what)
        yield name, machine


def test_services_are_started_when_the_driver_is_gone(tmp_path):
    machine = served(tmp_path)
    machine.files.write("/dev/nvidia0", b"", mode=0o600)
    assert "failed" not in remove(machine)
    assert gone(machine)
    assert machine.deeds[-1] == START
    assert not machine.files.exists(kept.PATH)  # nobody has settings any more
    assert not machine.files.exists(kept_devices.PATH)


def test_a_removal_that_fails_at_any_deed_leaves_what_was_there(tmp_path):
    for name, machine in at_each_deed(tmp_path, "fails"):
        before = machine.seen()
        answer = remove(machine)
        if name == START:
            # What has lost its driver need not come up without it.
            assert answer["warnings"][-1] == f"{DCGM} was stopped for this change and did not start again (broken)"
            assert machine.state["packages"] == {}
            continue
        assert answer["restored"] is True, (name, answer)
        assert machine.seen() == before, name


@pytest.mark.parametrize("what", ["dies", "dies_after"])
@pytest.mark.parametrize("way", ["finished", "undone"])
def test_a_removal_that_dies_at_any_deed_leaves_no_service_stopped(tmp_path, what, way):
    for name, machine in at_each_deed(tmp_path, what):
        before = machine.seen()
        assert in_child(functools.partial(remove, machine)) is None, name
        machine = Machine(machine.root)
        if way == "finished":
            assert "failed" not in remove(machine), name
            assert gone(machine), name
        else:
            assert undone(machine) == (), name
            assert machine.seen() == before, name


def loads_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor of its own loads the module as soon as it is gone, and lets go of it."""
    run = machine.run

    def running(argv: t.Sequence[str], **more: t.Any) -> t.Tuple[int, str, str]:
        answer = run(argv, **more)
        if list(argv) == ["rmmod", "nvidia"]:
            machine.save({**machine.state, "modules": {"nvidia": "580.1-1"}})
        return answer

    monkeypatch.setattr(machine, "run", running)


AGAIN = (
    "kernel module nvidia was loaded again after it had been unloaded; end who opens the GPUs, or disable it until the "
    "driver is gone, and run again"
)


def test_packages_do_not_go_under_a_module_that_came_again(tmp_path, monkeypatch):
    machine = served(tmp_path)
    before = machine.seen()
    loads_again(machine, monkeypatch)
    answer = remove(machine)
    assert answer["failed"] == f"changing packages failed: {AGAIN}; what was there before is back"
    assert (answer["kind"], answer["changed"]) == ("blocked", False)
    assert machine.seen() == before


def first_installation(root: t.Any) -> Machine:
    """One that is to be undone, on a node that had no driver before."""
    machine = served(root, packages=NEW, holds=[], modules={"nvidia": "590.2-1", "nvidia_uvm": "590.2-1"})
    before = record.Recorded("2026-11-25T00:00:00Z", added=tuple(sorted(NEW)), units={UNIT: (True, False)})
    record.write_journal(machine.files, record.Journal("5f1c", record.AFTER, before))
    return machine


def test_a_first_installation_is_undone_with_its_services_stopped(tmp_path):
    machine = first_installation(tmp_path)
    assert undone(machine) == ()
    assert gone(machine)
    assert machine.deeds[-1] == START


def test_packages_of_a_first_installation_stay_under_a_module_that_came_again(tmp_path, monkeypatch):
    machine = first_installation(tmp_path)
    loads_again(machine, monkeypatch)
    assert undone(machine) == (f"changing packages failed ({AGAIN})",)
    assert machine.state["packages"] == NEW
    assert machine.state["units"][DCGM] == [True, True]


def test_a_unit_that_an_interrupted_run_stopped_runs_again_after_a_reload_too(tmp_path):
    machine = served(tmp_path, units={UNIT: [True, True], DCGM: [True, False]}, loaders=[])
    journal = record.Journal("5f1c", record.BEFORE, record.Recorded("2026-11-25T00:00:00Z"), units=(DCGM,))
    record.write_journal(machine.files, journal)
    assert "failed" not in upgrade(machine)
    assert machine.state["units"][DCGM] == [True, True]
