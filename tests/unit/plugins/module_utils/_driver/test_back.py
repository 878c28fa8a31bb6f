# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: which steps lead from what a node has to what was recorded of it."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import core, model, record
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply import with_owed
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply_before import merged
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import back_plan, planned
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.back import Now, steps_back
from ansible_collections.accel.gpu.plugins.module_utils._driver.record import Journal, Recorded
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    HoldPackages,
    LoadModules,
    RebuildInitramfs,
    RefreshIndex,
    ReloadModules,
    RemoveFile,
    SetUnit,
    UnholdPackages,
    WriteFile,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

BEFORE = Recorded(
    since="2026-11-25T00:00:00Z",
    version="580.95.05",
    packages={"libnvidia-ml1": "580.95.05-1", "nvidia-dkms-580-open": "580.95.05-1"},
    added=("nvidia-dkms-open",),
    holds=("libnvidia-ml1", "nvidia-dkms-580-open"),
    files={"/etc/apt/sources.list.d/a.sources": "old", "/etc/modprobe.d/a.conf": None},
    units={"nvidia-persistenced.service": (True, True)},
    kept={"libnvidia-ml1": "libnvidia-ml1_580.95.05-1_amd64.deb"},
    modules=("nvidia_uvm", "nvidia"),
    flavour="open",
    parameters={"nvidia": {"NVreg_A": "0"}},
)
RELOAD = ReloadModules(("nvidia_uvm", "nvidia"), ("nvidia", "nvidia_uvm"))
SAME = Now(
    packages=BEFORE.packages,
    holds=frozenset(BEFORE.holds),
    files=BEFORE.files,
    units=BEFORE.units,
    modules=BEFORE.modules,
    loaded="580.95.05",
    flavour="open",
    parameters={"nvidia": {"NVreg_A": "0"}},
)
AFTER = Now(
    packages={"libnvidia-ml1": "590.48.01-1", "nvidia-dkms-open": "590.48.01-1"},
    holds=frozenset(("libnvidia-ml1", "nvidia-dkms-open")),
    files={"/etc/apt/sources.list.d/a.sources": "new", "/etc/modprobe.d/a.conf": "options nvidia a=1"},
    units={"nvidia-persistenced.service": (True, False)},
    initramfs=("6.1.0",),
    modules=("nvidia_uvm", "nvidia"),
    loaded="590.48.01",
)
OLD = (("libnvidia-ml1", "580.95.05-1"), ("nvidia-dkms-580-open", "580.95.05-1"))


# What goes back -> whether the image of 6.1.0, which the change built, is built again.
IMAGES = {
    "nothing": ({}, False),
    "a hold": ({"holds": frozenset()}, False),
    "packages": ({"packages": AFTER.packages}, True),
    "parameters": ({"files": {**BEFORE.files, "/etc/modprobe.d/a.conf": "options nvidia a=1"}}, True),
    "a repository": ({"files": {**BEFORE.files, "/etc/apt/sources.list.d/a.sources": "new"}}, False),
}


@pytest.mark.parametrize("case", IMAGES, ids=str)
def test_an_image_goes_back_with_what_it_carries(case):
    changes, wanted = IMAGES[case]
    found = steps_back(BEFORE, dataclasses.replace(SAME, images=("6.1.0",), **changes))
    assert [step for step in found if isinstance(step, RebuildInitramfs)] == [RebuildInitramfs("6.1.0")] * wanted


def test_all_of_a_finished_upgrade_is_taken_back_in_the_order_of_steps():
    assert steps_back(BEFORE, AFTER) == [
        WriteFile("/etc/apt/sources.list.d/a.sources", "old", "other"),
        RemoveFile("/etc/modprobe.d/a.conf", "other"),
        RefreshIndex(0, ()),
        UnholdPackages(("libnvidia-ml1", "nvidia-dkms-open")),
        ChangePackages(OLD, ("nvidia-dkms-open",), downgrade=True, idle=True),
        HoldPackages(("libnvidia-ml1", "nvidia-dkms-580-open")),
        RebuildInitramfs("6.1.0"),
        SetUnit("nvidia-persistenced.service", True, True),
        RELOAD,
    ]


