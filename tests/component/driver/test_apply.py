# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An upgrade across a renaming of packages that fails or dies at each of its deeds.

The node must end with what it had or with what was wished, and the next run must be able to go either way.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._boot import boot_id
from ansible_collections.accel.gpu.plugins.module_utils._driver import record, refused
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import apply, fetch, take_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.objects import Change, TakenBack
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.requests import whole_request
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_modules
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import (
    Distribution,
    Kernel,
    LoadedModule,
    Node,
    PciDevice,
    Unit,
)
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    DistrustKeys,
    HoldPackages,
    RebuildInitramfs,
    RefreshIndex,
    ReloadModules,
    SetUnit,
    Step,
    UnholdPackages,
    WriteFile,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Transaction
from ansible_collections.accel.gpu.tests.component.driver.machine import UNIT, Fault, Machine, Manager, gpus_of
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

OLD = {"libnvidia-ml1": "580.1-1", "nvidia-dkms-580-open": "580.1-1", "nvidia-smi": "580.1-1"}
NEW = {"libnvidia-ml1": "590.2-1", "nvidia-dkms-open": "590.2-1", "nvidia-smi": "590.2-1"}
SOURCE, MODPROBE = "/etc/apt/sources.list.d/accel-gpu-nvidia.sources", "/etc/modprobe.d/accel-gpu.conf"
WISHED = {SOURCE: "URIs: new\n", MODPROBE: "options nvidia a=1\n"}
IMAGE = {"initrd.img-6.1.0": "590.2-1\noptions nvidia a=1\n"}
MODULES = ("nvidia_modeset", "nvidia_uvm", "nvidia")
FABRIC = "nvidia-fabricmanager.service"
OFFERS = {name: [NEW.get(name), OLD.get(name)] for name in {**OLD, **NEW}}


def make(root: t.Any, **changes: t.Any) -> Machine:
    state: t.Dict[str, t.Any] = {
        "packages": OLD,
        "offers": OFFERS,
        "holds": sorted(OLD),
        "units": {UNIT: [True, True]},
        "modules": {"nvidia": "580.1-1", "nvidia_uvm": "580.1-1"},
    }
    machine = Machine.make(root, **{**state, **changes})
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / SOURCE.lstrip("/")).write_text("URIs: old\n")
    record.write_state(machine.files, {"packages": sorted(OLD), "holds": sorted(OLD)})
    machine.build("6.1.0")
    machine.save({**machine.state, "live": machine.loaded()})
    return machine


def look(machine: Machine) -> Node:
    state = machine.state
    loaded = state["modules"].get("nvidia")
    dependents = tuple(name for name in state["modules"] if name != "nvidia")
    memory = probe_modules.probe(machine.files)
    return Node(
        Distribution("debian", "12", "debian", "bookworm", "x86_64", "Debian 12"),
        Kernel("6.1.0", True),
        gpus=tuple(PciDevice(gpu["pci"], "10de:20b5", "", "nvidia") for gpu in gpus_of(state).values()),
        loaded=LoadedModule(loaded, memory.open, dependents=dependents) if loaded else None,
        live_parameters=memory.parameters,
        boot_id=boot_id(machine.files),
        library=state["packages"].get("libnvidia-ml1"),
        packages=state["packages"],
        holds=frozenset(state["holds"]),
        units={name: Unit(name, enabled, active) for name, (enabled, active) in state["units"].items()},
    )


def wish(machine: Machine) -> t.Tuple[Step, ...]:
    """What a plan would ask of the node as it is."""
    state = machine.state
    steps: t.List[Step] = []
    stale = [path for path, content in WISHED.items() if machine.files.read_text(path) != content]
    if SOURCE in stale:
        steps += [WriteFile(SOURCE, WISHED[SOURCE], "repository"), RefreshIndex(0)]
    if state["packages"] != NEW:
        install = tuple((name, version) for name, version in NEW.items() if state["packages"].get(name) != version)
        remove = tuple(sorted(set(state["packages"]) - set(NEW)))
        steps += [UnholdPackages(tuple(state["holds"])), ChangePackages(install, remove, idle=True)]
    if state["packages"] != NEW or state["holds"] != sorted(NEW):
        steps.append(HoldPackages(tuple(sorted(NEW))))
    if MODPROBE in stale:
        steps += [WriteFile(MODPROBE, WISHED[MODPROBE], "modprobe"), RebuildInitramfs("6.1.0")]
    if state["units"][UNIT] != [True, False]:
        steps.append(SetUnit(UNIT, True, False))
    if state["modules"] != {"nvidia": "590.2-1", "nvidia_uvm": "590.2-1"}:
        loaded = tuple(name for name in MODULES if name in state["modules"])
        stop = tuple(unit for unit in (FABRIC,) if unit in state["units"])
        steps.append(ReloadModules(loaded, ("nvidia", "nvidia_uvm"), stop))
    return tuple(steps)


