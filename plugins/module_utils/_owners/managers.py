# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is there another manager of this node's GPUs (live_node rule 3)? Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._data.managers import DRIVER_MOUNT, TOOLKIT_FILES, UNIT_DIRECTORIES, UNITS
from .._errors import ForeignManagerError
from .._files import Files


class Manager(t.NamedTuple):
    """`name` is whom to configure instead, `evidence` what was found."""

    name: str
    evidence: str


def probe(files: Files) -> t.Tuple[Manager, ...]:
    """All managers that show themselves, by files alone: no command is run."""
    found: t.List[Manager] = []
    if _mounted(files, DRIVER_MOUNT):
        found.append(Manager("GPU Operator's driver container", f"{DRIVER_MOUNT} is mounted"))
    for unit, name in UNITS:
        for path in _enabled(files, unit):
            found.append(Manager(name, f"{unit} is enabled ({path})"))
    for path in TOOLKIT_FILES:
        if files.exists(path):
            found.append(Manager("GPU Operator's toolkit", f"{path} exists"))
            break
    return tuple(found)


def refusal(found: t.Sequence[Manager], owned: str, remedy: str) -> t.Optional[ForeignManagerError]:
    """The error that names them all, or None if there is none. `owned` is what belongs to them, `remedy` what to do
    there: "the MIG geometry", "declare the geometry there"."""
    if not found:
        return None
    names = "; ".join(f"{manager.name}: {manager.evidence}" for manager in found)
    return ForeignManagerError(
        f"takeover=false: {owned} of this node belongs to another manager ({names}); {remedy}, or take it "
        "out of service, or set accel_gpu_takeover: true (takeover) to act beside it",
        managers=[manager._asdict() for manager in found],
    )


def _mounted(files: Files, directory: str) -> bool:
    lines = (files.read_text("/proc/self/mounts") or files.read_text("/proc/mounts") or "").splitlines()
    return any(line.split(" ")[1:2] == [directory] for line in lines)


def _enabled(files: Files, unit: str) -> t.Iterator[str]:
    for directory in UNIT_DIRECTORIES:
        for name in files.names(directory):
            path = f"{directory}/{name}/{unit}"
            if name.endswith((".wants", ".requires", ".upholds")) and files.exists(path):
                yield path
                return
