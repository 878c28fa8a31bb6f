# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flows of modules: what a plan, a refusal, a failed step and a missing binding become."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    AccelError,
    ApplyError,
    BindingWantedError,
    BusyError,
    PayloadWantedError,
    WishError,
)
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import run_declare
from ansible_collections.accel.gpu.plugins.module_utils._module.info import run_info


class Ended(Exception):
    def __init__(self, failed: bool, result: t.Dict[str, t.Any]) -> None:
        super().__init__(result)
        self.failed = failed
        self.result = result


class Module:
    """What the flows use of AnsibleModule."""

    _name = "accel.gpu.mig_geometry"

    def __init__(self, check_mode: bool = False, **params: t.Any) -> None:
        self.params = {"nvml_binding": None, "nvml_deadline": 30.0, **params}
        self.check_mode = check_mode
        self.warnings: t.List[str] = []

    def debug(self, line):
        pass

    def warn(self, line):
        self.warnings.append(line)

    def exit_json(self, **result):
        raise Ended(False, result)

    def fail_json(self, **result):
        raise Ended(True, result)


@dataclasses.dataclass
class Plan:
    changed: bool = True
    refusal: t.Optional[AccelError] = None
    diff: t.Mapping[str, t.Any] = dataclasses.field(default_factory=lambda: {"before": {"a": 1}, "after": {"a": 2}})
    actions: t.Tuple[t.Any, ...] = ("create",)

    def result(self):
        return {"reset_required": []}


class Outcome:
    def result(self):
        return {"mig_uuids": {"old": "new"}}


class Core:
    def __init__(self, plan: Plan, error: t.Optional[AccelError] = None, where: str = "apply") -> None:
        self._plan, self._error, self._where = plan, error, where
        self.seen: t.List[str] = []

    def _do(self, what):
        self.seen.append(what)
        if self._error is not None and what == self._where:
            raise self._error

    def parse(self, params):
        self._do("parse")
        return "wish"

    def read(self, wish, ports):
        self._do("read")
        return "state"

    def plan(self, wish, state):
        self._do("plan")
        return self._plan

    def apply(self, plan, ports):
        self._do("apply")
        return Outcome()

    def answer(self, wish, state, result):
        result["gpus"] = []
        result["warnings"] = ["expired"]
        self._do("answer")


def declared(core, module=None):
    with pytest.raises(Ended) as caught:
        run_declare(module or Module(), core)
    return caught.value


KNOWN = {"diff": {"before": {"a": 1}, "after": {"a": 2}}, "actions": ["create"], "reset_required": []}


def test_a_change_is_made_and_told():
    core = Core(Plan())
    ended = declared(core)
    assert not ended.failed
    assert ended.result == {"changed": True, "mig_uuids": {"old": "new"}, **KNOWN}
    assert core.seen == ["parse", "read", "plan", "apply"]


def test_check_mode_says_the_same_and_touches_nothing():
    core = Core(Plan())
    ended = declared(core, Module(check_mode=True))
    assert ended.result == {"changed": True, **KNOWN}
    assert "apply" not in core.seen


def test_nothing_to_do_touches_nothing():
    core = Core(Plan(changed=False))
    assert declared(core).result["changed"] is False
    assert "apply" not in core.seen


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_refusal_fails_in_check_mode_too_with_the_same_words(check_mode):
    core = Core(Plan(refusal=BusyError("geometry[0]: PID 7 runs there", pids=[7])))
    ended = declared(core, Module(check_mode=check_mode))
    assert ended.failed
    assert ended.result == {
        "msg": "mig_geometry: geometry[0]: PID 7 runs there",
        "error": {"kind": "busy", "pids": [7], "changed": False},
        "changed": False,
        **KNOWN,
    }
    assert "apply" not in core.seen


@pytest.mark.parametrize(("restored", "changed"), [(True, False), (False, True)])
def test_a_failed_step_says_whether_the_node_differs_now(restored, changed):
    ended = declared(Core(Plan(), ApplyError("step 3 failed", restored=restored)))
    assert ended.failed
    assert ended.result["changed"] is changed
    assert ended.result["actions"] == ["create"]


