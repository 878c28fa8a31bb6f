# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody takes the GPUs while the driver changes, or a module does not go: nothing is taken away under them."""

from __future__ import annotations

import contextlib
import datetime
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import core, record, refused
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import apply
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.objects import Change
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_refused
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import State, Unit
from ansible_collections.accel.gpu.plugins.module_utils._driver.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    ReloadModules,
    SetUnit,
    UnholdPackages,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError, TransactionError
from ansible_collections.accel.gpu.plugins.module_utils._lock import Lock
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Transaction
from ansible_collections.accel.gpu.tests.component.driver.machine import UNIT, Fault, Machine, Manager
from ansible_collections.accel.gpu.tests.component.driver.test_apply import (
    FABRIC,
    NEW,
    OLD,
    SOURCE,
    deeds,
    look,
    make,
    run,
    wished,
)

UNITS = {UNIT: [True, False], FABRIC: [True, True]}
WHY = "train.py (PID 4711) holds GPUs open and is not known to be safe to stop"
UNSEEN: t.Dict[str, int] = {"nvidia": 1}
STUCK = "kernel module nvidia cannot be unloaded (in use, and not by other modules alone)"
ALL = {"nvidia": "580.1-1", "nvidia_modeset": "580.1-1", "nvidia_uvm": "580.1-1"}


def stopped(machine: Machine) -> t.List[str]:
    return [deed for deed in machine.deeds if deed.startswith(("systemctl stop", "rmmod"))]


@pytest.mark.parametrize("device", ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"])
def test_work_that_comes_before_the_packages_keeps_them(tmp_path, device):
    machine = make(tmp_path, units=UNITS)
    before = machine.seen()
    machine.job_after, machine.job_device = "unhold", device
    answer = run(machine)
    assert answer["failed"] == (
        f"changing packages failed: {WHY}, which was not so when the run began; drain the node and run again; what was "
        "there before is back"
    )
    assert (answer["kind"], answer["changed"], answer["restored"]) == ("busy", False, True)
    assert (machine.seen(), stopped(machine)) == (before, [])
    machine.close_device()
    machine.job_after = ""
    assert "failed" not in run(machine)
    assert wished(machine)


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_monitor_that_looks_for_a_moment_stops_no_upgrade(tmp_path, between_looks, looks):
    """nvidia-smi of cron or of a health check, right before the modules are reloaded."""
    machine = make(tmp_path, units=UNITS)
    machine.job_after = "package nvidia-smi"
    between_looks += [*[lambda: None] * (looks - 1), machine.close_device]
    answer = run(machine)
    assert "failed" not in answer, answer["failed"]
    assert (wished(machine), answer["reload"], between_looks) == (True, [], [])


def test_work_that_comes_before_the_packages_is_waited_for_where_that_is_wished(tmp_path):
    machine = make(tmp_path, units=UNITS)
    before = machine.seen()
    machine.job_after = f"write {SOURCE}"
    answer = run(machine, defers=True)
    assert answer["waits"] == WHY
    assert (machine.seen(), stopped(machine), record.read_journal(machine.files)) == (before, [], None)


def test_a_reload_waits_for_work_that_came_while_modules_were_built(tmp_path):
    machine = make(tmp_path, units=UNITS)
    machine.job_after = "package nvidia-smi"
    answer = run(machine, defers=True)
    assert answer["reload"] == [WHY]
    assert (machine.state["packages"], machine.state["modules"]["nvidia"]) == (NEW, "580.1-1")
    assert stopped(machine) == []


def test_nothing_is_taken_back_under_work_that_came_while_modules_were_built(tmp_path):
    machine = make(tmp_path, units=UNITS)
    before = machine.seen()
    machine.job_after = "package nvidia-smi"
    answer = run(machine)
    assert answer["failed"] == (
        f"reloading the kernel modules failed: {WHY}, which was not so when the run began; drain the node and run "
        f"again; NOT restored: {WHY}; packages and modules stay as they are until that ends; the next run tries "
        "again; GPU-1: settings could not be set again: the driver is not loaded"
    )
    # Not "busy", which says that nothing was changed.
    assert (answer["kind"], answer["cause"]) == ("apply", "busy")
    assert (answer["changed"], answer["restored"]) == (True, False)
    assert (machine.state["packages"], stopped(machine)) == (NEW, [])
    machine.close_device()
    journal = record.read_journal(machine.files)
    assert journal is not None
    assert apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine))).missing == ()
    assert machine.seen() == before


