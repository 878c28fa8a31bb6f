# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What no package manager is needed for: which one a node has, what check mode forbids, waiting for a lock.

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    DiskFullError,
    InternalError,
    PackageLockedError,
    PackageStateError,
    RepositoryError,
    TransactionError,
)
from ansible_collections.accel.gpu.plugins.module_utils._packages import apply_base, probe
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Origin, Request
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages.answers import (
    LISTS,
    MANAGERS,
    UNREACHABLE,
    node,
)

LOCKED = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 785 (apt-get)\n"


@pytest.mark.parametrize(
    ("release", "program", "kind"),
    [
        ('ID=ubuntu\nID_LIKE="debian"\n', "usr/bin/apt-get", "apt"),
        ("ID=debian\n", "usr/bin/apt-get", "apt"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "usr/bin/dnf", "dnf"),
        ('ID="sles"\nID_LIKE="suse"\n', "usr/bin/zypper", "zypper"),
        # dnf is a tool there, not the node's manager
        ("ID=debian\n", "usr/bin/dnf", None),
        ("ID=arch\n", "usr/bin/pacman", None),
    ],
)
def test_the_node_s_own_manager(tmp_path, release, program, kind):
    ports, _run = node(tmp_path, release, program)
    assert probe.kind(ports) == kind
    if kind is None:
        with pytest.raises(PackageStateError) as caught:
            probe.manager(ports)
        assert caught.value.message == (
            "the node is of no family with apt-get, dnf or zypper (by its /etc/os-release); it is not supported"
        )
    else:
        with probe.manager(ports) as one:
            assert one.kind == kind


@pytest.mark.parametrize("family", ["usr/bin/apt-get", "usr/bin/dnf", "usr/bin/zypper"])
def test_check_mode_changes_nothing(tmp_path, family):
    release = {"usr/bin/apt-get": "ID=debian\n", "usr/bin/dnf": "ID=rhel\n", "usr/bin/zypper": "ID=sles\n"}[family]
    ports, run = node(tmp_path, release, family, check=True)
    with probe.manager(ports) as one:
        assert one.refresh(0) is False
        for call in (
            lambda: one.run(Request((("a", None),))),
            lambda: one.download(Request((("a", None),))),
            lambda: one.hold(["a"]),
            lambda: one.unhold(["a"]),
            lambda: one.trust("/key"),
            lambda: one.distrust("AB"),
        ):
            with pytest.raises(InternalError, match="was called in check mode"):
                call()
    assert run.calls == []


def test_a_lock_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(apply_base, "_PAUSE", 0.01)
    ports, run = node(tmp_path, apt_mark=[(100, "", LOCKED), (100, "", LOCKED), (0, "nv-lib\n", "")])
    with probe.manager(ports, lock_timeout=5) as one:
        assert one.holds() == {"nv-lib"}
    assert len(run.calls) == 3


def test_a_lock_is_not_waited_for_for_ever(tmp_path):
    ports, _run = node(tmp_path, apt_mark=[(100, "", LOCKED)])
    with probe.manager(ports, lock_timeout=0) as one, pytest.raises(PackageLockedError) as caught:
        one.holds()
    assert caught.value.facts == {"path": "/var/lib/dpkg/lock-frontend", "pid": 785, "program": "apt-get"}


def test_index_is_fetched_once_within_its_time(tmp_path):
    ports, run = node(tmp_path)
    with probe.manager(ports) as one:
        assert one.refresh(3600) is True
        assert one.refresh(3600) is False
        assert one.refresh(0) is True
        # a repository that came later is not in the index yet
        source = tmp_path / "etc/apt/sources.list.d/new.sources"
        source.parent.mkdir(parents=True)
        source.write_text("")
        os.utime(source, (2**32, 2**32))
        assert one.refresh(3600) is True
    assert [words[0] for words in run.calls] == ["apt-get"] * 3


def test_an_index_that_was_removed_is_fetched_again_however_new_its_folder_looks(tmp_path):
    ports, run = node(tmp_path)
    with probe.manager(ports) as one:
        assert one.refresh(3600) is True
        (tmp_path / LISTS).unlink()
        assert one.fresh(3600) is False
        assert one.refresh(3600) is True
    assert [words[0] for words in run.calls] == ["apt-get"] * 2