# What differs -> the steps beside the one that names packages which may be there half.
CASES = {
    "nothing": ({}, []),
    "a hold is gone": ({"holds": frozenset(("libnvidia-ml1",))}, []),
    "a unit is disabled": (
        {"units": {"nvidia-persistenced.service": (False, True)}},
        [SetUnit("nvidia-persistenced.service", True, True)],
    ),
    "a unit whose package is gone": ({"units": {}}, []),
    "one module is missing": ({"modules": ("nvidia",)}, [LoadModules(("nvidia", "nvidia_uvm"))]),
    "no module is loaded, whatever was": (
        {"modules": (), "loaded": None, "flavour": None, "parameters": {}},
        [LoadModules(("nvidia", "nvidia_uvm"))],
    ),
    "the other flavour": ({"flavour": "proprietary"}, [RELOAD]),
    "a flavour that nobody tells": ({"flavour": None}, []),
    "another parameter": ({"parameters": {"nvidia": {"NVreg_A": "1"}}}, [RELOAD]),
    "a parameter of others": ({"parameters": {"nvidia": {"NVreg_A": "0", "NVreg_B": "1"}}}, []),
    "a parameter that nobody shows": ({"parameters": {"nvidia": {}}}, []),
    "no module is loaded": ({"modules": (), "loaded": None}, [LoadModules(("nvidia", "nvidia_uvm"))]),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_what_differs_is_taken_back(case):
    changes, wanted = CASES[case]
    left = (UnholdPackages, ChangePackages, HoldPackages)
    found = steps_back(BEFORE, dataclasses.replace(SAME, **changes))
    assert [step for step in found if not isinstance(step, left)] == wanted


def test_once_all_is_back_a_restore_asks_for_nothing():
    node = nodes.node("debian", "12", loaded=nodes.loaded("580.95.05"), library="580.95.05")
    state = model.State(node, model.Offers({}))
    plan = back_plan.decide(nodes.wish(state="restored", change_loaded=True), state, BEFORE, SAME)
    assert (plan.refusal, plan.steps, plan.changed) == (None, (), False)
    plan = back_plan.decide(nodes.wish(state="restored", change_loaded=True), state, BEFORE, AFTER)
    assert any(isinstance(step, ChangePackages) for step in plan.steps)


@pytest.mark.parametrize(
    "there", [AFTER, dataclasses.replace(SAME, loaded="590.48.01")], ids=["packages and modules", "modules alone"]
)
def test_the_way_back_waits_for_those_who_have_the_gpus_open(there):
    node = nodes.node("debian", "12", loaded=nodes.loaded("590.48.01"), holders=(("python3", None, 4242),))
    state = model.State(node, model.Offers({}))
    plan = back_plan.decide(nodes.wish(state="restored", change_loaded=True), state, BEFORE, there)
    assert plan.refusal is not None
    assert plan.refusal.message == (
        "gpu_driver_state: the driver cannot be restored, python3 (PID 4242) holds GPUs open and is not known to be "
        "safe to stop; end it and run again"
    )


def test_nothing_is_left_to_do_where_all_is_back_although_names_had_changed():
    assert steps_back(BEFORE, SAME) == []


def test_what_an_interrupted_change_was_to_bring_is_removed_by_name():
    (change,) = [
        step for step in steps_back(BEFORE, dataclasses.replace(SAME, half=True)) if isinstance(step, ChangePackages)
    ]
    assert change == ChangePackages((), ("nvidia-dkms-open",), downgrade=True, idle=True)


def test_where_no_driver_was_its_modules_go():
    nothing = Recorded("2026-11-25T00:00:00Z", added=("libnvidia-ml1",))
    now = Now({"libnvidia-ml1": "580.95.05-1"}, modules=("nvidia_uvm", "nvidia"), loaded="580.95.05")
    assert steps_back(nothing, now) == [
        ReloadModules(("nvidia_uvm", "nvidia"), ()),
        ChangePackages((), ("libnvidia-ml1",), downgrade=True, idle=True),
    ]


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        ("nvidia-driver:580-open", "nvidia-driver:590-open", "nvidia-driver:580-open"),
        ("nvidia-driver:580-open", "nvidia-driver:580-open", None),
        (None, "nvidia-driver:590-open", "nvidia-driver"),
        (None, None, None),
    ],
)
def test_the_stream_of_dnf_goes_back_with_the_packages(before, now, wanted):
    recorded = dataclasses.replace(BEFORE, stream=before)
    found = steps_back(recorded, dataclasses.replace(AFTER, stream=now))
    assert [step.stream for step in found if isinstance(step, ChangePackages)] == [wanted]


def test_what_was_kept_comes_from_its_file():
    now = dataclasses.replace(AFTER, from_cache=("libnvidia-ml1",))
    change = next(step for step in steps_back(BEFORE, now) if isinstance(step, ChangePackages))
    assert change.install == (
        ("/var/lib/accel-gpu/driver/cache/libnvidia-ml1_580.95.05-1_amd64.deb", None),
        ("nvidia-dkms-580-open", "580.95.05-1"),  # its file could not be had
    )


def test_an_interrupted_run_keeps_what_it_found_and_the_later_one_adds_the_rest():
    later = Recorded(
        since="2026-11-26T00:00:00Z",
        packages={"libnvidia-ml1": "590.48.01-1", "nvidia-modprobe": "580.95.05-1"},
        added=("nvidia-dkms-open", "nvidia-imex"),
        holds=("nvidia-modprobe", "nvidia-dkms-open"),
        files={"/etc/modprobe.d/a.conf": "half", "/etc/b": "b"},
        initramfs=("6.1.1", "6.1.0"),
    )
    found = merged(dataclasses.replace(BEFORE, initramfs=("6.1.0",)), later)
    assert found.initramfs == ("6.1.0", "6.1.1")
    assert found.packages == {**BEFORE.packages, "nvidia-modprobe": "580.95.05-1"}
    assert found.added == ("nvidia-dkms-open", "nvidia-imex")
    assert found.holds == ("libnvidia-ml1", "nvidia-dkms-580-open", "nvidia-modprobe")
    assert found.files == {**BEFORE.files, "/etc/b": "b"}
    assert found.since == BEFORE.since


