# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge the recorded steps of one scenario: check → converge → idempotence → check.

    judge.py DIRECTORY…

A scenario fails if a step touched no host or failed, if the first check did not predict exactly what converge did, or
if one of the later steps still changes something. Changes are compared as (host, role, task, object); actions and diffs
are compared as well. Check mode cannot see behind a step that it did not take, so a role that deferred something may do
more than it foretold, and on its host a task that changes nothing may tell of more that it left alone.
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

SEQUENCE = ("check", "run", "run", "check")
NAMES = ("first check", "converge", "idempotence", "last check")
# Actions that stay on the control node: a step made only of these has touched no host.
LOCAL = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "ansible.builtin.", "ansible.legacy.")
    for name in (
        "assert",
        "debug",
        "fail",
        "include_role",
        "include_tasks",
        "include_vars",
        "meta",
        "pause",
        "set_fact",
    )
) | {"ansible.builtin.validate_argument_spec", "validate_argument_spec"}

Line = dict[str, t.Any]


def results(path: pathlib.Path) -> list[Line]:
    lines = (json.loads(text) for text in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["kind"] == "result" and not line["skipped"]]


def judge(directory: pathlib.Path, playbook: str = "converge") -> list[str]:
    """What is wrong with this scenario; empty when nothing is."""
    files = [path for path in sorted(directory.glob("*.jsonl")) if path.stem.split("-", 2)[2] == playbook]
    modes = tuple(path.stem.split("-", 2)[1] for path in files)
    if modes != SEQUENCE:
        return [f"the steps of {playbook} are {' → '.join(modes) or 'none'}, wanted {' → '.join(SEQUENCE)}"]
    steps = [results(path) for path in files]
    problems = [f"{name}: {text}" for name, step in zip(NAMES, steps) for text in untouched_or_failed(step)]
    problems += prediction(steps[0], steps[1])
    for name, step in zip(NAMES[2:], steps[2:]):
        problems += [f"{name}: still changes {show(change)}" for change in sorted(changes(step), key=str)]
    return problems


def untouched_or_failed(step: t.Sequence[Line]) -> t.Iterator[str]:
    if not any(line["action"] not in LOCAL for line in step):
        yield "touched no host"
    for line in step:
        if line["outcome"] != "ok":
            yield f'{line["host"]}: task "{line["task"]}" {line["outcome"]}'


def prediction(check: t.Sequence[Line], run: t.Sequence[Line]) -> t.Iterator[str]:
    foretold, done = changes(check), changes(run)
    tasks = deferring(check)
    roles, hosts = {task[:2] for task in tasks}, {task[0] for task in tasks}
    for change in sorted(foretold - done, key=str):
        if change[:3] not in tasks:
            yield f"first check: predicted what converge did not do: {show(change)}"
    for change in sorted(done - foretold, key=str):
        if change[:2] not in roles:  # a handler of the role belongs to the task that deferred
            yield f"first check: did not predict {show(change)}"
    before, after = by_task(check), by_task(run)
    for key in sorted(set(before) & set(after), key=str):
        still = not (before[key]["changed"] or after[key]["changed"])
        if key[:2] in roles or (still and key[0] in hosts):
            continue
        for part in ("actions", "diff"):
            if before[key][part] != after[key][part]:
                both = f"  {before[key][part]}\n  {after[key][part]}"
                yield f"first check: {part} of {show(key)} differ from converge's:\n{both}"


def changes(step: t.Sequence[Line]) -> set[tuple[t.Any, ...]]:
    """(host, role, task, object) of everything that changed; the object is None for tasks without actions."""
    found: set[tuple[t.Any, ...]] = set()
    for line in step:
        if line["changed"]:
            found.update((line["host"], line["role"], line["task"], name) for name in objects(line))
    return found


def objects(line: Line) -> list[str | None]:
    named = [
        f"{a.get('gpu', '')} {a.get('action')} {a.get('object', '')}".strip()
        for a in line["actions"] or []
        if isinstance(a, dict)
    ]
    return list(named) or [None if line["item"] is None else str(line["item"])]


def deferring(step: t.Sequence[Line]) -> set[tuple[t.Any, ...]]:
    """(host, role, task)"""
    return {
        (line["host"], line["role"], line["task"])
        for line in step
        if any(isinstance(a, dict) and a.get("action") == "deferred" for a in line["actions"] or [])
    }


def by_task(step: t.Sequence[Line]) -> dict[tuple[t.Any, ...], Line]:
    return {(line["host"], line["role"], line["task"]): line for line in step if line["item"] is None}


def show(change: t.Sequence[t.Any]) -> str:
    return " / ".join(str(part) for part in change if part is not None)


def main(arguments: t.Sequence[str]) -> int:
    failed = 0
    for name in arguments:
        problems = judge(pathlib.Path(name))
        failed += bool(problems)
        print(f"{'FAILED' if problems else 'ok    '} {pathlib.Path(name).name}")
        for problem in problems:
            print(f"    {problem}")
    if not arguments:
        print("judge.py: no scenario was given", file=sys.stderr)
    print(f"steps: {len(arguments) - failed} passed, {failed} failed")
    return 1 if failed or not arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