def test_only_needed_repositories_must_answer(tmp_path):
    logged = []
    ports, _run = node(tmp_path, apt_get=[(0, "", UNREACHABLE)])
    with probe.manager(ports._replace(log=logged.append)) as one:
        assert one.refresh(0, [Origin("b", "http://b.example")]) is True
        assert len(logged) == 1
        assert logged[0].startswith("repository http://a.example/InRelease cannot be reached (")
        with pytest.raises(RepositoryError):
            one.refresh(0, [Origin("a", "http://a.example/")])
        with pytest.raises(RepositoryError):
            one.refresh(0)


NEEDED = [Origin("accel-gpu-driver", "https://a.example/rhel9/x86_64/")]
ALONE = ("--disablerepo=*", "--enablerepo=accel-gpu-driver")


@pytest.mark.parametrize(
    ("kind", "needed", "calls"),
    [
        ("apt", NEEDED, [("update",)]),
        ("apt", (), [("update",)]),
        # dnf knows no addresses: "Error: Unknown repo"
        ("dnf", NEEDED, [(*ALONE, "makecache", "--refresh")]),
        ("dnf", None, [("makecache", "--refresh")]),
        ("dnf", (), []),
        ("zypper", NEEDED, [("refresh", "accel-gpu-driver"), ("refresh",)]),
        ("zypper", None, [("refresh",)]),
        ("zypper", (), [("refresh",)]),
    ],
)
def test_each_manager_is_told_of_a_repository_in_its_own_words(tmp_path, kind, needed, calls):
    ports, run = node(tmp_path, *MANAGERS[kind])
    with probe.manager(ports) as one:
        assert one.refresh(0, needed) is True
        assert one.fresh(3600) is (needed != ())
    assert [tuple(words[-len(wanted) :]) for words, wanted in zip(run.calls, calls)] == calls
    assert len(run.calls) == len(calls)
    if kind == "dnf" and calls:
        # what does not answer is passed over everywhere else
        assert run.calls[0][-len(calls[0]) - 1] == "--setopt=*.skip_if_unavailable=False"


BROKEN = "[broken|http://127.0.0.1:9/] Valid metadata not found at specified URL\n"


@pytest.mark.parametrize(("needed", "told"), [(NEEDED, True), ((), True), (None, False)])
def test_zypper_passes_over_a_broken_repository_that_is_not_needed(tmp_path, needed, told):
    logged = []
    ports, _run = node(tmp_path, *MANAGERS["zypper"], zypper=[*[(0, "", "")] * bool(needed), (106, "", BROKEN)])
    with probe.manager(ports._replace(log=logged.append)) as one:
        if told:
            assert one.refresh(0, needed) is True
            assert len(logged) == 1
            assert logged[0].startswith("repository broken (http://127.0.0.1:9/) ")
        else:
            with pytest.raises(RepositoryError):
                one.refresh(0)


KERNELS = "kernel-devel\t0:2-1\tx86_64\n"
TABLE = "Installing:\n kernel-devel  x86_64  1-1  a  1 k\n\nTransaction Summary\n"
BOTH = "Installing:\n kernel-devel  x86_64  1-1  a  1 k\n kernel-devel  x86_64  2-1  a  1 k\n\nTransaction Summary\n"


@pytest.mark.parametrize(
    ("before", "table", "changes"),
    [
        (KERNELS, TABLE, (Change("kernel-devel", None, "1-1", beside=True),)),
        ("", BOTH, (Change("kernel-devel", None, "1-1"), Change("kernel-devel", None, "2-1"))),
    ],
    ids=["beside a newer one", "two at once"],
)
def test_headers_of_several_kernels_are_installed_beside_each_other(tmp_path, before, table, changes):
    both = KERNELS + KERNELS.replace("2-1", "1-1")
    rpm = [(0, before, "")] * 2 + [(0, before, "")] * (2 if before else 1)
    ports, _run = node(tmp_path, *MANAGERS["dnf"], rpm=[*rpm, (0, both, "")], dnf=[(0, table, "")])
    with probe.manager(ports) as one:
        assert one.run(Request((("kernel-devel", "1-1"),))).changes == changes


