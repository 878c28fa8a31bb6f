# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The room _packages with the real apt, dnf and zypper on nodes of the lab and its repositories."""

from __future__ import annotations

import dataclasses
import functools
import os
import typing as t

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from labctl.repos import KEYS, URL
from packages_node import PackagesNode

SCENARIO = f"packages-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
OLD, NEW = "580.95.05", "580.126.16"
KEY = "/etc/accel-lab-test.asc"
# what may not change while a repository is only looked at
STATE = (
    "find /etc /var/lib/dpkg /var/lib/apt /var/cache/apt /var/lib/rpm /var/lib/dnf /var/cache/dnf /var/lib/zypp "
    "/var/cache/zypp /tmp /var/tmp -xdev '(' -type f -o -type l ')' 2>/dev/null | sort | "
    "xargs -d '\\n' sha256sum 2>/dev/null"
)


@dataclasses.dataclass(frozen=True)
class Family:
    """One package manager, with the packages that a driver consists of there."""

    image: str
    folder: str
    repository: str
    names: tuple[str, ...]
    form: str
    stream: str | None = None
    system: str = ""

    def version(self, driver: str) -> str:
        return self.form.format(driver)

    def request(self, driver: str, **more: t.Any) -> dict[str, t.Any]:
        wanted = [[name, self.version(driver)] for name in self.names]
        return {"install": wanted, **({"module": self.stream} if self.stream else {}), **more}

    @property
    def address(self) -> str:
        return f"{URL}/nvidia/{self.repository}/x86_64"

    def source(self, folder: str = "nvidia", key: str = "good", server: str = URL) -> list[t.Any]:
        address = f"{server}/{folder}/{self.repository}/x86_64"
        texts = {
            "driver": ("nv.sources", f"Types: deb\nURIs: {address}\nSuites: ./\nSigned-By: {KEY}\n"),
            "el": ("nv.repo", f"[nv]\nname=nv\nbaseurl={address}\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://{KEY}\n"),
            "suse": ("nv.repo", f"[nv]\nname=nv\nbaseurl={address}\nenabled=1\ngpgcheck=1\ngpgkey=file://{KEY}\n"),
        }
        name, text = texts[self.image.replace("13", "")]
        return [["nv", [[f"{self.folder}/{name}", text], [KEY, KEYS[key].public()]]]]


FAMILIES = {
    "apt": Family(
        "driver",
        "/etc/apt/sources.list.d",
        "debian12",
        ("libnvidia-ml1", "libcuda1", "nvidia-driver-cuda", "nvidia-modprobe"),
        "{}-1",
    ),
    "dnf": Family(
        "el",
        "/etc/yum.repos.d",
        "rhel9",
        ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        "3:{}-1.el9",
        "nvidia-driver:580-open",
    ),
    "zypper": Family(
        "suse",
        "/etc/zypp/repos.d",
        "sles15",
        # all that depend on each other by version: zypper goes back only to what is named
        (
            "nvidia-compute-G06",
            "nvidia-compute-utils-G06",
            "nvidia-open-driver-G06",
            "libnvidia-ml",
            "nvidia-common-G06",
            "nvidia-modprobe",
            "nvidia-persistenced",
        ),
        "{}-1",
    ),
}


OTHERS = {
    # its apt judges signatures by sqv
    "apt13": dataclasses.replace(FAMILIES["apt"], image="driver13", repository="debian13"),
    "rhel8": dataclasses.replace(FAMILIES["dnf"], repository="rhel8", form="3:{}-1.el8", system="rocky8"),
    "rhel10": dataclasses.replace(
        FAMILIES["dnf"], repository="rhel10", form="3:{}-1.el10", system="rocky10", stream=None
    ),
}


@dataclasses.dataclass(frozen=True)
class Case:
    family: Family
    node: PackagesNode

    def configure(self) -> None:
        """The repository as a role would write it, and an index of it; once."""
        if self.node.run(f"test -e {KEY}").returncode == 0:
            return
        for _name, files in self.family.source():
            for path, text in files:
                self.node.out(f"mkdir -p $(dirname {path}); cat >{path} <<'END'\n{text}END\n")
        # dnf and zypper know a repository by its name, apt by its address
        assert self.node.ask(("trust", KEY), ("refresh", 0, [["nv", self.family.address]])).last is True

    def installed(self) -> dict[str, str]:
        found = self.node.ask(("installed", list(self.family.names))).last
        return {one["name"]: one["version"] for one in found}

    def all_at(self, driver: str) -> dict[str, str]:
        return {name: self.family.version(driver) for name in self.family.names}


