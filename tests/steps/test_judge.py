# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge itself is judged: honest records pass, each way of lying is found."""

from __future__ import annotations

import copy
import json

import judge
import pytest

CREATE = {
    "action": "create_gpu_instance",
    "gpu": "GPU-1",
    "object": "1g.10gb at 0:1",
    "reason": "wished",
}


def line(**fields):
    base = {
        "kind": "result", "host": "a100", "role": "mig", "task": "Bring the geometry",
        "action": "accel.gpu.mig_geometry", "outcome": "ok", "changed": False, "skipped": False,
        "item": None, "actions": [], "diff": None,
    }  # fmt: skip
    return {**base, **fields}


def honest():
    changed = line(changed=True, actions=[CREATE], diff={"before": {}, "after": {"0:1": "1g.10gb"}})
    said = line(task="Say it", action="ansible.builtin.debug")
    return [[said, changed], [said, changed], [said, line()], [said, line()]]


def record(directory, steps, names=("01-check", "02-run", "03-run", "04-check")):
    for name, step in zip(names, steps):
        text = "".join(json.dumps(entry) + "\n" for entry in step)
        (directory / f"{name}-converge.jsonl").write_text(text)
    (directory / "09-run-verify.jsonl").write_text("")


def test_an_honest_scenario_passes(tmp_path, capsys):
    record(tmp_path, honest())
    assert judge.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("steps: 1 passed, 0 failed\n")


def silent_check(steps):
    steps[0][1] = line()


def boasting_check(steps):
    steps[0].append(line(task="Enable the unit", changed=True))


def other_object(steps):
    steps[0][1] = copy.deepcopy(steps[0][1])
    steps[0][1]["actions"][0]["object"] = "1g.10gb at 4:1"


def other_diff(steps):
    steps[0][1] = {**steps[0][1], "diff": {"before": {}, "after": {}}}


def changes_again(steps):
    steps[2][1] = line(changed=True)


def last_check_changes(steps):
    steps[3][1] = line(changed=True, actions=[CREATE])


def no_host(steps):
    steps[1][:] = [line(task="Say it", action="ansible.builtin.debug")]


def empty_step(steps):
    steps[2][:] = []


def failed_task(steps):
    steps[2][1] = line(outcome="failed")


def only_skipped(steps):
    steps[3][:] = [line(skipped=True)]


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (
            silent_check,
            "first check: did not predict a100 / mig / Bring the geometry / GPU-1 create_gpu_instance 1g.10gb at 0:1",
        ),
        (
            boasting_check,
            "first check: predicted what converge did not do: a100 / mig / Enable the unit",
        ),
        (other_object, "first check: did not predict a100"),
        (
            other_diff,
            "first check: diff of a100 / mig / Bring the geometry differ from converge's",
        ),
        (changes_again, "idempotence: still changes a100 / mig / Bring the geometry"),
        (
            last_check_changes,
            "last check: still changes a100 / mig / Bring the geometry / GPU-1 create_gpu_instance",
        ),
        (no_host, "converge: touched no host"),
        (empty_step, "idempotence: touched no host"),
        (failed_task, 'idempotence: a100: task "Bring the geometry" failed'),
        (only_skipped, "last check: touched no host"),
    ],
)
def test_lies_are_found(tmp_path, lie, words):
    steps = honest()
    lie(steps)
    record(tmp_path, steps)
    assert any(words in problem for problem in judge.judge(tmp_path))


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("01-check",),
        ("01-run", "02-check", "03-run", "04-check"),
        ("01-check", "02-run", "03-run"),
    ],
)
def test_missing_or_misplaced_steps_are_found(tmp_path, names):
    record(tmp_path, honest(), names)
    (problem,) = judge.judge(tmp_path)
    assert problem.endswith("wanted check → run → run → check")


DEFERRED = [{"action": "deferred", "object": "needs gpu_driver", "reason": "no driver"}]
PACKAGE = [{"action": "install_package", "object": "nvidia-driver", "reason": "wished"}]


def deferring():
    """Role gpu_driver installs, mig waits for it, gpu_settings has nothing to do; then mig's handler runs too."""
    steps = honest()
    steps[0][1] = line(changed=True, actions=DEFERRED)
    for step in steps[:2]:
        step.append(line(role="gpu_driver", task="Install", changed=True, actions=PACKAGE, diff={"after": "580"}))
    steps[0].append(line(role="gpu_settings", task="Set"))
    left = [{"action": "left_alone", "object": "GPU", "reason": "no item means it"}]
    steps[1] += [line(role="gpu_settings", task="Set", actions=left), line(task="Restart", changed=True)]
    return steps


def test_what_was_deferred_may_turn_out_otherwise(tmp_path):
    record(tmp_path, deferring())
    assert judge.judge(tmp_path) == []


@pytest.mark.parametrize(
    ("step", "lie", "words"),
    [
        # Only the task that deferred may have foretold what did not come.
        (0, line(task="Enable", changed=True), "predicted what converge did not do: a100 / mig / Enable"),
        # Another role of the host has its predecessors in place.
        (1, line(role="gpu_settings", task="Clocks", changed=True), "did not predict a100 / gpu_settings / Clocks"),
        (
            0,
            line(role="gpu_driver", task="Install", changed=True, actions=PACKAGE, diff={"after": "590"}),
            "diff of a100 / gpu_driver / Install differ from converge's",
        ),
        # Another host waits for nothing.
        (1, line(host="h100", changed=True, actions=[CREATE]), "did not predict h100 / mig"),
    ],
)
def test_a_deferral_covers_nothing_else(tmp_path, step, lie, words):
    steps = deferring()
    steps[step].append(lie)
    record(tmp_path, steps)
    (problem,) = judge.judge(tmp_path)
    assert f"first check: {words}" in problem


def test_nothing_to_judge_is_a_failure(tmp_path, capsys):
    assert judge.main([]) == 1
    assert judge.main([str(tmp_path)]) == 1
    assert "wanted check → run → run → check" in capsys.readouterr().out