@pytest.mark.parametrize("lacks", ["1-1", "2-1"])
def test_headers_that_are_not_there_afterwards_are_told(tmp_path, lacks):
    there = KERNELS.replace("2-1", "1-1") if lacks == "2-1" else KERNELS
    ports, _run = node(tmp_path, *MANAGERS["dnf"], rpm=[*[(0, "", "")] * 3, (0, there, "")], dnf=[(0, BOTH, "")])
    with probe.manager(ports) as one, pytest.raises(TransactionError, match="kernel-devel is "):
        one.run(Request((("kernel-devel", "1-1"), ("kernel-devel", "2-1"))))


DISK = SimpleNamespace(f_bavail=10, f_frsize=1 << 20)
INST = "Inst a (2 x:1 [amd64])\nConf a (2 x:1 [amd64])\n"
SIZES = "Package: a\nInstalled-Size: {}\n\n"
SUMMARY = "\nTransaction Summary\nInstall  1 Package\n\nTotal download size: 1 M\nInstalled size: {}\n"
ZYPP = (
    '<stream><install-summary download-size="1024" space-usage-diff="{}" packages-to-change="1"><to-install>'
    '<solvable type="package" name="a" edition="2" arch="x86_64"/></to-install></install-summary></stream>'
)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", MANAGERS)
def test_a_disk_that_is_too_full_is_told_before_anything_changes(tmp_path, monkeypatch, kind, full):
    monkeypatch.setattr(apply_base.os, "statvfs", lambda _path: DISK)
    (tmp_path / "usr").mkdir()
    # with 10 MiB free; apt has old and new files side by side for a while
    answers = {
        "apt": {
            "apt_get": [(0, INST, ""), (0, "", "")] * 3,
            "apt_cache": [(0, SIZES.format(9000 if full else 4000), "")],
        },
        "dnf": {"dnf": [(0, TABLE + SUMMARY.format("11 M" if full else "9 M"), "")]},
        "zypper": {"zypper": [(0, ZYPP.format(11 << 20 if full else 9 << 20), "")]},
    }[kind]
    ports, run = node(tmp_path, *MANAGERS[kind], **answers)
    with probe.manager(ports) as one:
        told = one.simulate(Request((("a", None),))).full
        assert (told is not None) is full
        if told is not None:
            assert told.message.startswith("the file system of /usr has not enough room: ")
            asked = len(run.calls)
            with pytest.raises(DiskFullError):
                one.run(Request((("a", None),)))
            with pytest.raises(DiskFullError):
                one.download(Request((("a", None),)))
            assert len(run.calls) > asked


HALF = [(0, "iF \tnv-a\t1\tamd64\n", "")]


def test_a_wanted_package_that_is_only_to_be_configured_is_work_for_apt(tmp_path):
    """apt-get -s tells of no change then; a failure to configure must not pass as nothing to do."""
    broken = "dpkg: error processing package nv-a (--configure):\n broken script\n"
    ports, run = node(tmp_path, apt_get=[(0, "", ""), (100, "", broken)], dpkg_query=HALF)
    with probe.manager(ports) as one, pytest.raises(TransactionError) as caught:
        one.run(Request((("nv-a", "1"),)))
    assert "failed at nv-a: " in caught.value.message
    assert ["-s" in words for words in run.calls if words[0] == "apt-get"] == [True, False]


@pytest.mark.parametrize(
    ("state", "name", "again"),
    [
        ("iHR", "nv-a", True),
        ("iHR", "/var/lib/accel-gpu/driver/cache/nv-a_1_amd64.deb", True),
        ("iF ", "nv-a", False),
        ("ii ", "nv-a", False),
    ],
)
def test_a_package_that_dpkg_left_broken_is_installed_again(tmp_path, state, name, again):
    """Although its version is the wished one, for which apt would do nothing (seen on Debian 12)."""
    one = (0, f"{state}\tnv-a\t1\tamd64\n", "")
    new = (0, "Inst nv-b (2 x [amd64])\n", "")
    ports, run = node(tmp_path, apt_get=[new, new, (0, "", "")], dpkg_query=[one])
    with probe.manager(ports) as manager, pytest.raises(TransactionError):
        manager.run(Request(((name, None), ("nv-b", "2"))))  # afterwards nv-b is not there: nothing was really done
    last = [words for words in run.calls if words[0] == "apt-get"][-1]
    assert ("--reinstall" in last) is again