def run(machine: Machine, name: t.Optional[str] = None, defers: bool = False) -> t.Dict[str, t.Any]:
    """One run as the core makes it."""
    ports, manager = machine.ports(), t.cast(t.Any, Manager(machine))
    journal = record.read_journal(ports.files)
    steps = wish(machine)
    packages = [step for step in steps if isinstance(step, ChangePackages)]
    change = Change(
        steps,
        look(machine),
        lambda: (look(machine), wish(machine)),
        transaction=Manager(machine).transaction(whole_request(packages[0])) if packages else Transaction(),
        earlier=journal,
        state={"packages": sorted(NEW), "holds": sorted(NEW)},
        defers=defers,
        run=name,
    )
    try:
        done = apply(change, ports, manager)
    except AccelError as error:
        return {"failed": error.message, "kind": error.kind, **error.facts, "deeds": machine.deeds}
    told = {
        "warnings": [*done.warnings, *done.lost, *done.layouts_lost, *done.noted],
        "reload": list(done.reload),
        "waits": done.waits,
    }
    answer = {**told, "settings_reapplied": list(done.reapplied), "deeds": machine.deeds}
    return {**answer, "lost": list(done.lost), "noted": list(done.noted)}


def download(machine: Machine) -> t.Dict[str, t.Any]:
    """The same wish with download_only: repository and files in the cache."""
    steps = [
        step._replace(download=True) if isinstance(step, ChangePackages) else step
        for step in wish(machine)
        if isinstance(step, (RefreshIndex, ChangePackages)) or (isinstance(step, WriteFile) and step.path == SOURCE)
    ]
    change = Change(
        tuple(steps), look(machine), lambda: (look(machine), ()), earlier=record.read_journal(machine.files)
    )
    try:
        fetch(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    except AccelError as error:
        return {"failed": error.message, **error.facts}
    return {"deeds": machine.deeds}


def deeds(tmp_path: t.Any) -> t.List[str]:
    folder = tmp_path / "counted"
    folder.mkdir()
    counted: t.List[str] = run(make(folder))["deeds"]
    return counted


def undo(machine: Machine, journal: record.Journal) -> apply_back.Aftermath:
    """What the core does with an interrupted run where the wish is refused."""
    return taken_back(machine, journal).after


def taken_back(machine: Machine, journal: record.Journal) -> TakenBack:
    """The same, and what is told of it."""
    return take_back(journal, machine.ports(), t.cast(t.Any, Manager(machine)))


def wished(machine: Machine) -> bool:
    seen = machine.seen()
    ours = record.read_state(machine.files) == {"packages": sorted(NEW), "holds": sorted(NEW), "initramfs": {}}
    return wish(machine) == () and seen["holds"] == sorted(NEW) and ours


def test_an_upgrade_is_made_and_the_way_back_is_remembered(tmp_path):
    machine = make(tmp_path)
    before = machine.seen()
    done = run(machine)
    assert done["warnings"] == [
        "the files of the installed libnvidia-ml1, nvidia-dkms-580-open, nvidia-smi could not be had; the way back to "
        "them exists only as long as a repository has these versions"
    ]
    assert wished(machine)
    assert machine.seen()["images"] == IMAGE
    assert record.read_journal(machine.files) is None
    kept = record.read_record(machine.files)
    assert kept is not None
    assert kept.packages == OLD
    assert kept.added == ("nvidia-dkms-open",)
    assert kept.holds == tuple(sorted(OLD))
    assert kept.files[SOURCE] == "URIs: old\n"
    assert before["files"] == {SOURCE.lstrip("/"): "URIs: old\n"}


def test_a_failure_at_each_deed_restores_what_was_there(tmp_path):
    names = deeds(tmp_path)
    assert len(names) > 12
    for nth, name in enumerate(names, start=1):
        folder = tmp_path / str(nth)
        folder.mkdir()
        machine = make(folder)
        before = machine.seen()
        machine.fault = Fault(nth, "fails")
        answer = run(machine)
        if name.startswith("rmmod"):
            assert refused.remembered(machine.files) is not None, name
        if name == "rmmod nvidia_uvm":
            # A module that cannot go is no failure: all stay and the reload is owed.
            assert answer["reload"] == ["kernel module nvidia_uvm cannot be unloaded (broken)"], name
            assert machine.state["packages"] == NEW
            continue
        assert "failed" in answer, name
        assert answer["restored"] is True, (name, answer)
        assert machine.seen() == before, name
        assert record.read_journal(machine.files) is None, name


def test_the_words_of_a_failure(tmp_path):
    machine = make(tmp_path)
    machine.fault = Fault(1 + deeds(tmp_path).index("package nvidia-smi"), "fails")
    answer = run(machine)
    assert answer["failed"] == (
        "changing packages failed: the script of a package failed; what was there before is back"
    )
    assert (answer["kind"], answer["step"], answer["cause"]) == ("transaction", "changing packages", "transaction")


@pytest.mark.parametrize("what", ["dies", "dies_after"])
def test_a_death_at_each_deed_is_finished_or_undone_by_the_next_run(tmp_path, what):
    names = deeds(tmp_path)
    for nth, name in enumerate(names, start=1):
        for way in ("finished", "undone"):
            folder = tmp_path / f"{nth}{way}"
            folder.mkdir()
            machine = make(folder)
            before = machine.seen()
            machine.fault = Fault(nth, what)
            assert in_child(functools.partial(run, machine)) is None, name
            machine = Machine(folder)
            journal = record.read_journal(machine.files)
            assert journal is not None, name
            if way == "finished":
                assert "failed" not in run(machine), name
                assert wished(machine), name
                assert machine.seen()["images"] == IMAGE, name
            else:
                assert undo(machine, journal).missing == (), name
                assert machine.seen() == before, name
            assert record.read_journal(machine.files) is None, name


def test_a_way_back_that_fails_is_told_and_tried_again(tmp_path):
    machine = make(tmp_path, offers={name: [NEW[name]] for name in NEW})
    before = machine.seen()
    machine.fault = Fault(1 + deeds(tmp_path).index("package nvidia-smi"), "fails")
    answer = run(machine)
    assert answer["restored"] is False
    assert answer["changed"] is True
    assert answer["failed"] == (
        "changing packages failed: the script of a package failed; NOT restored: changing packages failed "
        "(libnvidia-ml1 580.1-1 is not offered); the next run tries again; "
        "GPU-1: settings could not be set again: the driver is not loaded"
    )
    state = machine.state
    state["offers"] = OFFERS
    machine.save(state)
    journal = record.read_journal(machine.files)
    assert journal is not None
    assert apply_back.undo(journal, machine.ports(), t.cast(t.Any, Manager(machine))).missing == ()
    assert machine.seen() == before


def test_kept_files_bring_back_what_no_repository_has(tmp_path):
    machine = make(tmp_path, offers={name: [NEW[name]] for name in NEW})
    before = machine.seen()
    archives = tmp_path / "var/cache/apt/archives"
    archives.mkdir(parents=True)
    for name, version in OLD.items():
        (archives / f"{name}_{version}_amd64.deb").write_text(name)
    machine.fault = Fault(1 + deeds(tmp_path).index("modprobe nvidia_uvm"), "fails")
    answer = run(machine)
    assert answer["failed"] == (
        "reloading the kernel modules failed: modprobe nvidia_uvm ended with 1: broken; the kernel log (journalctl -k) "
        "says more; what was there before is back"
    )
    assert machine.seen() == before


def test_success_is_not_told_for_what_is_not_there(tmp_path):
    machine = make(tmp_path)
    ports, manager = machine.ports(), t.cast(t.Any, Manager(machine))
    before = machine.seen()
    still = (SetUnit(UNIT, True, True),)
    change = Change(wish(machine)[:2], look(machine), lambda: (look(machine), still))
    with pytest.raises(AccelError) as caught:
        apply(change, ports, manager)
    assert caught.value.message == (
        "all steps succeeded, yet the wish still asks for setting nvidia-persistenced.service; see the package "
        "manager's log and journalctl -k, run again, report it if it stays; what was there before is back"
    )
    assert machine.seen() == before


def ours(machine: Machine) -> t.Dict[str, bytes]:
    """Journal, record, kept files and all else in our own folder."""
    folder = machine.root / "var/lib/accel-gpu"
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_download_leaves_the_way_back_of_an_interrupted_run_alone(tmp_path):
    archives = tmp_path / "var/cache/apt/archives"
    archives.mkdir(parents=True)
    for name, version in OLD.items():
        (archives / f"{name}_{version}_amd64.deb").write_text(name)
    at = 1 + deeds(tmp_path).index("package libnvidia-ml1")
    machine = make(tmp_path, offers={name: [NEW[name]] for name in NEW})
    before = machine.seen()
    machine.fault = Fault(at, "dies_after")
    assert in_child(functools.partial(run, machine)) is None
    machine = Machine(tmp_path)
    assert machine.state["packages"]["libnvidia-ml1"] == NEW["libnvidia-ml1"]  # half-way
    kept = ours(machine)
    assert [path for path in kept if path.endswith("libnvidia-ml1_580.1-1_amd64.deb")]
    assert "failed" not in download(machine)
    assert ours(machine) == kept
    shutil.rmtree(archives)
    machine.fault = Fault(len(machine.deeds) + 1 + deeds_of_resuming(machine).index("modprobe nvidia_uvm"), "fails")
    answer = run(machine)
    # The node differs from what this call found, though not from what it was before the run that died.
    assert (answer["restored"], answer["changed"]) == (True, True)
    assert machine.seen() == before


def deeds_of_resuming(machine: Machine) -> t.List[str]:
    """Counted on a copy."""
    copy = machine.root.parent / f"{machine.root.name}-copy"
    shutil.copytree(machine.root, copy, symlinks=True)
    found: t.List[str] = run(Machine(copy))["deeds"]
    shutil.rmtree(copy)
    return found


def test_a_download_that_fails_puts_the_repository_back_and_leaves_no_journal(tmp_path):
    machine = make(tmp_path)
    before = machine.seen()
    machine.fault = Fault(3, "fails")
    answer = download(machine)
    assert answer["failed"] == ("downloading packages failed: the script of a package failed; nothing was changed")
    assert (answer["restored"], answer["changed"]) == (True, False)
    assert machine.seen() == before
    assert record.read_journal(machine.files) is None


def test_what_is_written_down_bears_the_name_of_the_run(tmp_path):
    machine = make(tmp_path)
    machine.fault = Fault(1 + deeds(tmp_path).index("package libnvidia-ml1"), "dies")
    assert in_child(functools.partial(run, machine, "R1")) is None
    machine = Machine(tmp_path)
    kept, interrupted = record.read_record(machine.files), record.read_journal(machine.files)
    assert kept is not None and interrupted is not None
    assert (kept.run, interrupted.before.run) == ("R1", "R1")
    # Whoever goes on makes the change his.
    assert "failed" not in run(machine, "R2")
    kept = record.read_record(machine.files)
    assert kept is not None
    assert (kept.run, kept.packages) == ("R2", OLD)


@pytest.mark.parametrize("known", [False, True])
def test_only_a_key_that_a_run_of_ours_brought_goes_again(tmp_path, known):
    machine = make(tmp_path)
    if known:
        machine.keys.add("AB")

    def change(*steps: Step, state: t.Mapping[str, t.Any]) -> None:
        made = Change(steps, look(machine), lambda: (look(machine), ()), state=state)
        apply(made, machine.ports(), t.cast(t.Any, Manager(machine)))

    change(WriteFile("/etc/pki/key", "AB", "key"), state={"packages": ["x"]})
    ours = record.read_state(machine.files)
    assert (machine.keys, ours.get("keys")) == ({"AB"}, None if known else ["AB"])
    # What a later run writes down does not forget it.
    change(state={"packages": ["x", "y"]})
    assert record.read_state(machine.files).get("keys") == ours.get("keys")
    keys = tuple(record.read_state(machine.files).get("keys") or ())
    change(*([DistrustKeys(keys)] if keys else []), state={})
    assert (machine.keys, record.read_state(machine.files)) == ({"AB"} if known else set(), {})


def test_a_change_that_fails_takes_its_key_along(tmp_path):
    machine = make(tmp_path)
    before = machine.seen()
    still = (SetUnit(UNIT, True, True),)
    change = Change((WriteFile("/etc/pki/key", "AB", "key"),), look(machine), lambda: (look(machine), still))
    with pytest.raises(AccelError):
        apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    assert (machine.keys, machine.seen()) == (set(), before)


@pytest.mark.parametrize("loads", [True, False])
def test_what_the_driver_made_of_a_parameter_is_remembered_from_a_load_alone(tmp_path, loads):
    machine = make(tmp_path)
    seen = dataclasses.replace(look(machine), live_parameters={"nvidia": {"a": "1", "b": "Y"}})
    steps = (ReloadModules(("nvidia_uvm", "nvidia"), ("nvidia", "nvidia_uvm")),) if loads else ()
    record.write_state(machine.files, {"packages": ["x"], "adjusted": {"nvidia": {"a": ["7", "8"]}}})
    change = Change(
        steps,
        seen,
        lambda: (dataclasses.replace(look(machine), live_parameters=seen.live_parameters), ()),
        state={"packages": ["x"], "dropped": {"boot": "", "values": {"nvidia": {"d": "1"}}}},
        parameters={"nvidia": {"a": "0", "b": "1", "c": "2"}},
    )
    done = apply(change, machine.ports(), t.cast(t.Any, Manager(machine)))
    wanted = {"nvidia": {"a": ["0", "1"]}} if loads else {"nvidia": {"a": ["7", "8"]}}
    assert record.read_state(machine.files)["adjusted"] == wanted
    assert ("dropped" in record.read_state(machine.files)) is not loads
    told = "nvidia was loaded with a=0 and runs with 1; the driver may have adjusted it: wish what it makes of it"
    assert list(done.warnings) == ([told] if loads else [])