def test_packages_that_fail_under_work_that_came_are_left_to_a_later_run(tmp_path):
    machine = make(tmp_path, units=UNITS)
    before = machine.seen()
    names = deeds(tmp_path)
    machine.job_after = "package libnvidia-ml1"
    machine.fault = Fault(1 + names.index("package nvidia-smi"), "fails")
    answer = run(machine)
    assert answer["restored"] is False
    half = machine.state["packages"]
    assert half not in (OLD, NEW)
    # dpkg's pending scripts would restart services of the driver.
    assert not [said for said in machine.said if "--configure" in said]
    machine.close_device()
    journal = record.read_journal(machine.files)
    assert journal is not None
    assert apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine))).missing == ()
    assert machine.seen() == before
    assert [said for said in machine.said if "--configure" in said]


# --- modules that do not go -----------------------------------------------------------------------------------------


def removal(machine: Machine) -> t.Dict[str, t.Any]:
    node = look(machine)
    steps = (
        SetUnit(FABRIC, running=False),
        SetUnit(UNIT, running=False),
        ReloadModules((*node.loaded.dependents, "nvidia"), ()) if node.loaded else UnholdPackages(()),
        UnholdPackages(tuple(sorted(OLD))),
        ChangePackages((), tuple(sorted(OLD))),
    )
    transaction: Transaction = Manager(machine).transaction(t.cast(t.Any, steps[-1]))
    change = Change(steps, node, lambda: (look(machine), ()), transaction, state={})
    try:
        apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    except AccelError as error:
        return {"failed": error.message, "kind": error.kind, **error.facts}
    return {}


def test_a_driver_is_not_removed_from_under_a_module_that_stays(tmp_path):
    machine = make(tmp_path, units=UNITS, unseen=UNSEEN)
    before = machine.seen()
    answer = removal(machine)
    assert answer["failed"] == (
        f"unloading the kernel modules failed: {STUCK}; end who uses it, or reboot the node, and run again; what was "
        "there before is back"
    )
    assert (answer["kind"], answer["restored"], answer["changed"]) == ("blocked", True, False)
    assert machine.seen() == before
    assert "unhold" not in machine.deeds
    assert probe_refused.standing(machine.ports(), {}) == STUCK


def test_a_driver_is_not_removed_under_work_that_came(tmp_path):
    machine = make(tmp_path, units=UNITS)
    before = machine.seen()
    machine.open_device()
    assert removal(machine)["kind"] == "busy"
    assert (machine.seen(), stopped(machine)) == (before, [])


def test_packages_of_a_module_that_stays_are_not_taken_back_either(tmp_path):
    """A first installation that is undone, where the new module does not go."""
    machine = make(tmp_path, packages={}, holds=[], modules={}, units={UNIT: [True, False]})
    assert "failed" not in run(machine)
    journal = record.Journal("5f1c", record.AFTER, record.Recorded("2026-11-25T00:00:00Z", added=tuple(sorted(NEW))))
    record.write_journal(machine.files, journal)
    machine.save({**machine.state, "modules": {"nvidia": "590.2-1"}, "unseen": UNSEEN})
    after = apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine)))
    assert after.missing == (
        f"unloading the kernel modules failed ({STUCK}; end who uses it, or reboot the node, and run again)",
    )
    assert machine.state["packages"] == NEW
    machine.save({**machine.state, "unseen": {}})
    assert apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine))).missing == ()
    assert (machine.state["packages"], machine.state["modules"]) == ({}, {})


