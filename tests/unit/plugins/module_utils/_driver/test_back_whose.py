# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose change is taken back, and whose holds and interrupted runs are left alone."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import core, model, record
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import back_plan, planned
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.back import Now
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.geometry import Kept
from ansible_collections.accel.gpu.plugins.module_utils._driver.record import Journal, Recorded
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    DistrustKeys,
    HoldPackages,
    Step,
    UnholdPackages,
)
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._mig.model import GpuLayout, InstanceSpec
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Placement
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

# An upgrade of one package, whose neighbour did not change.
BEFORE = Recorded("2026-11-25T00:00:00Z", packages={"libnvidia-ml1": "580-1"}, holds=("libnvidia-ml1",))
AFTER = Now({"libnvidia-ml1": "590-1"}, holds=frozenset(("libnvidia-ml1",)))


def state(**facts: t.Any) -> model.State:
    return model.State(nodes.node("debian", "12", **facts))


def decided(
    run: t.Optional[str], runs: t.Optional[t.List[str]], journal: t.Optional[Journal] = None
) -> planned.Planned:
    asked = planned.Asked(nodes.wish(state="restored", restore_runs=runs))
    recorded = dataclasses.replace(BEFORE, run=run)
    way = record.way_back(journal, recorded)
    return planned.decide(asked, planned.Seen(state(), journal, way, AFTER))


# run of the record, runs that may be taken back -> whether it is, or what a warning says
LAST = "and the last change of packages here is that of"
WHOSE: t.Dict[str, t.Tuple[t.Any, t.Any, str]] = {
    "anybody's": ("R1", None, ""),
    "one without a name": (None, None, ""),
    "of this run": ("R2", ["R2"], ""),
    "of one that this run took over": ("R1", ["R2", "R1"], ""),
    "of another run": ("R1", ["R2"], f"restore_runs has R2, {LAST} run R1 of {BEFORE.since}"),
    "of nobody, as after site.yml": (
        None,
        ["R2"],
        f"restore_runs has R2, {LAST} a run without a name of {BEFORE.since}",
    ),
    "of no run": ("R1", [], f"restore_runs has no run, {LAST} run R1 of {BEFORE.since}"),
}


@pytest.mark.parametrize("case", WHOSE, ids=str)
def test_only_a_change_of_the_named_runs_is_taken_back(case):
    run, runs, why = WHOSE[case]
    plan = decided(run, runs)
    result = plan.result()
    assert plan.refusal is None
    assert (plan.changed, plan.acts, result["restored"]) == (not why, not why, not why)
    assert result["warnings"] == ([f"nothing was restored: gpu_driver_{why}"] if why else [])
    if why:
        assert [action["action"] for action in plan.actions] == ["keep"]


def test_without_any_record_the_named_runs_have_nothing_to_restore():
    plan = back_plan.decide(nodes.wish(state="restored", restore_runs=["R2"]), state(), None, None)
    assert (plan.refusal, plan.changed) == (None, False)
    assert plan.warnings == (
        "nothing was restored: gpu_driver_restore_runs has R2, and no change of packages is recorded on this node",
    )


def journal(run: t.Optional[str], back: bool = False) -> Journal:
    before = dataclasses.replace(BEFORE, since="2026-11-26T00:00:00Z", packages={"libnvidia-ml1": "585-1"}, run=run)
    return Journal("boot", record.PACKAGES, before, back=back)


@pytest.mark.parametrize(
    ("interrupted", "runs", "wanted"),
    [
        # An interrupted change is the last one; what was there before it comes back, not what was before an older one.
        (journal("R2"), None, "585-1"),
        (journal("R2"), ["R2"], "585-1"),
        # One that was on the way back goes on to where it was going.
        (journal("R2", back=True), ["R2", "R1"], "580-1"),
        # What another run left half-way is none of this one's, whosever the record is.
        (journal("R3"), ["R2", "R1"], None),
        (journal(None), ["R1"], None),
    ],
)
def test_an_interrupted_change_is_the_last_one(interrupted, runs, wanted):
    plan = decided("R1", runs, interrupted)
    installs = [dict(step.install) for step in plan.steps if isinstance(step, ChangePackages)]
    assert installs == ([{"libnvidia-ml1": wanted}] if wanted else [])
    assert (plan.changed, plan.resumes) == (wanted is not None, wanted is not None)