@functools.cache
def _started(kind: str) -> Case:
    family = {**FAMILIES, **OTHERS}[kind]
    spec = NodeSpec(kind, ("t4",), state="no_module", image=family.image, os=family.system, sources="lab")
    nodes.up(SCENARIO, [spec], image.ensure(family.image))
    node = PackagesNode(nodes.container_name(SCENARIO, kind))
    node.install_room()
    # repositories that the node has from the start
    node.ask(("refresh", 0))
    return Case(family, node)


@pytest.fixture(scope="module", autouse=True)
def _cleared() -> t.Iterator[None]:
    try:
        yield
    finally:
        nodes.down(SCENARIO)


@pytest.fixture(params=list(FAMILIES))
def case(request: pytest.FixtureRequest) -> Case:
    return _started(request.param)


@pytest.fixture(params=["apt", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("dnf", "zypper"))])
def fault(request: pytest.FixtureRequest) -> Case:
    """A node for what goes wrong: one manager stands for all where time is short."""
    return _started(request.param)


def test_a_repository_is_looked_at_without_a_trace(case: Case) -> None:
    before = case.node.run(STATE).stdout
    name = case.family.names[0]
    asked = case.node.ask(
        ("versions", [name, "no-such-package"]),
        ("simulate", case.family.request(NEW)),
        scratch=case.family.source(),
        check=True,
    )
    assert asked.error is None, asked.error
    offered, transaction = asked.answers
    assert list(offered) == [name]
    assert offered[name].index(case.family.version(NEW)) < offered[name].index(case.family.version(OLD))
    planned = {change["name"]: (change["before"], change["after"]) for change in transaction["changes"]}
    assert {name: planned[name] for name in case.family.names} == {
        name: (None, case.family.version(NEW)) for name in case.family.names
    }
    assert case.node.run(STATE).stdout == before


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


@pytest.mark.full
def test_headers_of_several_kernels_lie_side_by_side() -> None:
    """Those of RHEL provide installonlypkg(kernel), the lab's need the option for it."""
    node = _started("dnf").node
    node.out("echo installonlypkgs=kernel-devel >>/etc/dnf/dnf.conf; rpm -e --nodeps kernel-devel")
    both = sorted(node.ask(("versions", ["kernel-devel"])).last["kernel-devel"])
    done = node.ask(("run", {"install": [["kernel-devel", version] for version in both]}))
    assert done.error is None, done.error
    there = node.ask(("installed", ["kernel-devel"])).last
    assert sorted(one["version"] for one in there) == both
    for version in both:
        node.out(f"rpm -e --nodeps kernel-devel-{version}")
        beside = node.ask(("run", {"install": [["kernel-devel", version]]}))
        assert beside.error is None, beside.error
        assert [(one["before"], one["beside"]) for one in beside.last["changes"]] == [(None, True)]


BROKEN = [
    ("apt", "nvidia", "expired", "no_key"),
    ("apt13", "nvidia-sha1", "sha1", "sha1"),
    ("apt", "nvidia-expired", "expired", "expired"),
    ("apt", "nvidia-unsigned", "good", "unsigned"),
    ("apt", "nowhere", "good", "missing"),
    ("dnf", "nvidia", "expired", "bad_signature"),
    ("dnf", "nvidia-unsigned", "good", "unsigned"),
    ("dnf", "nowhere", "good", "missing"),
    ("zypper", "nvidia", "expired", "no_key"),
    ("zypper", "nvidia-unsigned", "good", "unsigned"),
    ("zypper", "nowhere", "good", "missing"),
]


@pytest.mark.parametrize(("kind", "folder", "key", "reason"), BROKEN, ids=["-".join(row[:2]) for row in BROKEN])
def test_a_repository_that_cannot_be_used_is_told_apart(kind: str, folder: str, key: str, reason: str) -> None:
    case = _started(kind)
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


