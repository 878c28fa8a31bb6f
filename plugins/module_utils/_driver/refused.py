# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A reload that the kernel or systemd refused, remembered until the next boot. PRIVATE to the collection.

What keeps a module in memory (a console, for instance) does so at the next run too. Without the memory each run would
stop and start all units for nothing, and nobody would hear that only a reboot helps.
"""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from .._boot import boot_id
from .._errors import AccelError
from .._files import Files
from .record import FOLDER

PATH = f"{FOLDER}/refused.json"


@dataclass(frozen=True)
class Refused:
    """`why` in a sentence; `module` that stayed or `unit` that could not be stopped. `pids` had devices open after all
    units were stopped; none: the kernel itself, or somebody who cannot be seen."""

    why: str
    module: str = ""
    unit: str = ""
    pids: t.Tuple[int, ...] = ()


def remember(files: Files, refused: Refused) -> None:
    files.write_json(PATH, {"boot_id": boot_id(files), **dataclasses.asdict(refused)})


def forget(files: Files) -> None:
    files.remove(PATH)


def remembered(files: Files) -> t.Optional[Refused]:
    """That of this boot. A file that cannot be read says nothing."""
    try:
        found = files.read_json(PATH)
        if not isinstance(found, dict) or found["boot_id"] != boot_id(files):
            return None
        return Refused(found["why"], found["module"], found["unit"], tuple(found["pids"]))
    except (AccelError, OSError, KeyError, TypeError):
        return None


def stands(refused: Refused, openers: t.Collection[int], references: t.Optional[int], unit_active: bool) -> bool:
    """Whether the reason is still there. `openers` are PIDs with devices open, `references` those to the module that no
    module holds, None where the kernel does not tell. Pure."""
    if refused.unit:
        return unit_active
    if references == 0:
        return False
    return not refused.pids or bool(set(refused.pids) & set(openers))
