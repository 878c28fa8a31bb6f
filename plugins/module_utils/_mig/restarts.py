# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units that name MIG devices and were started before these changed (live_node rules 25 and 28). PRIVATE.

Whether a restart is owed is read from the node at each run: when MIG devices changed last, against when systemd started
the unit. So neither an interrupted run nor a restart by hand is missed.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._boot import boot_id
from .._data.holders import IGNORED
from .._errors import WishError
from .._files import Files
from .._holders.objects import ResetGpu, ResetSet, StopHolder
from .._problems import Problems
from .._shape import sequence, shown, text
from .model import CreateComputeInstance, DestroyComputeInstance, SetMigMode, Step

# Not in /var/lib: what it says ends with the boot, and so does the file.
PATH = "/run/accel-gpu/mig-devices.json"
VERSION = 1
PROPERTIES = ("Id", "Names", "ActiveState", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
# Steps after which MIG devices are others than before.
_DEVICE_STEPS = (SetMigMode, ResetGpu, ResetSet, CreateComputeInstance, DestroyComputeInstance)
# A unit in one of these runs with no device in hand.
_AT_REST = ("inactive", "failed", "deactivating")
_UNIT = re.compile(r"[A-Za-z0-9:_\\][A-Za-z0-9:_.\\@-]*")
_SUFFIXES = (".service", ".socket", ".target", ".timer", ".path", ".scope", ".slice")


@dataclass(frozen=True)
class Unit:
    """`started` is when its main process began, in microseconds of CLOCK_MONOTONIC; `names` has its aliases."""

    name: str
    names: t.FrozenSet[str]
    running: bool
    started: int


@dataclass(frozen=True)
class Notified:
    """The units to be notified. `changed`: when MIG devices of this boot changed last, same clock; None: not yet."""

    units: t.Tuple[Unit, ...] = ()
    changed: t.Optional[int] = None


def parse(value: t.Any, address: str) -> t.Tuple[str, ...]:
    """Names of units, `.service` added where a name has no type. Raises WishError that names every wrong place."""
    problems = Problems()
    names: t.List[str] = []
    for number, entry in enumerate(sequence([] if value is None else value, address, "a list of systemd units")):
        with problems.caught():
            names.append(_name(entry, f"{address}[{number}]"))
    problems.raise_any()
    return tuple(dict.fromkeys(names))


def _name(value: t.Any, address: str) -> str:
    name = text(value, address, "a systemd unit such as nvidia-dcgm.service")
    if not _UNIT.fullmatch(name):
        raise WishError(f"{address}: {shown(name)} is no name of a unit; give one such as nvidia-dcgm.service")
    if any(re.split("[.@]", name)[0] == unit.partition(".")[0] for unit in IGNORED):
        raise WishError(f"{address}: {name} ends running jobs when it stops; remove it from the list")
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def units_of(shown_: str, wanted: t.Sequence[str]) -> t.Tuple[Unit, ...]:
    """The wanted units from `systemctl show` of PROPERTIES; what systemd does not know is at rest."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown_.split("\n\n")]
    found = []
    for name in wanted:
        block = next((one for one in blocks if name in _names(one)), {})
        started = _time(block, PROPERTIES[3]) or _time(block, PROPERTIES[4])
        running = block.get("ActiveState", "inactive") not in _AT_REST
        found.append(Unit(name, frozenset(_names(block)) | {name}, running, started))
    return tuple(found)


def _names(block: t.Mapping[str, str]) -> t.List[str]:
    return [block.get("Id", ""), *block.get("Names", "").split()]


def _time(block: t.Mapping[str, str], key: str) -> int:
    value = block.get(key, "")
    return int(value) if value.isdigit() else 0


def changes_devices(step: Step) -> bool:
    return isinstance(step, _DEVICE_STEPS)


def required(notified: Notified, steps: t.Sequence[Step] = (), changes: bool = False) -> t.List[str]:
    """Units that name old MIG devices: now, or, with `steps` that are planned, after them.

    `changes`: devices are others than before whatever the steps are (an interrupted run). A unit that is stopped and
    started again for the steps owes nothing afterwards.
    """
    changes = changes or any(map(changes_devices, steps))
    stopped = {step.unit for step in steps if isinstance(step, StopHolder)}
    return [
        unit.name
        for unit in notified.units
        if unit.running and not unit.names & stopped and (changes or unit.started < (notified.changed or 0))
    ]


def last_change(files: Files) -> t.Optional[int]:
    """When MIG devices changed last in this boot, in microseconds of CLOCK_MONOTONIC."""
    document = files.read_json(PATH)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        return None
    changed = document.get("changed")
    return changed if document.get("boot_id") == boot_id(files) and isinstance(changed, int) else None


def remember(files: Files, changed: int) -> None:
    files.write_json(PATH, {"version": VERSION, "boot_id": boot_id(files), "changed": changed})