def test_modules_that_somebody_unseen_uses_stay_all_of_them(tmp_path):
    """A console, for instance. By now the module files on disk are those of the new driver."""
    machine = make(tmp_path, units=UNITS, modules=ALL, unseen=UNSEEN)
    assert run(machine)["reload"] == [STUCK]
    assert (machine.state["packages"], machine.state["modules"]) == (NEW, ALL)
    assert stopped(machine) == [f"systemctl stop {FABRIC}"]
    assert machine.state["units"][FABRIC] == [True, True]


def test_modules_that_a_job_took_after_the_last_look_stay_all_of_them(tmp_path):
    machine = make(tmp_path, units=UNITS, modules=ALL)
    machine.job_after = f"systemctl stop {FABRIC}"
    assert run(machine)["reload"] == [f"{STUCK}; train.py (PID 4711) has devices open"]
    assert machine.state["modules"] == ALL
    assert stopped(machine) == [f"systemctl stop {FABRIC}"]
    found = refused.remembered(machine.files)
    assert found is not None
    assert (found.module, found.pids) == ("nvidia", (4711,))


def test_a_reference_of_a_moment_is_in_nobodys_way(tmp_path, between_looks):
    machine = make(tmp_path, units=UNITS, modules=ALL)
    machine.job_after = f"systemctl stop {FABRIC}"
    between_looks += [lambda: None, machine.close_device]
    assert run(machine)["reload"] == []
    assert wished(machine)


def test_a_module_that_does_not_come_again_hides_no_refusal(tmp_path):
    """What took nvidia came between the look at its references and rmmod."""
    (tmp_path / "counted").mkdir()
    names = run(make(tmp_path / "counted", units=UNITS, modules=ALL))["deeds"]
    machine = make(tmp_path, units=UNITS, modules=ALL)
    before = machine.seen()
    machine.fault = Fault(1 + names.index("rmmod nvidia"), "fails")
    stays = "on disk is 590.2-1, and nvidia 580.1-1 stays in memory"
    assert run(machine)["failed"] == (
        "reloading the kernel modules failed: kernel module nvidia cannot be unloaded (broken); kernel module "
        f"nvidia_uvm did not come again: {stays}; kernel module nvidia_modeset did not come again: {stays}; what was "
        "there before is back"
    )
    assert machine.seen() == before
    found = refused.remembered(machine.files)
    assert found is not None
    assert (found.why, found.module) == ("kernel module nvidia cannot be unloaded (broken)", "nvidia")


def test_a_refused_reload_is_remembered_until_its_reason_is_gone(tmp_path):
    machine = make(tmp_path, units=UNITS, unseen=UNSEEN)
    assert run(machine)["reload"] == [STUCK]
    ports = machine.ports()
    assert probe_refused.standing(ports, {}) == STUCK
    # One that is used by other modules alone goes with them.
    machine.save({**machine.state, "unseen": {}})
    assert probe_refused.standing(ports, {}) == ""
    machine.save({**machine.state, "unseen": UNSEEN})
    assert probe_refused.standing(ports, {}) == STUCK
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("another\n")
    assert probe_refused.standing(ports, {}) == ""


def test_a_reload_that_was_made_is_remembered_as_no_refusal(tmp_path):
    machine = make(tmp_path)
    refused.remember(machine.files, refused.Refused("a console", module="nvidia_drm"))
    assert "failed" not in run(machine)
    assert refused.remembered(machine.files) is None


