# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The room _packages with the real apt, dnf and zypper on nodes of the lab: looking, changing, going back."""

from __future__ import annotations

import typing as t

import pytest
from package_families import NEW, OLD, STATE, Case, Family


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
def test_headers_of_several_kernels_lie_side_by_side(package_case: t.Callable[[str], Case]) -> None:
    """Those of RHEL provide installonlypkg(kernel), the lab's need the option for it."""
    node = package_case("dnf").node
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


@pytest.mark.full
@pytest.mark.parametrize("kind", ["rhel8", "rhel10"])
def test_other_releases_of_the_rhel_family(kind: str, package_case: t.Callable[[str], Case]) -> None:
    case = package_case(kind)
    case.configure()
    done = case.node.ask(("run", case.family.request(OLD)))
    assert done.error is None, done.error
    assert case.installed() == case.all_at(OLD)
    major = kind.replace("rhel", "")
    assert case.node.out('. /etc/os-release; echo "$VERSION_ID $PLATFORM_ID"').endswith(f"platform:el{major}")
