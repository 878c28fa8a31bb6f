# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The room _packages with the real apt, dnf and zypper where a repository, a disk, a lock or a wish is bad."""

from __future__ import annotations

import typing as t

import pytest
from package_families import FAMILIES, NEW, OLD, STATE, Case


@pytest.fixture(params=["apt", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("dnf", "zypper"))])
def fault(request: pytest.FixtureRequest, package_case: t.Callable[[str], Case]) -> Case:
    """A node for what goes wrong: one manager stands for all where time is short."""
    return package_case(request.param)


ELSEWHERE = "http://127.0.0.2:9/elsewhere"
FOREIGN = {
    "driver": ("elsewhere.list", f"deb [trusted=yes] {ELSEWHERE} ./"),
    "el": ("elsewhere.repo", f"[elsewhere]\nname=elsewhere\nbaseurl={ELSEWHERE}\ngpgcheck=0"),
    "suse": ("elsewhere.repo", f"[elsewhere]\nname=elsewhere\nbaseurl={ELSEWHERE}\nenabled=1\ngpgcheck=0"),
}


def test_a_broken_repository_of_somebody_else_hinders_nothing(fault: Case) -> None:
    fault.configure()
    family, node = fault.family, fault.node
    name, text = FOREIGN[family.image]
    node.out(f"echo '{text}' >{family.folder}/{name}")
    needed = [["nv", family.address]]
    try:
        asked = node.ask(("refresh", 0, needed), ("fresh", 3600), ("simulate", family.request(NEW)))
        assert asked.error is None, asked.error
        refreshed, fresh, transaction = asked.answers
        assert (refreshed, fresh) == (True, True)
        assert set(family.names) <= {change["name"] for change in transaction["changes"]}
        # aside, as check mode does it where the index is old
        before = node.run(STATE).stdout
        aside = node.ask(("simulate", family.request(NEW)), scratch=family.source(), check=True, anew=True)
        assert aside.error is None, aside.error
        assert aside.last["changes"] == transaction["changes"]
        assert node.run(STATE).stdout == before
        # where all are needed, so is that one
        answer = node.ask(("refresh", 0))
        assert answer.kind == "repository", answer
        assert "127.0.0.2:9" in answer.message
    finally:
        node.out(f"rm {family.folder}/{name}")
    assert node.ask(("refresh", 0, needed)).last is True


BROKEN = [
    ("apt", "nvidia", "expired", "no_key"),
    ("apt13", "nvidia-sha1", "sha1", "sha1"),
    ("apt", "nvidia-expired", "expired", "expired"),
    ("apt", "nvidia-unsigned", "good", "unsigned"),
    ("apt", "nowhere", "good", "missing"),
    ("dnf", "nvidia", "expired", "bad_signature"),
    # dnf does not tell an expired key from a wrong one
    ("dnf", "nvidia-expired", "expired", "bad_signature"),
    ("dnf", "nvidia-unsigned", "good", "unsigned"),
    ("dnf", "nowhere", "good", "missing"),
    ("zypper", "nvidia", "expired", "no_key"),
    ("zypper", "nvidia-unsigned", "good", "unsigned"),
    ("zypper", "nowhere", "good", "missing"),
]


@pytest.mark.parametrize(("kind", "folder", "key", "reason"), BROKEN, ids=["-".join(row[:2]) for row in BROKEN])
def test_a_repository_that_cannot_be_used_is_told_apart(
    kind: str, folder: str, key: str, reason: str, package_case: t.Callable[[str], Case]
) -> None:
    case = package_case(kind)
    answer = case.node.ask(("versions", [case.family.names[0]]), scratch=case.family.source(folder, key))
    assert answer.error is not None
    assert (answer.kind, answer.error[2]["reason"]) == ("repository", reason), answer.message
    assert case.node.run("ls -d /tmp/accel-gpu-* /var/tmp/accel-gpu-*").stdout == ""


def test_an_unreachable_repository(case: Case) -> None:
    source = case.family.source(server="http://127.0.0.1:9")
    answer = case.node.ask(("versions", [case.family.names[0]]), scratch=source)
    assert answer.error is not None
    assert (answer.kind, answer.error[2]["reason"]) == ("repository", "unreachable"), answer.message
    assert "127.0.0.1:9" in answer.message