def test_install_hold_upgrade_downgrade_remove(case: Case) -> None:
    family, node, names = case.family, case.node, list(case.family.names)
    case.configure()
    simulated = node.ask(("simulate", family.request(OLD))).last
    done = node.ask(("download", family.request(OLD)), ("run", family.request(OLD))).last
    assert done["changes"] == simulated["changes"]
    assert case.installed() == case.all_at(OLD)
    assert node.ask(("run", family.request(OLD))).last["changes"] == []
    # a hold of somebody else, and one of ours
    node.ask(("hold", names))
    assert set(names) <= set(node.ask(("holds",)).last)
    refused = node.ask(("run", family.request(NEW)))
    assert refused.kind == "held", refused
    assert "held by somebody else; ask them, or release the hold and run again" in refused.message
    assert case.installed() == case.all_at(OLD)
    assert node.ask(("run", family.request(NEW, own_holds=names))).last["changes"]
    assert case.installed() == case.all_at(NEW)
    assert set(names) <= set(node.ask(("holds",)).last)
    # back: only where it is allowed
    assert node.ask(("simulate", family.request(OLD, own_holds=names))).kind == "dependency"
    back = node.ask(("run", family.request(OLD, own_holds=names, downgrade=True)))
    assert back.error is None, back.error
    assert case.installed() == case.all_at(OLD)
    assert set(names) <= set(node.ask(("holds",)).last)
    node.ask(("unhold", [*names, "no-such-package"]))
    assert not set(names) & set(node.ask(("holds",)).last)
    # what else depends on them is told, and kept until it is named too
    others = node.ask(("simulate", {"remove": names})).last
    every = [change["name"] for change in others["changes"]]
    assert set(names) <= set(every)
    gone = node.ask(("run", {"remove": every, "purge": True}))
    assert gone.error is None, gone.error
    assert case.installed() == {}


@pytest.mark.full
def test_kept_files_serve_where_no_repository_answers(case: Case) -> None:
    """As the way back of the driver uses them, with an index that has expired."""
    family, node = case.family, case.node
    case.configure()
    came = node.ask(("run", family.request(OLD))).last["changes"]
    # what is already there, a library that an earlier driver left, moves too
    newer = node.ask(("run", family.request(NEW, downgrade=True)))
    assert newer.error is None, newer.error
    moved = {one["name"]: one["before"] for one in newer.last["changes"] if one["before"] is not None}
    assert set(family.names) <= set(moved)
    kept = {name: node.out(_file_of(family, name, version)).strip() for name, version in sorted(moved.items())}
    assert all(kept.values()), kept
    node.out("systemctl stop accel-lab-repos; touch -d '3 days ago' /var/cache/dnf/*/repodata/* || true")
    try:
        request = {"install": [[path, None] for path in kept.values()], "downgrade": True}
        back = node.ask(("run", {**request, **({"module": family.stream} if family.stream else {})}))
        assert back.error is None, back.error
        assert case.installed() == case.all_at(OLD)
    finally:
        node.out("systemctl start accel-lab-repos")
        gone = node.ask(("run", {"remove": [one["name"] for one in came], "purge": True}))
    assert gone.error is None, gone.error
    assert case.installed() == {}


def _file_of(family: Family, name: str, version: str) -> str:
    """What prints the path of a package of the lab; an rpm's name leaves the epoch out."""
    plain = version.partition(":")[2] or version
    folder = f"/srv/accel-lab/repos/nvidia/{family.repository}"
    return f"find {folder} '(' -name '{name}_{version}_*.deb' -o -name '{name}-{plain}.*.rpm' ')'"


@pytest.mark.full
@pytest.mark.parametrize("kind", ["rhel8", "rhel10"])
def test_other_releases_of_the_rhel_family(kind: str) -> None:
    case = _started(kind)
    case.configure()
    done = case.node.ask(("run", case.family.request(OLD)))
    assert done.error is None, done.error
    assert case.installed() == case.all_at(OLD)
    major = kind.replace("rhel", "")
    assert case.node.out('. /etc/os-release; echo "$VERSION_ID $PLATFORM_ID"').endswith(f"platform:el{major}")


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