DCGM = "nvidia-dcgm.service"
STANDS: t.List[t.Tuple[refused.Refused, t.Any, bool]] = [
    (refused.Refused("", module="nvidia_drm"), ((), 2, False), True),
    (refused.Refused("", module="nvidia_drm"), ((), None, False), True),
    (refused.Refused("", module="nvidia_drm"), ((), 0, False), False),
    (refused.Refused("", module="nvidia", pids=(7, 8)), ((8,), 3, False), True),
    (refused.Refused("", module="nvidia", pids=(7, 8)), ((9,), 3, False), False),
    (refused.Refused("", unit=DCGM), ((), None, True), True),
    (refused.Refused("", unit=DCGM), ((), None, False), False),
]


@pytest.mark.parametrize(("found", "now", "stands"), STANDS)
def test_when_a_refusal_stands(found, now, stands):
    assert refused.stands(found, *now) is stands


def test_a_unit_that_did_not_stop_is_asked_for(tmp_path):
    machine = make(tmp_path)
    refused.remember(machine.files, refused.Refused("it does not stop", unit=DCGM))
    assert probe_refused.standing(machine.ports(), {DCGM: Unit(DCGM, True, True)}) == "it does not stop"
    assert probe_refused.standing(machine.ports(), {DCGM: Unit(DCGM, True, False)}) == ""


# --- a run that died while it changed packages ------------------------------------------------------------------------


@pytest.fixture
def died(tmp_path, monkeypatch):
    """A node on which a run died between two packages."""
    machine = make(tmp_path, units=UNITS, packages={**OLD, "libnvidia-ml1": NEW["libnvidia-ml1"]})
    before = record.Recorded("2026-11-25T00:00:00Z", packages=OLD, added=("nvidia-dkms-open",))
    record.write_journal(machine.files, record.Journal("5f1c", record.PACKAGES, before))
    seen_by_core(machine, monkeypatch)
    return machine


def seen_by_core(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def manager(_ports, lock_timeout=0.0):
        yield Manager(machine)

    monkeypatch.setattr(core, "manager", manager)
    monkeypatch.setattr(core, "probe", lambda _ports, _packages: look(machine))
    monkeypatch.setattr(core.probe_offers, "look", lambda _wish, node, *_rest, **_more: State(node, changes=()))
    monkeypatch.setattr(core.probe_system, "is_root", lambda: True)


def read(machine: Machine, check: bool = False) -> t.Any:
    ports = machine.ports()._replace(check=check)
    asked = core.Asked(parse({"version": "590.48.01"}, datetime.date(2026, 11, 25)))
    try:
        return core.read(asked, ports)
    finally:
        Lock(ports.files).release()


@pytest.mark.parametrize("check", [False, True])
def test_half_installed_packages_are_not_configured_under_work_that_came(died, check):
    died.open_device()
    assert read(died, check).unsettled == WHY
    assert not [said for said in died.said if "--configure" in said]
    died.close_device()
    assert read(died, check).unsettled == ""
    assert bool([said for said in died.said if "--configure" in said]) is not check


def test_half_installed_packages_are_not_configured_where_a_daemon_reload_would_hurt(died):
    bundle: t.Dict[str, t.Any] = {"hooks": {"prestart": [{"path": "/usr/bin/nvidia-container-runtime-hook"}]}}
    bundle["linux"] = {"cgroupsPath": "system.slice:docker:4f"}
    path = "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/4f/config.json"
    died.files.write_json(path, bundle)
    assert read(died).unsettled == "a daemon-reload would take the GPUs away from 4f"
    assert not [said for said in died.said if "--configure" in said]


def test_a_run_that_died_is_not_undone_either_while_no_repository_answers(died, monkeypatch):
    def offline(*_given, **_more):
        raise TransactionError("the repository does not answer")

    monkeypatch.setattr(core.probe_offers, "look", offline)
    died.open_device()
    seen = read(died)
    plan = core.plan(core.Asked(parse({"version": "590.48.01"}, datetime.date(2026, 11, 25))), seen)
    assert (seen.unsettled, str(plan.refusal)) == (WHY, "the repository does not answer")
    before = list(died.deeds)
    assert core.before_refusal(plan, died.ports()) == {}
    assert died.deeds == before
