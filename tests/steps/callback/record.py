# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback of the test bench: writes down what every playbook run did, for `judge.py` and for the benchmarks.

Each run of a playbook becomes one file `<number>-<check|run>-<playbook>.jsonl` in ACCEL_STEPS_DIR. A line of kind
`result` is one task on one host (or one item of its loop); a line of kind `module` is one module that really went to a
node, hidden calls of action plugins included.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib

from ansible import context
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: aggregate
short_description: Write down what each step did
description: Part of the tests, not of the collection.
"""


def write(path: pathlib.Path, line: dict) -> None:
    # One write of less than a page to a file opened for appending: workers never mix their lines.
    with open(path, "a", encoding="utf-8") as handle:
        handle.write(json.dumps(line, sort_keys=True, default=str) + "\n")


def count_modules(path: pathlib.Path) -> None:
    """From now on every module call of this process and of its workers is written down."""
    original = ActionBase._execute_module

    @functools.wraps(original)
    def counting(self, module_name=None, *args, **kwargs):
        host = (kwargs.get("task_vars") or {}).get("inventory_hostname", "?")
        name = module_name or self._task.action
        write(
            path,
            {
                "kind": "module",
                "host": host,
                "task": self._task.get_name(),
                "module": name,
            },
        )
        return original(self, module_name, *args, **kwargs)

    ActionBase._execute_module = counting


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook) -> None:
        directory = pathlib.Path(os.environ["ACCEL_STEPS_DIR"])
        directory.mkdir(parents=True, exist_ok=True)
        mode = "check" if context.CLIARGS.get("check") else "run"
        number = len(list(directory.glob("*.jsonl"))) + 1
        self.path = directory / f"{number:02d}-{mode}-{pathlib.Path(playbook._file_name).stem}.jsonl"
        self.path.touch()
        count_modules(self.path)

    def v2_runner_on_ok(self, result) -> None:
        self._note(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False) -> None:
        self._note(result, "failed")

    def v2_runner_on_unreachable(self, result) -> None:
        self._note(result, "unreachable")

    def _note(self, result, outcome: str) -> None:
        task, data = result._task, result._result
        role = task._role.get_name() if task._role else None
        for item in data["results"] if task.loop and "results" in data else [data]:
            line = {
                "kind": "result",
                "host": result._host.get_name(),
                "role": role,
                "task": task.get_name(),
                "action": task.action,
                "outcome": outcome,
                "changed": bool(item.get("changed")),
                "skipped": bool(item.get("skipped")),
                "item": item.get("item"),
                "actions": item.get("actions"),
                "diff": item.get("diff"),
            }
            write(self.path, line)
