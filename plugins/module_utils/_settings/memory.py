# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was set on GPUs in this boot and since this load of the driver. PRIVATE to the collection.

NVML reads no locked clock back, and hardware may round other values, so what was wished and what came of it is
remembered. All of it is void after a reboot and after the driver was loaded again, for then the settings are gone too.
"""

from __future__ import annotations

import typing as t

from .._boot import boot_id
from .._files import Files
from .model import Memory, Remembered

PATH = "/var/lib/accel-gpu/settings/set.json"
VERSION = 1


def read(files: Files, load: str) -> t.Dict[str, t.Dict[str, Remembered]]:
    """What is remembered; `load` names the load of the driver. A file that is something else is as good as none."""
    document = files.read_json(PATH)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        return {}
    if (document.get("boot_id"), document.get("load")) != (boot_id(files), load):
        return {}
    return {
        uuid: {name: Remembered(entry["wished"], entry["found"]) for name, entry in settings.items()}
        for uuid, settings in document["gpus"].items()
    }


def forget(files: Files, load: str, uuid: str, settings: t.Collection[str]) -> None:
    """These are not set any more."""
    if settings:
        known = read(files, load)
        known[uuid] = {name: one for name, one in known.get(uuid, {}).items() if name not in settings}
        write(files, load, known)


def write(files: Files, load: str, memory: Memory) -> None:
    gpus = {
        uuid: {name: one.__dict__ for name, one in settings.items()} for uuid, settings in memory.items() if settings
    }
    if gpus:
        document = {"version": VERSION, "boot_id": boot_id(files), "load": load, "gpus": gpus}
        files.write_json(PATH, document, mode=0o644)
    else:
        files.remove(PATH)
