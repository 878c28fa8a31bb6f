# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners and modes of the driver's device files across a reset or a reload of the driver. PRIVATE to the collection.

nvidia-modprobe makes these files, and where it runs and finds them otherwise it sets them as the driver says
(nvidia-modprobe-utils.c of NVIDIA/nvidia-modprobe). What an administrator, a udev rule or systemd-tmpfiles has set is
lost then (live_node rule 14). So it is written down before and set again after, by the next run where this one dies.

Only what fell back to the driver's own values is set again: anything else was set by somebody since, who has the word.
What the driver itself had set comes with the driver, and with its parameters. The files of MIG instances are left out,
for the file of one may belong to another one afterwards.
"""

from __future__ import annotations

import re
import typing as t

from .._boot import boot_id
from .._errors import AccelError

if t.TYPE_CHECKING:
    from types import TracebackType

    from .._files import Access, Files
    from .._ports import Ports

PATH = "/var/lib/accel-gpu/mig/devices.json"
VERSION = 1
PARAMETERS = "/proc/driver/nvidia/params"
GPUS = "/proc/driver/nvidia/gpus"
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
_DEFAULTS = {"DeviceFileUID": 0, "DeviceFileGID": 0, "DeviceFileMode": 0o666}
_NUMBER = re.compile(r"^(\w+): *(\d+)$", re.MULTILINE)  # modes are decimal too
_MINOR = re.compile(r"^Device Minor:\s*(\d+)$", re.MULTILINE)


class DeviceFile(t.NamedTuple):
    """`access` is what the file has, `driver` what the driver wants of it: uid, gid, mode. `gpu` is the PCI address of
    the GPU whose file it is; empty: none's, or unknown."""

    access: Access
    driver: Access
    gpu: str = ""


Found = t.Mapping[str, DeviceFile]  # by path


class DeviceFiles:
    """A context: entered before the driver is touched, left as the last thing of all, for NVML and daemons that start
    let nvidia-modprobe run. Nothing here makes a change fail: `told` are sentences for what is set again, `lost` for
    what is not; where the change fails they are added to its message."""

    def __init__(self, ports: Ports) -> None:
        self._files = ports.files
        self._log = ports.log
        self.told: t.List[str] = []
        self.lost: t.List[str] = []
        self._before: Found = {}

    def __enter__(self) -> DeviceFiles:
        try:
            # What is not the driver's now is younger than what a run that died wrote down.
            self._before = {**stored(self._files), **set_by_others(found(self._files))}
            write(self._files, self._before)
        except (AccelError, OSError) as error:
            self.lost.append(f"access to device files could not be written down: {_why(error)}")
        return self

    def __exit__(
        self,
        _kind: t.Optional[t.Type[BaseException]],
        error: t.Optional[BaseException],
        _trace: t.Optional[TracebackType],
    ) -> None:
        try:
            self._back()
        except (AccelError, OSError) as failure:
            self.lost.append(f"access to device files could not be set again: {_why(failure)}")
        for text in (*self.told, *self.lost):
            self._log(text)
        if self.lost and isinstance(error, AccelError):
            error.message = "; ".join([error.message, *self.lost])

    def _back(self) -> None:
        """Without a driver all waits for the next run."""
        before = self._before
        if not before or not self._files.exists(PARAMETERS):
            return
        now = found(self._files)
        for path in sorted(before):
            why = stays(before[path], now.get(path))
            if why is None:
                self._set(path, before[path].access)
            elif why:
                self.lost.append(f"{path} had {_has(before[path].access)} before and {why}")
        forget(self._files)

    def _set(self, path: str, access: Access) -> None:
        try:
            self._files.set_access(path, access)
        except OSError as error:
            self.lost.append(f"{path} had {_has(access)} before and could not be set so again: {error.strerror}")
        else:
            self.told.append(f"{path} has {_has(access)} again")


def set_by_others(seen: Found) -> t.Dict[str, DeviceFile]:
    """Those that somebody else than the driver has set. Pure."""
    return {path: one for path, one in seen.items() if one.access != one.driver}


def stays(before: DeviceFile, now: t.Optional[DeviceFile]) -> t.Optional[str]:
    """Why a file stays as it is: a reason to be told, "" where it has what it had. None: it fell back. Pure."""
    if now is None:
        return "is not there any more"
    if now.gpu != before.gpu:
        return f"belongs to another GPU since ({now.gpu or 'none'} instead of {before.gpu or 'none'})"
    if now.access == before.access:
        return ""
    if now.access != now.driver:
        return f"somebody has set {_has(now.access)} since"
    if now.driver != before.driver:
        return f"stays as the driver wants it since: {_has(now.access)}"
    return None


def found(files: Files) -> t.Dict[str, DeviceFile]:
    """The driver's device files that are there; none without a driver."""
    if not files.exists(PARAMETERS):
        return {}
    gpus = _gpus(files)
    seen = {}
    for folder, names, source in FAMILIES:
        if source and not files.exists(source):
            continue
        wanted = _wanted(files.read_text(source) if source else "")
        for name in files.names(folder):
            access = files.access(f"{folder}/{name}") if re.fullmatch(names, name) else None
            if access is not None:
                seen[f"{folder}/{name}"] = DeviceFile(access, wanted, gpus.get(name, ""))
    return seen


def _gpus(files: Files) -> t.Dict[str, str]:
    """PCI addresses by the name of the file: numbers are given anew when the driver is loaded."""
    texts = {pci: files.read_text(f"{GPUS}/{pci}/information") or "" for pci in files.names(GPUS)}
    minors = {pci: _MINOR.search(text) for pci, text in texts.items()}
    return {f"nvidia{minor.group(1)}": pci for pci, minor in minors.items() if minor}


def _wanted(text: t.Optional[str]) -> Access:
    """As nvidia-modprobe reads it: what is not told has a default. Pure."""
    told = {**_DEFAULTS, **{key: int(value) for key, value in _NUMBER.findall(text or "")}}
    return told["DeviceFileUID"], told["DeviceFileGID"], told["DeviceFileMode"]


def stored(files: Files) -> t.Dict[str, DeviceFile]:
    """What is written down. After a reboot nothing of it is true any more. Raises AccelError."""
    document = files.read_json(PATH)
    if document is None:
        return {}
    try:
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}, this collection knows {VERSION}")
        if document["boot_id"] != boot_id(files):
            return {}
        entries = document["files"].items()
        return {path: DeviceFile(_access(one["access"]), _access(one["driver"]), one["gpu"]) for path, one in entries}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{PATH} was not written by accel.gpu ({error!r}); compare /dev/nvidia* by hand, then remove the file"
        raise AccelError(message, path=PATH) from error


def _access(given: t.Sequence[int]) -> Access:
    uid, gid, mode = (int(one) for one in given)
    return uid, gid, mode


def write(files: Files, entries: Found) -> None:
    if entries:
        document = {path: one._asdict() for path, one in entries.items()}
        files.write_json(PATH, {"version": VERSION, "boot_id": boot_id(files), "files": document}, mode=0o600)
    else:
        forget(files)


def forget(files: Files) -> None:
    files.remove(PATH)


def _has(access: Access) -> str:
    return f"owner {access[0]}, group {access[1]} and mode {access[2]:04o}"


def _why(error: t.Union[AccelError, OSError]) -> str:
    return error.message if isinstance(error, AccelError) else f"{error.filename or PATH}: {error.strerror}"
