# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the agent reports and with which exit code; summary and marker of the run at boot.

The cores here are plain functions of this file: the flow is tested, not a GPU.
"""

from __future__ import annotations

import types

import pytest

from ansible_collections.accel.gpu.plugins.module_utils import _errors as errors
from ansible_collections.accel.gpu.plugins.module_utils._agent import boot, flow, text
from ansible_collections.accel.gpu.plugins.module_utils._agent.residents import RESIDENTS, Resident, in_order
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.plugins.module_utils._wishes import path_of


class Plan:
    def __init__(self, changed=False, refusal=None, **result):
        self.changed = changed
        self.refusal = refusal
        self.diff = {"before": {"thing": ["old"]}, "after": {"thing": ["new"]}} if changed else {}
        self.actions = [{"action": "change", "object": "thing", "reason": "wished"}] if changed else []
        self._result = result

    def result(self):
        return self._result


def resident(plan, name="mig", order=20, seen=None):
    """A resident whose plan is given; `seen` collects what it was asked for."""
    calls = [] if seen is None else seen

    def planned(wish, state):
        if isinstance(plan, errors.AccelError):
            raise plan
        return plan

    def apply(made, ports):
        calls.append("apply")
        return types.SimpleNamespace(result=dict)

    core = types.SimpleNamespace(
        parse=lambda params: calls.append(dict(params)), read=lambda wish, ports: None, plan=planned, apply=apply
    )
    return Resident(name, order, core, "geometry", lambda ports: {}, {"mig_apply": "now"})


@pytest.fixture
def ports(tmp_path):
    def forbidden(*args, **kwargs):
        raise AssertionError("nothing here runs a command or opens NVML")

    return Ports(run=forbidden, files=Files(str(tmp_path)), open_nvml=forbidden, root=str(tmp_path))


@pytest.mark.parametrize(
    ("plan", "apply", "status", "code"),
    [
        (Plan(), False, "ok", 0),
        (Plan(), True, "ok", 0),
        (Plan(changed=True), False, "differs", 3),
        (Plan(changed=True), True, "changed", 0),
        (Plan(reset_required=["GPU-1"]), True, "owed", 5),
        (Plan(changed=True, deferred=["GPU-1"]), True, "owed", 5),
        (Plan(reboot_required=True), False, "owed", 5),
        (Plan(refusal=errors.BusyError("GPU-1 is busy")), True, "refused", 4),
        (errors.ForeignManagerError("the GPU Operator owns this node"), True, "refused", 4),
        (errors.LockTimeoutError("locked"), True, "refused", 4),
        (errors.WishError("no such profile"), True, "failed", 6),
        (errors.NotRootError("become root"), False, "failed", 7),
        (errors.GpuHungError("no answer"), False, "failed", 7),
        (errors.ApplyError("step 3 failed"), True, "failed", 1),
    ],
)
def test_status_and_exit_code(ports, plan, apply, status, code):
    report = flow.run(resident(plan), {}, ports, apply)
    assert (report.status, report.code) == (status, code)


def test_a_plan_that_is_not_to_be_applied_is_not(ports):
    seen = []
    flow.run(resident(Plan(changed=True), seen=seen), {}, ports, apply=False)
    assert "apply" not in seen
    flow.run(resident(Plan(changed=True), seen=seen), {}, ports, apply=True)
    assert seen[-1] == "apply"


def test_the_agent_never_stores_a_wish(ports):
    seen = []
    flow.run(resident(Plan(), seen=seen), {"geometry": [], "persist": True}, ports, apply=True)
    assert seen[0] == {"geometry": [], "persist": False}


def test_an_interrupted_run_is_finished_before_a_refusal(ports):
    seen = []
    refused = resident(Plan(refusal=errors.BusyError("busy")))
    refused.core.before_refusal = lambda plan, ports: seen.append("restored")
    assert flow.run(refused, {}, ports, apply=False).code == 4
    assert seen == []
    assert flow.run(refused, {}, ports, apply=True).code == 4
    assert seen == ["restored"]


@pytest.mark.parametrize(
    ("document", "options"),
    [
        ({"version": 1, "options": {"geometry": []}}, {"geometry": []}),
        ({"version": 1, "gpus": []}, {"geometry": {"version": 1, "gpus": []}}),
        ([{"gpus": "all", "mig": False}], {"geometry": [{"gpus": "all", "mig": False}]}),
    ],
)
def test_forms_of_a_wish(document, options):
    assert flow.options_of(document, resident(Plan()), "file") == options


@pytest.mark.parametrize("document", [None, 7, {}, {"version": 2, "gpus": []}, {"version": 1, "options": []}])
def test_other_documents_are_no_wish(document):
    with pytest.raises(errors.WishError, match="file: is neither a wish file nor a layout"):
        flow.options_of(document, RESIDENTS[0], "file")


def booted(monkeypatch, ports, *residents, wished=("mig",)):
    monkeypatch.setattr(boot, "in_order", lambda: tuple(sorted(residents, key=lambda one: one.order)))
    for name in wished:
        ports.files.write_json(path_of(name), {"version": 1, "options": {"mig_apply": "next_boot"}})
    run = boot.Boot(ports, "hold", lambda: "2026-11-22T00:00:00Z")
    return run.run(), ports.files.read_json(boot.SUMMARY), ports.files.read_json(boot.MARKER)


def test_a_boot_without_wishes_is_fine(monkeypatch, ports):
    code, summary, marker = booted(monkeypatch, ports, resident(Plan(changed=True)), wished=())
    assert (code, summary["status"], summary["residents"], marker) == (0, "ok", [], None)


def test_a_boot_brings_back_what_is_wished_now(monkeypatch, ports):
    seen = []
    code, summary, marker = booted(monkeypatch, ports, resident(Plan(changed=True), seen=seen))
    assert (code, summary["status"], marker) == (0, "ok", None)
    assert seen[0]["mig_apply"] == "now"
    assert [entry["status"] for entry in summary["residents"]] == ["changed"]


def test_residents_run_in_order_and_one_failure_stops_none(monkeypatch, ports):
    late = resident(Plan(changed=True), "access", 40)
    early = resident(errors.WishError("no such profile"), "mig", 20)
    code, summary, marker = booted(monkeypatch, ports, late, early, wished=("mig", "access"))
    assert (code, summary["status"]) == (6, "failed")
    assert [(entry["resident"], entry["status"]) for entry in summary["residents"]] == [
        ("mig", "failed"),
        ("access", "changed"),
    ]
    assert summary["message"] == "mig failed: no such profile"
    assert marker["on_failure"] == "hold"
    assert [entry["state"] for entry in marker["owed"]] == ["boot_failed"]


def test_what_nobody_has_to_wait_for_is_told_and_holds_nobody_back(monkeypatch, ports):
    settings = resident(errors.BusyError("GPU-1 is busy"), "settings", 10)._replace(holds=False)
    code, summary, marker = booted(monkeypatch, ports, settings, resident(Plan()), wished=("settings", "mig"))
    assert (code, summary["status"], summary["message"]) == (0, "incomplete", "settings refused: GPU-1 is busy")
    assert [entry["reason"] for entry in marker["owed"]] == ["settings refused: GPU-1 is busy"]
    late = resident(errors.WishError("no such profile"), "mig", 20)
    code, summary, _marker = booted(monkeypatch, ports, settings, late, wished=("settings", "mig"))
    assert (code, summary["status"]) == (6, "failed")


def test_what_is_owed_is_marked_and_the_mark_goes_with_it(monkeypatch, ports):
    code, summary, marker = booted(monkeypatch, ports, resident(Plan(reset_required=["GPU-1"])))
    assert (code, summary["message"]) == (5, "mig owed: reset_required GPU-1")
    assert {"state": "reset_required", "object": "GPU-1", "resident": "mig"} in marker["owed"]
    code, summary, marker = booted(monkeypatch, ports, resident(Plan()))
    assert (code, marker) == (0, None)


def test_a_broken_wish_file_is_told(monkeypatch, ports):
    ports.files.write(path_of("mig"), b"{")
    code, summary, _marker = booted(monkeypatch, ports, resident(Plan()), wished=())
    assert code == 1
    assert "mig.json is not JSON" in summary["message"]


def test_out_of_time_is_written_down(ports):
    run = boot.Boot(ports, "continue", lambda: "2026-11-22T00:00:00Z")
    assert run.timed_out(290) == flow.TIMED_OUT
    summary = ports.files.read_json(boot.SUMMARY)
    assert (summary["status"], summary["on_failure"]) == ("timed_out", "continue")
    assert "290 s" in summary["message"]


def test_a_person_reads_heading_difference_and_reason(ports):
    lines = text.report(flow.run(resident(Plan(changed=True)), {}, ports, apply=False))
    assert lines == ["mig: differs from the wish", "  thing", "    - old", "    + new", "  change thing: wished"]
    refused = flow.run(resident(Plan(refusal=errors.BusyError("GPU-1 is busy"))), {}, ports, apply=False)
    assert text.report(refused) == ["mig: refused, nothing was touched: GPU-1 is busy"]


def test_the_table_of_residents():
    names = [one.name for one in in_order()]
    assert names[:2] == ["settings", "mig"]
    assert [one.name for one in in_order() if not one.holds] == ["settings"]
    assert len(names) == len(set(names))
    assert [one.order for one in in_order()] == sorted(one.order for one in RESIDENTS)
    assert RESIDENTS[names.index("mig")].at_boot == {"mig_apply": "now"}
