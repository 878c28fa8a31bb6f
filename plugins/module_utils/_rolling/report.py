# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of each host, as a document and as a table. Pure. PRIVATE to the collection.

A host's record is made by the playbook: {"batch": 2, "result": "going", "why": "...", "from": "580…", "to": "590…",
"marks": [{"phase": "drain", "at": seconds}, ...], "seconds": {"build": 12.1, "reload": 3.0}}. A mark is the end of its
phase; `seconds` are those that the module itself measured inside the phase install. `reboot_pending` says for what
other packages want a reboot of the node, `not_restored` what a reload took away and did not come back,
`restored_otherwise` what is otherwise since, or could not be known.
"""

from __future__ import annotations

import typing as t

from .model import FAILURES, GOING, OWING, WAITING

# The columns of the table, in the order of the work.
PHASES = ("download", "drain", "install", "build", "reload", "reboot", "reapply", "fabric", "verify", "restore")
# Measured by the module and by the role's reboot, inside of install.
_INSIDE = ("build", "reload", "reboot")
# Characters of a reason in the table; the document has all of it.
_LONGEST = 400

Record = t.Mapping[str, t.Any]


def mark(record: Record, phase: str, at: float, facts: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The record with the end of a phase written down, and with further facts."""
    marks = [*record.get("marks", ()), {"phase": phase, "at": at}]
    return {**record, **facts, "marks": marks}


def seconds(record: Record) -> t.Dict[str, float]:
    """How long each phase took; a phase that happened twice (verify before and after a restore) is summed up."""
    found: t.Dict[str, float] = {}
    marks = list(record.get("marks", ()))
    for before, now in zip(marks, marks[1:]):
        found[now["phase"]] = found.get(now["phase"], 0.0) + float(now["at"]) - float(before["at"])
    own = record.get("seconds") or {}
    for phase in _INSIDE:
        if own.get(phase) is not None and "install" in found:
            found[phase] = float(own[phase])
            found["install"] = max(0.0, found["install"] - found[phase])
    return {phase: round(found[phase], 1) for phase in PHASES if phase in found}


def failures(records: t.Mapping[str, Record], batch: t.Optional[int] = None) -> t.List[str]:
    """The hosts that count against the limit, in the given order.

    `batch` is the one in work: its hosts may still be going. A host of an earlier one that is going was lost.
    """
    return [
        host
        for host, record in records.items()
        if record.get("result", WAITING) in FAILURES
        and not (record["result"] == GOING and record.get("batch") == batch and batch is not None)
    ]


def owing(records: t.Mapping[str, Record]) -> t.List[str]:
    """The hosts that were passed over, each with why."""
    return [
        f"{host} ({record['result']})" for host, record in records.items() if record.get("result", WAITING) in OWING
    ]


def document(run: str, records: t.Mapping[str, Record]) -> t.Dict[str, t.Any]:
    """What is stored: plain JSON values."""
    return {"version": 1, "run": run, "failures": failures(records), "hosts": [_row(*one) for one in records.items()]}


def _row(host: str, record: Record) -> t.Dict[str, t.Any]:
    return {
        "host": host,
        "batch": record.get("batch"),
        "result": record.get("result", WAITING),
        "why": record.get("why", ""),
        "from": record.get("from"),
        "to": record.get("to"),
        "drained": bool(record.get("drained")),
        "reboot_pending": list(record.get("reboot_pending") or ()),
        "not_restored": list(record.get("not_restored") or ()),
        "restored_otherwise": list(record.get("restored_otherwise") or ()),
        "seconds": seconds(record),
    }


def table(records: t.Mapping[str, Record]) -> t.List[str]:
    """Lines for a person; phases that no host had are left out. Below stands why, for those for whom there is something
    to say."""
    rows = [_row(*one) for one in records.items()]
    phases = [phase for phase in PHASES if any(phase in row["seconds"] for row in rows)]
    cells = [["host", "batch", "result", "from", "to", *(f"{phase} s" for phase in phases)]]
    for row in rows:
        times = [f"{row['seconds'][phase]:.1f}" if phase in row["seconds"] else "-" for phase in phases]
        known = [str(row[key]) if row[key] else "-" for key in ("host", "batch", "result", "from", "to")]
        cells.append([*known, *times])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    return lines + [f"{row['host']}: {_why(row)}" for row in rows if _why(row)]


def _why(row: Record) -> str:
    drained = "it is still drained" if row["drained"] else ""
    # A failure says it already, as far as it is shown.
    lost = "; ".join(one for one in row["not_restored"] if one not in row["why"][:_LONGEST])
    lost = f"did not come back after the reload: {lost}" if lost else ""
    other = "; ".join(row["restored_otherwise"])
    short, lost, other = (_shortened(said) for said in (str(row["why"]), lost, other))
    pending = f"other packages want a reboot ({'; '.join(row['reboot_pending'])})" if row["reboot_pending"] else ""
    return "; ".join(filter(None, (short, lost, other, drained, pending)))


def _shortened(said: str) -> str:
    return said if len(said) <= _LONGEST else said[:_LONGEST] + "..."


def stop(records: t.Mapping[str, Record], max_failures: int, batch: t.Optional[int] = None) -> t.Optional[str]:
    """Why no further host begins, None where one may."""
    bad = failures(records, batch)
    if len(bad) <= max_failures:
        return None
    return f"{len(bad)} failed ({', '.join(bad)}), and max_failures is {max_failures}"
