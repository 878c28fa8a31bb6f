# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a removal takes along beside the driver's own packages: holds, keys, headers and tools."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan_packages
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan import Plan, decide
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_offers
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Transaction
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

ABSENT = nodes.mirror(state="absent")
KEY = "A" * 40


def removed(node: model.Node, **facts: t.Any) -> Plan:
    made = decide(ABSENT, model.State(node, **facts))
    assert made.refusal is None
    return made


def test_our_holds_on_packages_that_were_there_before_us_are_released() -> None:
    node = nodes.node(
        packages={"nvidia-utils-580": "580-1", "libnvidia-compute-580": "580-1"},
        holds=frozenset(("nvidia-utils-580", "libnvidia-compute-580")),
        records={"holds": ["nvidia-utils-580"]},
    )
    made = removed(node)
    assert made.steps == (steps.UnholdPackages(("nvidia-utils-580",)),)
    assert (made.changed, made.record) == (True, {})


def test_a_key_that_we_brought_is_trusted_no_longer() -> None:
    made = removed(nodes.node("rocky", "9.4", records={"packages": [], "keys": [KEY]}))
    assert made.steps == (steps.DistrustKeys((KEY,)),)
    assert [(one["action"], one["object"]) for one in made.actions] == [("distrust_key", KEY)]


# --- tools ---------------------------------------------------------------------------------------------------------

CHANGE = steps.ChangePackages((("kernel-devel", "5.14"), (nodes.LOCKS, "4.0"), ("nvidia-open", "580-1"), ("gcc", "1")))
CHANGES = (
    model.Change("kernel-devel", None, "5.14"),
    model.Change(nodes.LOCKS, None, "4.0"),
    model.Change("nvidia-open", None, "580-1"),
    model.Change("dkms", None, "3.0"),
    model.Change("make", None, "4.3"),  # of somebody's dependencies, and of use without us
    model.Change("gcc", "0", "1"),
)


@pytest.mark.parametrize("earlier", [[], ["mokutil"]])
def test_what_comes_with_the_driver_without_being_of_it_is_ours(earlier: t.List[str]) -> None:
    node = nodes.node("rocky", "9.4", records={"tools": earlier})
    found = plan_packages.with_tools({"packages": []}, node, CHANGE, CHANGES)
    assert found["tools"] == sorted(["kernel-devel", nodes.LOCKS, "dkms", *earlier])
    assert plan_packages.with_tools({"packages": []}, nodes.node(), None, ()) == {"packages": []}


def test_headers_of_a_first_installation_are_written_down() -> None:
    headers = "linux-headers-6.8.0-90-generic"
    node = nodes.node("ubuntu", "24.04", running=nodes.kernel("6.8.0-90-generic", headers=False))
    _state, made = nodes.decided(
        node, nodes.mirror(), "580.126.16", changes=(model.Change(headers, None, "6.8.0-90.91"),)
    )
    assert made.record is not None
    assert made.record["tools"] == [headers]


OURS = {"packages": ["nvidia-open"], "tools": ["dkms", "kernel-devel", nodes.LOCKS], "holds": ["nvidia-open"]}
THERE: t.Dict[str, t.Any] = {
    "packages": {"nvidia-open": "580-1", "dkms": "3.0"},
    "tools": {"kernel-devel": "5.14", nodes.LOCKS: "4.0", "mokutil": "0.6"},
    "records": OURS,
}
# holds of the node -> what is removed
REMOVED: t.Dict[str, t.Tuple[t.Tuple[str, ...], t.List[str]]] = {
    "all of it": (("nvidia-open",), ["dkms", "kernel-devel", "nvidia-open", nodes.LOCKS]),
    "but not the locks that somebody else needs": (("nvidia-open", "slurm"), ["dkms", "kernel-devel", "nvidia-open"]),
    "nor what somebody else holds": (("nvidia-open", "kernel-devel"), ["dkms", "nvidia-open"]),
}


@pytest.mark.parametrize("case", REMOVED, ids=str)
def test_tools_go_with_the_driver(case: str) -> None:
    held, wanted = REMOVED[case]
    made = removed(nodes.node("rocky", "9.4", holds=frozenset(held), **THERE))
    (change,) = (step for step in made.steps if isinstance(step, steps.ChangePackages))
    assert change.remove == tuple(wanted)


class Removing:
    """A manager in which `needs` goes with dkms."""

    def __init__(self, needs: t.Optional[str]) -> None:
        self._needs = needs

    def simulate(self, request: t.Any) -> Transaction:
        more = (self._needs,) if self._needs and "dkms" in request.remove else ()
        return Transaction(tuple(model.Change(name, "1", None) for name in (*request.remove, *more)))  # type: ignore[misc]


@pytest.mark.parametrize(("needs", "dkms"), [(None, True), ("zfs-dkms", False)])
def test_tools_that_something_else_needs_now_stay(needs: t.Optional[str], dkms: bool) -> None:
    node = nodes.node("rocky", "9.4", holds=frozenset(("nvidia-open",)), **THERE)
    state = probe_offers._removal(model.State(node), t.cast(t.Any, Removing(needs)))
    made = removed(state.node, changes=state.changes)
    (change,) = (step for step in made.steps if isinstance(step, steps.ChangePackages))
    assert ("dkms" in change.remove, "nvidia-open" in change.remove) == (dkms, True)


def test_a_snapshot_that_lists_no_tool_removes_none() -> None:
    node = dataclasses.replace(nodes.node("rocky", "9.4", **THERE), tools={}, packages={})
    assert removed(node).steps == ()
