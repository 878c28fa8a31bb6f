# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the remote tasks of recorded no-change runs with budget.yml.

    budget.py DIRECTORY…

A directory has the steps of one scenario (see tests/steps/judge.py); its last run of converge is the one that changes
nothing. A remote task is one that ran at least one module on the node; hidden calls of action plugins count (see
tests/steps/callback/record.py).
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import yaml

Line = t.Dict[str, t.Any]
Counts = t.Dict[str, t.Dict[str, int]]


def limits() -> t.Dict[str, int]:
    """role → remote tasks a host; "site" stands for tasks outside roles."""
    text = (pathlib.Path(__file__).parent / "budget.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["remote_tasks"])


def read(path: pathlib.Path) -> t.List[Line]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def remote_tasks(lines: t.Sequence[Line]) -> Counts:
    """host → role → number of remote tasks."""
    roles = {(line["host"], line["task"]): line["role"] for line in lines if line["kind"] == "result"}
    counts: Counts = {}
    for host, task in {(line["host"], line["task"]) for line in lines if line["kind"] == "module"}:
        role = (roles.get((host, task)) or "site").split(".")[-1]
        of_host = counts.setdefault(host, {})
        of_host[role] = of_host.get(role, 0) + 1
    return counts


def over(counts: Counts) -> t.List[str]:
    """One sentence for each breach."""
    allowed = limits()
    return [
        f"{host}: {role} needs {number} remote tasks, budget.yml allows {allowed.get(role, 0)}"
        for host, roles in sorted(counts.items())
        for role, number in sorted(roles.items())
        if number > allowed.get(role, 0)
    ]


def judge(directory: pathlib.Path) -> t.List[str]:
    """Prints what each host needs; answers what is wrong with it."""
    records = sorted(directory.glob("*-run-converge.jsonl"))
    counts = remote_tasks(read(records[-1])) if records else {}
    told = [f"{host} {sum(roles.values())}" for host, roles in sorted(counts.items())]
    print(f"remote tasks a host, {directory.name}: {', '.join(told) or 'no host ran a module'}")
    return list(over(counts)) if counts else [f"{directory.name}: no host ran a module"]


def main(arguments: t.Sequence[str]) -> int:
    if not arguments:
        print("budget.py: give the folders of recorded steps", file=sys.stderr)
        return 2
    breaches = [breach for name in arguments for breach in judge(pathlib.Path(name))]
    for breach in breaches:
        print(f"over budget: {breach}")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
