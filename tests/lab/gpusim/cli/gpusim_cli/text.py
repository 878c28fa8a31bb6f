# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `gpusim` prints: the node as a table, call counts, faults."""

from __future__ import annotations

import typing as t


def node(state: t.Dict[str, t.Any]) -> str:
    """The whole node: one line a GPU, below it one line for each instance and each process."""
    loaded = "" if state.get("loaded", True) else " (not loaded)"
    head = (
        f"driver {state.get('driver', '?')}{loaded}, boot {state.get('boot_count', '?')}, {len(state['gpus'])} GPU(s)"
    )
    rows = [("GPU", "NAME", "PCI", "UUID", "MIG")]
    below: t.Dict[int, t.List[str]] = {}
    for number, gpu in enumerate(state["gpus"], 1):
        rows.append((str(gpu["index"]), gpu["name"], gpu["pci"], gpu["uuid"], _mode(gpu["mig"])))
        below[number] = _below(gpu)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [head]
    for number, row in enumerate(rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        lines.extend(below.get(number, []))
    return "\n".join(lines)


def _mode(mig: t.Dict[str, bool]) -> str:
    if not mig["capable"]:
        return "no MIG"
    current, pending = ("on" if mig[key] else "off" for key in ("current", "pending"))
    return current if current == pending else f"{current} (pending {pending})"


def _below(gpu: t.Dict[str, t.Any]) -> t.List[str]:
    lines = []
    for instance in gpu["instances"]:
        place = instance["placement"]
        computes = ", ".join("{} {}".format(c["id"], c["profile"]) for c in instance["compute_instances"])
        where = f"at {place['start']}:{place['size']}"
        lines.append(f"     GI {instance['id']:<3} {instance['profile']:<16} {where}  CI: {computes or 'none'}")
    for process in gpu["processes"]:
        where = "".join(
            f" {word} {process[key]}" for word, key in (("GI", "gi"), ("CI", "ci")) if process[key] is not None
        )
        lines.append(f"     pid {process['pid']:<7} {process['kind']}{where}")
    return lines


def counts(answer: t.Dict[str, int]) -> str:
    """Functions that were called, most often first."""
    rows = sorted(answer.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join(f"{count:8}  {name}" for name, count in rows if count)


def faults(answer: t.Sequence[t.Dict[str, t.Any]]) -> str:
    """One line a fault, `key=value` words."""
    return "\n".join(" ".join("{}={}".format(*item) for item in fault.items()) for fault in answer)
