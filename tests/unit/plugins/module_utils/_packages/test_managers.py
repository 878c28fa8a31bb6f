# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What no package manager is needed for: which one a node has, what check mode and scratch forbid, waiting for a lock.

from __future__ import annotations

import itertools
import os
import typing as t
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
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._packages import apply_base, probe
from ansible_collections.accel.gpu.plugins.module_utils._packages.apply_scratch import Scratch
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Origin, Request, Source
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.nodes import KEY

LOCKED = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 785 (apt-get)\n"
UNREACHABLE = "W: Failed to fetch http://a.example/InRelease  Could not connect to a.example:80\n"


class Answers:
    """A Run that answers each command by the program's name, the last answer again and again."""

    def __init__(self, **answers):
        self.answers = {name.replace("_", "-"): list(given) for name, given in answers.items()}
        self.calls = []

    def __call__(self, argv, timeout=None, stdin=None):
        words = list(itertools.dropwhile(lambda word: "=" in word, argv[1:])) if argv[0] == "env" else list(argv)
        self.calls.append(words)
        given = self.answers.get(words[0], [(0, "", "")])
        return given.pop(0) if len(given) > 1 else given[0]


def _no_nvml() -> t.NoReturn:
    raise AssertionError("no package manager asks NVML")


LISTS = "var/lib/apt/lists/a.example_dists_trixie_main_binary-amd64_Packages.lz4"


def node(tmp_path, release="ID=debian\n", program="usr/bin/apt-get", check=False, **answers):
    for path, text in (("etc/os-release", release), (program, ""), (LISTS, "")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    os.utime((tmp_path / LISTS).parent, (1, 1))
    run = Answers(**answers)
    return Ports(run, Files(str(tmp_path)), _no_nvml, root=str(tmp_path), check=check), run


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


MANAGERS = {
    "apt": ("ID=debian\n", "usr/bin/apt-get"),
    "dnf": ("ID=rhel\n", "usr/bin/dnf"),
    "zypper": ("ID=sles\n", "usr/bin/zypper"),
}
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


@pytest.mark.parametrize(
    ("kind", "program", "calls"),
    [
        ("apt", "apt-get", [("update",)]),
        ("dnf", "dnf", [("makecache", "--refresh")]),
        ("zypper", "zypper", [("refresh",)]),
    ],
)
def test_an_index_that_is_too_old_is_fetched_anew_beside_it(tmp_path, kind, program, calls):
    """In check mode: the node's own stays as it is."""
    ports, run = node(tmp_path, *MANAGERS[kind], check=True)
    with probe.manager(ports, anew=True):
        assert [(words[0], *words[-len(wanted) :]) for words, wanted in zip(run.calls, calls)] == [
            (program, *wanted) for wanted in calls
        ]
        # all repositories, from the temporary folder
        assert not any("--disablerepo=*" in words or "Dir::Etc::SourceList=/dev/null" in words for words in run.calls)
        assert any("accel-gpu-packages-" in word for word in run.calls[0])
    assert not (tmp_path / "var/lib/accel-gpu/package-index").exists()


@pytest.mark.parametrize(
    ("url", "refused"), [("http://a.example/debian12/x86_64", True), ("http://b.example/debian12/x86_64", False)]
)
def test_beside_others_only_the_new_repository_must_answer(tmp_path, url, refused):
    text = f"Types: deb\nURIs: {url}/\nSuites: /\n".encode()
    source = Source("nv", (("/etc/apt/sources.list.d/nv.sources", text),))
    unreachable = UNREACHABLE.replace("a.example/", "a.example/debian12/x86_64/")
    ports, _run = node(tmp_path, check=True, apt_get=[(0, "", unreachable)])
    if refused:
        with pytest.raises(RepositoryError):
            probe.manager(ports, [source], anew=True)
    else:
        probe.manager(ports, [source], anew=True).close()


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


def test_scratch_goes_with_the_manager_and_where_it_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    source = Source(
        "nv", (("/etc/apt/sources.list.d/nv.sources", b"Signed-By: /keys/nv.asc\n"), ("/keys/nv.asc", b"k"))
    )
    ports, run = node(tmp_path / "node")
    with probe.manager(ports, [source]) as one:
        (folder,) = (tmp_path / "tmp").iterdir()
        assert (folder / "sources.list.d/nv.sources").read_text() == f"Signed-By: {folder}/keys/nv.asc\n"
        asked = run.calls[0]
        assert (asked[:2], asked[asked.index("-c") + 1]) == (["apt-get", "-q"], f"{folder}/apt.conf")
        with pytest.raises(InternalError, match="run was called on repositories that exist in a temporary folder only"):
            one.run(Request((("a", None),)))
    assert list((tmp_path / "tmp").iterdir()) == []
    ports, _run = node(tmp_path / "node", apt_get=[(0, "", UNREACHABLE)])
    with pytest.raises(RepositoryError):
        probe.manager(ports, [source])
    assert list((tmp_path / "tmp").iterdir()) == []


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


RPM = [("ID=rhel\n", "usr/bin/dnf"), ("ID=sles\n", "usr/bin/zypper")]
FINGERPRINT = "0E1DF25F74818E37ADABF3F2DF5AAD8B14E53200"  # of the key that tests of the driver have
OTHER = "gpg-pubkey\t0:352c64e5-61a6f2b1\t(none)\n"
THERE = "gpg-pubkey\t0:14e53200-6b0764e3\t(none)\n"


@pytest.mark.parametrize(("release", "program"), RPM)
@pytest.mark.parametrize(("keys", "new"), [(OTHER, (FINGERPRINT,)), (OTHER + THERE, ())])
def test_rpm_takes_a_key_and_says_whether_it_is_new(tmp_path, release, program, keys, new):
    ports, run = node(tmp_path, release, program, rpm=[(0, keys, "")])
    ports.files.write("/etc/pki/key", KEY.encode())
    with probe.manager(ports) as one:
        assert one.trust("/etc/pki/key") == new
    assert run.calls[-1] == ["rpm", "--import", "/etc/pki/key"]


@pytest.mark.parametrize(("release", "program"), RPM)
@pytest.mark.parametrize(
    ("keys", "gone"), [(OTHER + THERE, ["rpm", "-e", "--allmatches", "gpg-pubkey-14e53200-6b0764e3"]), (OTHER, None)]
)
def test_rpm_forgets_one_key_alone(tmp_path, release, program, keys, gone):
    ports, run = node(tmp_path, release, program, rpm=[(0, keys, "")])
    with probe.manager(ports) as one:
        one.distrust(FINGERPRINT)
    assert [call for call in run.calls if "-e" in call] == ([gone] if gone else [])


def test_apt_has_no_keys_for_all(tmp_path):
    ports, run = node(tmp_path)
    with probe.manager(ports) as one:
        assert one.trust("/etc/apt/keyrings/key.asc") == ()
        one.distrust(FINGERPRINT)
    assert run.calls == []


def test_scratch_forgets_what_is_known_of_a_repository_that_comes_anew(tmp_path):
    for path in ("c/driver-1a/repodata/repomd.xml", "c/driver.solv", "c/other-1a/repodata/repomd.xml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    one = Scratch(Files(str(tmp_path)))
    try:
        one.copy_tree("/c", "cache")
        one.forget("cache", "driver-*")
        one.forget("cache", "driver.solv")
        assert sorted(os.listdir(one.path("cache"))) == ["other-1a"]
        assert (tmp_path / "c/driver-1a/repodata/repomd.xml").exists()
    finally:
        one.close()