def test_a_part_that_was_done_counts_although_the_rest_was_taken_back():
    ended = declared(Core(Plan(), ApplyError("step 3 failed", restored=True, changed=True)))
    assert ended.failed
    assert ended.result["changed"] is True


@pytest.mark.parametrize("settled", [{"changed": True}, {"changed": False}, {}])
@pytest.mark.parametrize("check_mode", [False, True])
def test_what_an_interrupted_run_left_is_settled_before_the_refusal(settled, check_mode):
    core = Core(Plan(refusal=BusyError("geometry[0]: PID 7 runs there")))
    core.before_refusal = lambda plan, ports: settled
    ended = declared(core, Module(check_mode=check_mode))
    assert ended.failed
    assert ended.result["changed"] is (settled.get("changed", False) and not check_mode)


def test_what_became_of_settings_is_told_by_the_refusal_too():
    core = Core(Plan(refusal=BusyError("geometry[0]: PID 7 runs there")))
    back, lost = "GPU-1: power limit is 300 again", "GPU-2: settings could not be set again"
    core.before_refusal = lambda plan, ports: {"changed": True, "settings_reapplied": [back], "warnings": [lost]}
    module = Module()
    ended = declared(core, module)
    assert ended.result["settings_reapplied"] == [back]
    assert lost in module.warnings


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(28, "No space left on device", "/var/lib/x"), "error", "/var/lib/x: No space left on device; mend"),
        (PermissionError(13, "Permission denied", "/etc/x"), "permission", "/etc/x: Permission denied; become root"),
        (OSError("odd"), "error", "a file of the node: odd; mend"),
    ],
)
@pytest.mark.parametrize("where", ["read", "apply"])
def test_a_file_that_cannot_be_written_is_one_clear_error(error, kind, words, where):
    ended = declared(Core(Plan(), error, where))
    assert ended.failed
    assert ended.result["msg"].startswith(f"mig_geometry: {words}")
    assert ended.result["error"]["kind"] == kind


@pytest.mark.parametrize("where", ["parse", "read", "plan"])
def test_an_early_error_is_told_before_anything_is_touched(where):
    core = Core(Plan(), WishError("geometry[1]: wrong"), where)
    ended = declared(core)
    assert ended.result == {
        "msg": "mig_geometry: geometry[1]: wrong",
        "error": {"kind": "wish", "changed": False},
        "changed": False,
    }
    assert core.seen[-1] == where


def test_only_the_action_plugin_hears_of_a_missing_binding():
    ended = declared(Core(Plan(), BindingWantedError("no pynvml"), "read"))
    assert not ended.failed
    assert ended.result == {"changed": False, "binding_wanted": True}


@pytest.mark.parametrize("given", ["", "eJx…"])
def test_a_binding_that_does_not_help_is_an_error(given):
    ended = declared(Core(Plan(), BindingWantedError("no pynvml"), "read"), Module(nvml_binding=given))
    assert ended.failed
    assert ended.result["msg"] == "mig_geometry: no pynvml"
    assert "binding_wanted" not in ended.result


def test_a_payload_is_asked_for():
    ended = declared(Core(Plan(), PayloadWantedError("old"), "apply"))
    assert ended.result == {"changed": False, "payload_wanted": True}


@pytest.mark.parametrize("deadline", [0.0, -1.0, 86400.0, float("nan")])
def test_a_wrong_deadline_is_told_before_the_core_is_asked(deadline):
    core = Core(Plan())
    ended = declared(core, Module(nvml_deadline=deadline))
    assert ended.result["msg"].startswith("mig_geometry: nvml_deadline: ")
    assert core.seen == []


@pytest.mark.parametrize("error", [None, WishError("gpus: wrong")])
def test_an_answer_is_shown_with_its_warnings_even_when_it_fails(error):
    module = Module()
    with pytest.raises(Ended) as caught:
        run_info(module, Core(Plan(), error, "answer"))
    assert caught.value.failed is (error is not None)
    assert caught.value.result["gpus"] == []
    assert caught.value.result["changed"] is False
    assert "warnings" not in caught.value.result
    assert module.warnings == ["expired"]