def test_wrong_wishes_change_nothing(fault: Case) -> None:
    fault.configure()
    name = fault.family.names[0]
    wrong = fault.node.ask(("run", {"install": [[name, "999.1-1"]]}))
    assert wrong.kind == "version_missing"
    assert wrong.message.startswith(f"package {name}: version 999.1-1 is in no repository of this node; there are ")
    assert fault.family.version(NEW) in wrong.message
    assert fault.node.ask(("run", {"install": [["no-such-package", None]]})).message == (
        "package no-such-package is in no repository of this node; check its name and the repositories"
    )
    assert fault.node.ask(("run", fault.family.request(OLD)), check=True).kind == "internal"
    assert fault.installed() == {}


def test_a_failing_script_is_told_with_its_words(fault: Case) -> None:
    fault.configure()
    name = fault.family.names[0]
    fault.node.out(f"mkdir -p /etc/accel-lab; echo {name} >/etc/accel-lab/fail")
    try:
        failed = fault.node.ask(("run", fault.family.request(OLD)))
        assert failed.kind == "transaction"
        assert f"lab: the script of {name} fails, as /etc/accel-lab/fail wants it" in failed.message
        assert name in failed.error[2]["packages"]  # type: ignore[index]  # there is an error
    finally:
        fault.node.out("rm /etc/accel-lab/fail")
    if fault.family.image == "driver":
        assert fault.node.ask(("problems",)).last[0] == (
            f"dpkg was interrupted: package {name} is half configured; run dpkg --configure -a"
        )
        fault.node.out("dpkg --configure -a")
    assert fault.node.ask(("problems",)).last == []
    fault.node.ask(("run", {"remove": list(fault.family.names)}))
    every = [
        change["name"] for change in fault.node.ask(("simulate", {"remove": list(fault.family.names)})).last["changes"]
    ]
    assert fault.node.ask(("run", {"remove": every, "purge": True})).error is None
    assert fault.installed() == {}


LOCK = {
    "apt": "fcntl.lockf(kept := open('/var/lib/dpkg/lock-frontend', 'w'), fcntl.LOCK_EX)",
    "dnf": "open('/var/cache/dnf/metadata_lock.pid', 'w').write(str(os.getpid()))",
    # the number in the file is the lock, as long as that process runs
    "zypper": "open('/run/zypp.pid', 'w').write(str(os.getpid()) + chr(10))",
}


def test_a_lock_is_named_by_its_holder(fault: Case) -> None:
    fault.configure()
    kind = next(kind for kind, family in FAMILIES.items() if family is fault.family)
    program = f"import fcntl, os, time; {LOCK[kind]}; time.sleep(60)"
    fault.node.out(f'systemd-run --quiet --unit accel-lab-holder /usr/bin/python3 -c "{program}"; sleep 0.7')
    try:
        pid = int(fault.node.out("systemctl show --property MainPID --value accel-lab-holder"))
        problems = fault.node.ask(("problems",)).last
        assert [f"PID {pid} (python3)" in one for one in problems] == [True], problems
        locked = fault.node.ask(("run", fault.family.request(OLD)))
        assert locked.kind == "package_locked"
        assert f"PID {pid} (python3" in locked.message, locked.message
    finally:
        fault.node.out("systemctl stop accel-lab-holder; rm -f /run/zypp.pid /var/cache/dnf/metadata_lock.pid")
    assert fault.installed() == {}


def test_a_full_disk_is_seen_before_anything_changes(fault: Case) -> None:
    fault.configure()
    place = {
        "driver": "/var/cache/apt/archives",
        "el": "/usr/src",
        "suse": "/usr/src",
    }[fault.family.image]
    fault.node.out(f"mkdir -p {place}; mount -t tmpfs -o size=8k tmpfs {place}; mkdir -p {place}/partial")
    fault.node.run(f"head -c 8192 /dev/zero >{place}/fill")
    try:
        if fault.family.image == "driver":
            told = fault.node.ask(("simulate", fault.family.request(OLD)), check=True).last["full"]
            assert str(told).startswith(f"the file system of {place}")
        full = fault.node.ask(("run", fault.family.request(OLD)))
        assert full.kind == "disk_full", full
        assert full.message.startswith(f"the file system of {place}")
    finally:
        fault.node.out(f"umount {place}")
    assert fault.installed() == {}
