# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What accel-gpu prints for a person. Pure. PRIVATE to the collection."""

from __future__ import annotations

import difflib
import typing as t

from .flow import Report

_HEADINGS = {
    "ok": "as wished",
    "changed": "changed",
    "differs": "differs from the wish",
    "owed": "something is owed",
    "refused": "refused, nothing was touched",
    "failed": "failed",
}


def report(result: Report) -> t.List[str]:
    """Heading, differences by object, then what is done about them and why."""
    lines = [f"{result.resident}: {_HEADINGS[result.status]}" + (f": {result.message}" if result.message else "")]
    lines += _difference(result.diff)
    lines += [f"  {_action(action)}" for action in result.actions]
    lines += [f"  owed: {entry['state']} {entry['object']}" for entry in result.owed]
    return lines


def boot(summary: t.Optional[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The last boot in one line and one for each resident."""
    if summary is None:
        return ["boot: the agent has not run since the node started"]
    told = f": {summary['message']}" if summary.get("message") else ""
    lines = [
        f"boot: {summary.get('status')} at {summary.get('finished')} (on failure: {summary.get('on_failure')}){told}"
    ]
    return lines + [f"  {entry['resident']}: {_HEADINGS[entry['status']]}" for entry in summary.get("residents") or ()]


def _difference(diff: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    before, after = diff.get("before") or {}, diff.get("after") or {}
    for key in sorted({*before, *after}):
        yield f"  {key}"
        yield from (f"    {line}" for line in _lines(before.get(key), after.get(key)))


def _lines(before: t.Any, after: t.Any) -> t.Iterator[str]:
    for line in difflib.ndiff(_as_lines(before), _as_lines(after)):
        if not line.startswith("?"):
            yield line


def _as_lines(value: t.Any) -> t.List[str]:
    if value is None:
        return []
    return [str(entry) for entry in value] if isinstance(value, (list, tuple)) else [str(value)]


def _action(action: t.Mapping[str, t.Any]) -> str:
    where = f" on {action['gpu']}" if action.get("gpu") else ""
    return f"{action.get('action')} {action.get('object')}{where}: {action.get('reason')}"
