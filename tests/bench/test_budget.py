# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import budget
import pytest


def record(path, tasks):
    """tasks: (host, role or None, task, modules that went to the node)"""
    lines = []
    for host, role, task, modules in tasks:
        lines += [{"kind": "module", "host": host, "task": task, "module": name} for name in modules]
        lines.append({"kind": "result", "host": host, "task": task, "role": role})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


QUIET = [
    ("a", None, "Look", ["gpu_info"]),
    ("a", "accel.gpu.node_agent", "Agent", ["node_agent", "node_agent"]),
    ("a", "accel.gpu.mig", "Say", []),
    ("a", "accel.gpu.mig", "Geometry", ["mig_geometry"]),
]


def scenario(folder, tasks, name="02-run-converge.jsonl"):
    """A folder of steps whose last run of converge did these tasks, and whose first one did more."""
    folder.mkdir()
    record(folder / "01-run-converge.jsonl", [("a", "accel.gpu.mig", f"Task {number}", ["x"]) for number in range(9)])
    record(folder / name, tasks)
    return str(folder)


def test_hidden_calls_of_one_task_are_one_remote_task(tmp_path, capsys):
    assert budget.main([scenario(tmp_path / "x", QUIET)]) == 0
    assert capsys.readouterr().out == "remote tasks a host, x: a 3\n"


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (("a", "accel.gpu.mig", "Once more", ["setup"]), "a: mig needs 2 remote tasks, budget.yml allows 1"),
        (("b", "accel.gpu.unknown", "New", ["ping"]), "b: unknown needs 1 remote tasks, budget.yml allows 0"),
    ],
)
def test_a_breach_of_any_scenario_is_named(tmp_path, capsys, task, sentence):
    assert budget.main([scenario(tmp_path / "x", [*QUIET, task]), scenario(tmp_path / "y", QUIET)]) == 1
    assert f"over budget: {sentence}\n" in capsys.readouterr().out


def test_a_record_of_nothing_is_a_failure(tmp_path, capsys):
    assert budget.main([scenario(tmp_path / "x", [])]) == 1
    assert budget.main([str(tmp_path / "none")]) == 1
    assert budget.main([]) == 2
    assert "over budget: x: no host ran a module" in capsys.readouterr().out


def test_the_whole_site_stays_within_eight():
    assert sum(budget.limits().values()) <= 8


@pytest.mark.parametrize(("role", "most"), [("gpu_driver", 4), ("gpu_settings", 2)])
def test_no_limit_was_raised_beyond_what_was_promised(role, most):
    assert budget.limits()[role] <= most