def test_a_foreign_journal_is_not_undone_either(tmp_path):
    asked = planned.Asked(nodes.wish(state="restored", restore_runs=["R2"]))
    node = nodes.node("debian", "12", managers=(("GPU Operator", "/run/nvidia/driver is mounted"),))
    plan = planned.decide(asked, planned.Seen(model.State(node), journal("R3")))
    assert plan.refusal is not None
    ports = Ports(
        run=lambda *_args, **_more: pytest.fail("a command"),
        files=Files(str(tmp_path)),
        open_nvml=lambda: pytest.fail("NVML"),
    )
    assert core.before_refusal(plan, ports) == {}


def test_a_download_leaves_an_interrupted_run_alone():
    seen = planned.Seen(state(), journal("R1"))
    plan = planned.decide(planned.Asked(nodes.wish(branch="580", download_only=True)), seen)
    assert not plan.resumes
    assert "finish_interrupted" not in [action["action"] for action in plan.actions]
    assert planned.decide(planned.Asked(nodes.wish(branch="580")), seen).resumes


# --- holds and problems of others ----------------------------------------------------------------------------------

TWO = Recorded(
    "2026-11-25T00:00:00Z",
    packages={"libnvidia-ml1": "580-1", "nvidia-utils-580": "580-1"},
    holds=("libnvidia-ml1",),
)
HELD = Now(
    {"libnvidia-ml1": "590-1", "nvidia-utils-580": "590-1"}, holds=frozenset(("libnvidia-ml1", "nvidia-utils-580"))
)


def restored(now: Now, **facts: t.Any) -> t.Any:
    node = nodes.node("debian", "12", holds=now.holds, **facts)
    return back_plan.decide(nodes.wish(state="restored"), model.State(node), TWO, now)


def test_a_hold_that_somebody_else_has_set_since_stops_the_way_back():
    plan = restored(HELD, records={"holds": []})
    assert plan.refusal is not None
    assert plan.refusal.message == (
        "nvidia-utils-580 would change but is held by somebody else; ask them, or release the hold and run again"
    )


def holds_of(steps: t.Sequence[Step]) -> t.List[Step]:
    return [step for step in steps if isinstance(step, (HoldPackages, UnholdPackages))]


def test_our_own_and_the_recorded_holds_are_released_for_the_way_back():
    plan = restored(HELD, records={"holds": ["nvidia-utils-580"]})
    assert plan.refusal is None
    assert holds_of(plan.steps) == [
        UnholdPackages(("libnvidia-ml1", "nvidia-utils-580")),
        HoldPackages(("libnvidia-ml1",)),
    ]


def test_a_hold_of_others_on_a_package_that_does_not_change_stays():
    now = dataclasses.replace(HELD, packages={**HELD.packages, "nvidia-utils-580": "580-1"})
    plan = restored(now)
    assert plan.refusal is None
    assert holds_of(plan.steps) == [UnholdPackages(("libnvidia-ml1",)), HoldPackages(("libnvidia-ml1",))]


def test_a_package_manager_in_trouble_refuses_the_way_back_in_check_mode_too():
    problem = "dpkg was interrupted: package postfix is half configured; run dpkg --configure -a"
    plan = restored(dataclasses.replace(HELD, holds=frozenset()), package_problems=(problem,))
    assert plan.refusal is not None
    assert plan.refusal.message == f"packages cannot change on this node: {problem}"


def test_a_key_that_the_change_brought_is_trusted_no_longer():
    node = nodes.node("debian", "12", records={"keys": ["A", "B"]})
    recorded = dataclasses.replace(TWO, state={"keys": ["A"]})
    plan = back_plan.decide(nodes.wish(state="restored"), model.State(node), recorded, Now(TWO.packages))
    assert [step for step in plan.steps if isinstance(step, DistrustKeys)] == [DistrustKeys(("B",))]


# --- MIG layouts ---------------------------------------------------------------------------------------------------


def test_a_layout_that_comes_back_is_foretold():
    kept = Kept("GPU-1", GpuLayout(True, True, (InstanceSpec(19, "1g.10gb", Placement(1, 1)),)))
    asked = planned.Asked(nodes.wish(state="restored", restore_runs=[]))
    plan = planned.decide(asked, planned.Seen(state(), layouts=(kept,)))
    assert plan.changed
    assert plan.actions[-1] == {
        "action": "restore_geometry",
        "object": "GPU-1",
        "reason": "loading the modules takes it away: 1g.10gb at 1:1 (no compute instance)",
    }


def test_a_layout_is_kept_for_a_reboot_without_a_change():
    plan = planned.decide(planned.Asked(nodes.wish(branch="580", keep_geometry=True)), planned.Seen(state()))
    assert plan.acts