def test_an_owed_initramfs_comes_before_units_and_modules():
    unit = SetUnit("nvidia-persistenced.service", True, True)
    refresh = RefreshIndex(0)
    assert with_owed((refresh, unit), ("6.1.0",)) == (refresh, RebuildInitramfs("6.1.0"), unit)
    assert with_owed((refresh,), ("6.1.0",)) == (refresh, RebuildInitramfs("6.1.0"))
    planned = (RebuildInitramfs("6.1.0"), unit)
    assert with_owed(planned, ("6.1.0",)) == planned


def test_record_and_journal_are_read_as_they_were_written(tmp_path):
    files = Files(str(tmp_path))
    journal = Journal("5f1c", record.PACKAGES, BEFORE, ("6.1.0",), ("nvidia-persistenced.service",))
    written = dataclasses.replace(BEFORE, initramfs=("6.1.0",))
    record.write_record(files, written)
    record.write_journal(files, journal)
    assert record.read_record(files) == written
    assert record.read_journal(files) == journal
    assert files.mode(record.RECORD) == 0o600
    record.remove_journal(files)
    assert record.read_journal(files) is None


def test_a_record_of_an_earlier_release_is_read(tmp_path):
    files = Files(str(tmp_path))
    record.write_record(files, dataclasses.replace(BEFORE, initramfs=("6.1.0",)))
    document = files.read_json(record.RECORD)
    del document["is"]["initramfs"], document["is"]["parameters"]
    files.write_json(record.RECORD, document)
    assert record.read_record(files) == dataclasses.replace(BEFORE, parameters={})


def test_a_foreign_journal_is_not_understood(tmp_path):
    files = Files(str(tmp_path))
    files.write_json(record.JOURNAL, {"version": 9})
    with pytest.raises(AccelError) as caught:
        record.read_journal(files)
    assert caught.value.message == (
        "/var/lib/accel-gpu/driver/journal.json was not written by accel.gpu (ValueError('version 9, this collection "
        "knows 1')); compare the installed packages with the wish by hand, then remove the file"
    )


def test_what_is_ours_is_the_union_while_a_change_is_under_way():
    before = {"packages": ["a", "b"], "holds": ["a"], "version": "1"}
    assert record.united(before, {"packages": ["b", "c"], "holds": [], "version": "2"}) == {
        "packages": ["a", "b", "c"],
        "holds": ["a"],
        "version": "2",
    }


# What the package manager says is wrong -> what of it stops a run that goes on after one that died among packages.
HALF = "dpkg was interrupted: package libnvidia-ml1 is half configured; run dpkg --configure -a"
NEW_HALF = "dpkg was interrupted: package nvidia-dkms-open is unpacked, not configured; run dpkg --configure -a"
OTHER = "dpkg was interrupted: package postfix is half configured; run dpkg --configure -a"
LOCK = "the package database is locked by PID 7 (apt) (/var/lib/dpkg/lock)"


@pytest.mark.parametrize(("check", "left"), [(False, (OTHER, LOCK)), (True, (LOCK,))])
def test_what_our_own_run_left_half_way_does_not_stop_the_next_one(check, left):
    journal = Journal("boot", record.PACKAGES, BEFORE)
    assert core._foreign((HALF, NEW_HALF, OTHER, LOCK), journal, check) == left


def test_an_interrupted_run_is_not_undone_under_work_that_came_since(tmp_path):
    node = nodes.node("debian", "12", loaded=nodes.loaded("590.48.01"), holders=(("python3", None, 4242),))
    seen = planned.Seen(model.State(node), Journal("boot", record.AFTER, BEFORE))
    plan = planned.decide(planned.Asked(nodes.wish(branch="580")), seen)
    files = Files(str(tmp_path))
    # No command is run: there is none to be had.
    ports = Ports(
        run=lambda *_args, **_more: pytest.fail("a command"), files=files, open_nvml=lambda: pytest.fail("NVML")
    )
    assert core.before_refusal(plan, ports) == {}
    assert not files.exists(record.FOLDER)


def test_nothing_that_earlier_runs_wrote_down_is_left(tmp_path):
    files = Files(str(tmp_path))
    for path in (record.RECORD, record.STATE, f"{record.CACHE}/nv_1_amd64.deb", "/var/lib/accel-gpu/package-index"):
        files.write(path, b"{}")
    record.forget(files)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert files.names("/var/lib/accel-gpu") == []
