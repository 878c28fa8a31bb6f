# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a look at repositories happens, which of them must answer, and what of the transaction is told to the plan."""

from __future__ import annotations

import contextlib
import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply, apply_before, apply_walk
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan_files, plan_packages
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan_choice import choose
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_offers
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Change, State
from ansible_collections.accel.gpu.plugins.module_utils._errors import DiskFullError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._packages import objects
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

OLD, NEW = "580.95.05", "580.126.16"
FULL = DiskFullError("the file system of /usr has not enough room; make room and run again")
ROWS = [("rocky", "9.4"), ("sles", "15.6"), ("debian", "12")]
URLS = {
    "rocky": "https://mirror.example/nvidia/rhel9/x86_64/",
    "sles": "https://mirror.example/nvidia/sles15/x86_64/",
    "debian": "https://mirror.example/nvidia/debian12/x86_64/",
}


class Packages(contextlib.AbstractContextManager):
    """A manager that has no package at all and writes down what it was asked for."""

    def __init__(self, fresh: bool) -> None:
        self.is_fresh = fresh
        self.refreshed: t.List[t.Any] = []

    def fresh(self, _max_age: int) -> bool:
        return self.is_fresh

    def refresh(self, max_age: int, needed: t.Any) -> bool:
        self.refreshed.append((max_age, needed))
        return True

    def versions(self, _names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]:
        return {}

    def streams(self, _module: str) -> t.Tuple[str, ...]:
        return ()

    def __exit__(self, *_exception: object) -> None:
        pass


def look(monkeypatch, made_for, asked, fresh, check):
    """(what the node's manager was asked to refresh, how the second manager was made)"""
    packages, aside = Packages(fresh), []

    def manager(_ports, sources, _timeout, anew):
        aside.append(([one.name for one in sources], anew))
        return Packages(True)

    monkeypatch.setattr(probe_offers, "manager", manager)
    with contextlib.suppress(Exception):  # there are no packages, which is not the question here
        probe_offers.look(asked, made_for, packages, SimpleNamespace(check=check))
    return packages.refreshed, aside


def configured(name, version, asked):
    """A node that has the repository as it is wished."""
    bare = nodes.node(name, version)
    files = plan_files.wanted(asked, State(bare), choose(asked, bare), blacklist=False)
    return nodes.node(name, version, files={path: one.content for path, one in files.items()})


@pytest.mark.parametrize(
    ("source", "name", "version"), [*(("mirror", *row) for row in ROWS), ("distribution", "debian", "12")]
)
def test_the_repository_of_the_driver_must_answer_under_the_name_and_address_it_has(monkeypatch, source, name, version):
    asked = nodes.mirror(branch="580") if source == "mirror" else nodes.wish(source=source)
    needed = (objects.Origin("accel-gpu-driver", URLS[name]),) if source == "mirror" else None
    assert look(monkeypatch, configured(name, version, asked), asked, False, False) == ([(3600, needed)], [])


@pytest.mark.parametrize(
    ("has", "fresh", "check", "aside"),
    [
        (True, True, True, []),
        # what check mode says is what the run will find, and the node's index stays as it is
        (True, False, True, [(["accel-gpu-driver"], True)]),
        (False, True, True, [(["accel-gpu-driver"], False)]),
        (False, False, True, [(["accel-gpu-driver"], True)]),
        (False, True, False, [(["accel-gpu-driver"], False)]),
        # the run fetches everything together with the new repository
        (False, False, False, [(["accel-gpu-driver"], True)]),
    ],
)
def test_an_index_is_looked_at_aside_where_it_is_not_to_be_changed_or_not_there(monkeypatch, has, fresh, check, aside):
    asked = nodes.mirror(branch="580")
    there = configured("debian", "12", asked) if has else nodes.node("debian", "12")
    refreshed, made = look(monkeypatch, there, asked, fresh, check)
    assert made == aside
    assert bool(refreshed) is (not aside)


def test_the_distribution_is_looked_at_aside_too(monkeypatch):
    asked = nodes.wish(source="distribution")
    assert look(monkeypatch, nodes.node("debian", "12"), asked, False, True) == ([], [([], True)])


@pytest.mark.parametrize(("name", "version"), ROWS)
def test_a_run_fetches_what_its_look_needed(name, version):
    _state, made = nodes.decided(nodes.node(name, version), nodes.mirror(branch="580"), NEW)
    (refresh,) = [step for step in made.steps if isinstance(step, steps.RefreshIndex)]
    assert refresh == steps.RefreshIndex(0, (objects.Origin("accel-gpu-driver", URLS[name]),))
    told = []
    manager = SimpleNamespace(refresh=lambda *given: told.append(given))
    apply_walk.Walker(SimpleNamespace(), manager, None)._take(refresh)
    assert told == [tuple(refresh)]


# --- what a transaction tells --------------------------------------------------------------------------------------


def test_a_disk_that_is_too_full_is_a_refusal_also_in_check_mode():
    _state, made = nodes.decided(nodes.node("debian", "12"), nodes.mirror(branch="580"), NEW, full=FULL)
    assert (made.refusal, made.steps) == (FULL, ())


def test_a_change_that_waits_needs_no_room():
    there = nodes.node("debian", "12", loaded=nodes.loaded(OLD), packages={"libnvidia-ml1": f"{OLD}-1"}, library=OLD)
    _state, made = nodes.decided(there, nodes.mirror(version=NEW), NEW, full=FULL)
    assert made.refusal is None
    assert made.owed.upgrade == (OLD, NEW)


def test_a_transaction_is_told_whole(monkeypatch):
    change = objects.Change("kernel-devel", None, "2-1", beside=True)
    packages = SimpleNamespace(simulate=lambda _request: objects.Transaction((change,), full=FULL))
    state = probe_offers._simulated(State(nodes.node()), steps.ChangePackages((("a", None),)), packages)
    assert (state.changes, state.full) == ((Change("kernel-devel", None, "2-1", True),), FULL)


def test_the_way_back_leaves_what_was_there_under_the_same_name(tmp_path):
    """Headers of another kernel would go along: a package is removed by its name."""
    changes = (
        objects.Change("kernel-devel", None, "2-1", beside=True),
        objects.Change("kernel-core", None, "1-1"),
        objects.Change("kernel-core", None, "2-1"),
    )
    change = apply.Change((), nodes.node(), lambda: (nodes.node(), ()), objects.Transaction(changes))
    ports = SimpleNamespace(files=Files(str(tmp_path)))
    assert apply_before.recorded_of(change, ports).added == ("kernel-core",)


@pytest.mark.parametrize(("beside", "tools"), [(False, ["kernel-devel"]), (True, None)])
def test_headers_beside_those_of_others_are_none_of_ours(beside, tools):
    change = steps.ChangePackages((("kernel-devel", "2-1"),))
    changes = (Change("kernel-devel", None, "2-1", beside),)
    assert plan_packages.with_tools({}, nodes.node(), change, changes).get("tools") == tools
