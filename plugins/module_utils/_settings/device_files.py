# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners and modes of the driver's device files across a reset or a reload of the driver. PRIVATE to the collection.

nvidia-modprobe makes these files, and wherever it runs and finds them otherwise it sets them as the driver says
(nvidia-modprobe-utils.c of NVIDIA/nvidia-modprobe). What an administrator, a udev rule or systemd-tmpfiles has set is
lost then (live_node rule 14). So it is written down before and set again after. What the driver itself has set is none
of this: it comes with the driver, and with its parameters. MIG instances are left out, for the file of one may belong
to another one afterwards.
"""

from __future__ import annotations

import re
import typing as t

from .._boot import boot_id
from .._errors import AccelError

if t.TYPE_CHECKING:
    from .._files import Access, Files

PATH = "/var/lib/accel-gpu/mig/devices.json"
PARAMETERS = "/proc/driver/nvidia/params"
# Files in /dev, and where the driver tells who may open them. Of nvidia-uvm it tells nothing, so that the defaults of
# nvidia-modprobe count: root, and everybody may.
FAMILIES: t.Tuple[t.Tuple[str, str, str], ...] = (
    ("/dev", r"nvidia(\d+|ctl|-modeset)", PARAMETERS),
    ("/dev", r"nvidia-uvm(-tools)?", ""),
    ("/dev", r"nvidia-nvlink", "/proc/driver/nvidia-nvlink/permissions"),
    ("/dev", r"nvidia-nvswitch(\d+|ctl)", "/proc/driver/nvidia-nvswitch/permissions"),
    ("/dev/nvidia-caps-imex-channels", r"channel\d+", PARAMETERS),
    # Those two capabilities of MIG that are no instance's have these numbers for good.
    ("/dev/nvidia-caps", "nvidia-cap1", "/proc/driver/nvidia/capabilities/mig/config"),
    ("/dev/nvidia-caps", "nvidia-cap2", "/proc/driver/nvidia/capabilities/mig/monitor"),
)
_DEFAULTS = {"DeviceFileUID": 0, "DeviceFileGID": 0, "DeviceFileMode": 0o666, "DeviceFileModify": 1}
_NUMBER = re.compile(r"^(\w+): *(\d+)$", re.MULTILINE)  # modes are decimal too

# What the driver wants of a file: uid, gid, mode, and 1 where nvidia-modprobe may set it again.
Own = t.Tuple[int, int, int, int]
# By path: `access` as it was found, `driver` as the driver wanted it then.
Entries = t.Dict[str, t.Dict[str, t.List[int]]]


class DeviceFiles:
    """`keep` before the driver is touched, `back` after. A process that dies in between leaves that to the next run."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def keep(self) -> None:
        # What differs from the driver now is younger than what an earlier run wrote down.
        _write(self._files, {**stored(self._files), **set_by_others(found(self._files))})

    def back(self) -> t.Tuple[t.List[str], t.List[str]]:
        """Sentences for what is set again, and for what is not. Without a driver all waits for the next run."""
        entries = stored(self._files)
        if not entries or not self._files.exists(PARAMETERS):
            return [], []
        told: t.List[str] = []
        lost: t.List[str] = []
        now = found(self._files)
        for path, entry in sorted(entries.items()):
            before = tuple(entry["access"])
            if path not in now:
                lost.append(f"{path} {_had(before)} before and is not there any more")
            elif now[path][0] == before:
                continue
            elif list(now[path][1]) != entry["driver"]:
                lost.append(f"{path} {_had(before)} before and stays as the driver has it since: {_has(now[path][0])}")
            else:
                self._set(path, before, told, lost)
        self.forget()
        return told, lost

    def forget(self) -> None:
        self._files.remove(PATH)

    def _set(self, path: str, access: Access, told: t.List[str], lost: t.List[str]) -> None:
        try:
            self._files.set_access(path, access)
        except OSError as error:
            lost.append(f"{path} {_had(access)} before and could not be set so again: {error.strerror}")
        else:
            told.append(f"{path} has {_has(access)} again")


def found(files: Files) -> t.Dict[str, t.Tuple[Access, Own]]:
    """The driver's device files that are there: as they are, and as the driver wants them."""
    wanted = _wanted(files)
    accesses = {path: files.access(path) for path in wanted}
    return {path: (access, wanted[path]) for path, access in accesses.items() if access is not None}


def set_by_others(seen: t.Mapping[str, t.Tuple[Access, Own]]) -> Entries:
    """Those that somebody else than the driver has set, or may have set because the driver leaves files alone. Pure."""
    return {
        path: {"access": list(access), "driver": list(own)}
        for path, (access, own) in seen.items()
        if access != own[:3] or not own[3]
    }


def _wanted(files: Files) -> t.Dict[str, Own]:
    if not files.exists(PARAMETERS):
        return {}
    return {
        f"{folder}/{name}": _own(files.read_text(source) if source else "")
        for folder, names, source in FAMILIES
        if not source or files.exists(source)
        for name in files.names(folder)
        if re.fullmatch(names, name)
    }


def _own(text: t.Optional[str]) -> Own:
    """As nvidia-modprobe reads it: what is not told has a default. Pure."""
    told = {key: int(value) for key, value in _NUMBER.findall(text or "")}
    told.setdefault("DeviceFileModify", told.get("ModifyDeviceFiles", 1))  # params calls it otherwise
    uid, gid, mode, modify = ({**_DEFAULTS, **told}[key] for key in _DEFAULTS)
    return uid, gid, mode, modify


def stored(files: Files) -> Entries:
    """What is kept. After a reboot nothing of it is true any more."""
    document = files.read_json(PATH)
    if document is None:
        return {}
    try:
        return dict(document["files"]) if document["boot_id"] == boot_id(files) else {}
    except (KeyError, TypeError) as error:
        raise AccelError(f"{PATH} was not written by accel.gpu; remove it", path=PATH) from error


def _write(files: Files, entries: Entries) -> None:
    if entries:
        files.write_json(PATH, {"boot_id": boot_id(files), "files": entries}, mode=0o600)
    else:
        files.remove(PATH)


def _had(access: t.Sequence[int]) -> str:
    return f"had {_has(access)}"


def _has(access: t.Sequence[int]) -> str:
    return f"owner {access[0]}, group {access[1]} and mode {access[2]:04o}"
