# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners and modes of the driver's device files across a reset or a reload of the driver. PRIVATE to the collection.

What an administrator, a udev rule or systemd-tmpfiles has set is lost then (live_node rule 14). So it is written down
before and set again after, by the next change where this one dies.

Only what fell back to the driver's own values is set again: whatever else a file has was set since, and counts. What
the driver itself had set comes with the driver, and with its parameters.
"""

from __future__ import annotations

import re
import typing as t

from .._boot import boot_id
from .._errors import AccelError
from .device_files import PARAMETERS, DeviceFile, Found, another, decided, found, has, set_by_others
from .kept import LOST, NOTED, TOLD

if t.TYPE_CHECKING:
    from types import TracebackType

    from .._files import Access, Files
    from .._ports import Ports

PATH = "/var/lib/accel-gpu/mig/devices.json"
VERSION = 1
GPUS = "/proc/driver/nvidia/gpus"
_NUMBERED = re.compile(r"/dev/nvidia\d+")
_MINOR = re.compile(r"/([^/\n]+)/information:Device Minor:\s*(\d+)$", re.MULTILINE)
# That file asks the GPU (nv-procfs.c of NVIDIA/open-gpu-kernel-modules), which may hang; so it is read by a program of
# its own, and only where the answer is needed.
_SECONDS = 20.0
_OWNERS = range(2**32 - 1)  # uid_t and gid_t; the last one means nobody
_MODES = range(0o10000)


class DeviceFiles:
    """A context: entered before the driver is touched, left as the last thing of all, for NVML and daemons that start
    let nvidia-modprobe run. `back` may be called before that too, so that a run which dies later leaves little undone.

    Nothing here makes a change fail: `told` are sentences for what is set again, `lost` for what is not, `noted` for
    files on which somebody else has decided since; where the change fails the last two are added to its message.
    `unfinished`: the change is not over, so that the next run may still bring back what this one could not. What is
    lost may be brought back by it in any case.
    """

    def __init__(self, ports: Ports) -> None:
        self._files = ports.files
        self._run = ports.run
        self._log = ports.log
        self.told: t.List[str] = []
        self.lost: t.List[str] = []
        self.noted: t.List[str] = []
        self.unfinished = False
        self._unwritten: t.List[str] = []
        self._before: t.Dict[str, DeviceFile] = {}
        self._gone = False

    def __enter__(self) -> DeviceFiles:
        try:
            self._before = self._of_gpus(set_by_others(found(self._files)))
            # What is not the driver's now is younger than what a run that died wrote down.
            self._before = {**stored(self._files), **self._before}
            write(self._files, self._before)
        except (AccelError, OSError) as error:
            self._unwritten.append(f"access to device files could not be written down: {_why(error)}")
        return self

    def __exit__(
        self,
        _kind: t.Optional[t.Type[BaseException]],
        error: t.Optional[BaseException],
        _trace: t.Optional[TracebackType],
    ) -> None:
        if self._gone and error is None:
            self._before = {}
            self._write({})
            return
        unfinished = self.unfinished or (isinstance(error, AccelError) and error.facts.get("restored") is False)
        self._bring_back(keep=unfinished)
        for text in (*self.told, *self.lost, *self.noted):
            self._log(text)
        if isinstance(error, AccelError):
            added = [one for one in (*self.lost, *self.noted) if one not in error.message]
            error.message = "; ".join([error.message, *added])

    def drop(self) -> None:
        """Where the change ends well the driver is gone for good, and with it who may open what."""
        self._gone = True

    def keep(self) -> None:
        """Before the driver is touched once more: a run that dies then owes all of it."""
        self._write(self._before)

    def back(self) -> None:
        """What cannot be set again stays written down: the change goes on."""
        self._bring_back(keep=True)

    def _write(self, entries: Found) -> None:
        if self._unwritten:
            return  # the file is not ours, or there is no room for one
        try:
            write(self._files, entries)
        except OSError as failure:
            self.noted.append(f"what is known of access to device files could not be written: {_why(failure)}")

    def _bring_back(self, keep: bool) -> None:
        """Without a driver all waits for the next run."""
        self.lost, self.noted = [], list(self._unwritten)
        try:
            if self._before and not self._files.exists(PARAMETERS):
                return
            now = found(self._files) if self._before else {}
            ends = {path: self._settle(path, one, now) for path, one in sorted(self._before.items())}
        except OSError as failure:
            self.lost.append(f"access to device files could not be set again: {_why(failure)}")
        else:
            stay = (LOST, NOTED) if keep else (LOST,)
            self._write({path: self._before[path] for path, end in ends.items() if end in stay})

    def _settle(self, path: str, before: DeviceFile, now: Found) -> str:
        had = f"{path} had {has(before.access)} before and"
        since = decided(before, now[path]) if path in now else None
        if since:
            self.noted.append(f"{had} {since}")
        if since is not None:
            return NOTED if since else TOLD
        why = self._set(path, before, path in now)
        if why:
            self.lost.append(f"{had} {why}")
        return LOST if why else TOLD

    def _set(self, path: str, before: DeviceFile, there: bool) -> str:
        """Why it could not be set; empty: it is."""
        if not there:
            return "is not there any more"
        why = another(before, self._gpus_now(), path) if before.gpu != "" else None
        if why:
            return why
        try:
            self._files.set_access(path, before.access)
        except OSError as error:
            return f"could not be set so again: {error.strerror}"
        told = f"{path} has {has(before.access)} again"
        self.told += [] if told in self.told else [told]
        return ""

    def _of_gpus(self, entries: t.Dict[str, DeviceFile]) -> t.Dict[str, DeviceFile]:
        """With the GPU that has it now for each numbered file: numbers are given anew when the driver is loaded."""
        numbered = [path for path in entries if _NUMBERED.fullmatch(path)]
        if not numbered:
            return entries
        gpus = self._gpus_now() or {}
        return {**entries, **{path: entries[path]._replace(gpu=gpus.get(path)) for path in numbered}}

    def _gpus_now(self) -> t.Optional[t.Dict[str, str]]:
        """PCI addresses by the path of the file. None: the driver gives no answer."""
        texts = [self._files.path(f"{GPUS}/{pci}/information") for pci in self._files.names(GPUS)]
        if not texts:
            return {}
        code, out, _err = self._run(["grep", "-H", "^Device Minor:", *texts], timeout=_SECONDS)
        return None if code else {f"/dev/nvidia{minor}": pci for pci, minor in _MINOR.findall(out)}


def unset(files: Files) -> t.List[str]:
    """Sentences for what is still to be set again. Raises AccelError where the file is none of ours."""
    return [
        f"{path} had {has(one.access)} before and has not again"
        for path, one in stored(files).items()
        if files.access(path) != one.access
    ]


def stored(files: Files) -> t.Dict[str, DeviceFile]:
    """What is written down. After a reboot nothing of it is true any more. Raises AccelError."""
    document = files.read_json(PATH)
    if document is None:
        return {}
    try:
        if document["boot_id"] != boot_id(files):
            return {}
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}, this collection knows {VERSION}")
        return {
            path: DeviceFile(_access(one["access"]), _access(one["driver"]), bool(one["fixed"]), one["gpu"])
            for path, one in document["files"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        message = f"{PATH} was not written by accel.gpu ({error!r}); compare /dev/nvidia* by hand, then remove the file"
        raise AccelError(message, path=PATH) from error


def _access(given: t.Sequence[int]) -> Access:
    uid, gid, mode = (int(one) for one in given)
    if uid not in _OWNERS or gid not in _OWNERS or mode not in _MODES:
        raise ValueError(f"{given} is no owner, group and mode")
    return uid, gid, mode


def write(files: Files, entries: Found) -> None:
    if entries:
        document = {path: one._asdict() for path, one in entries.items()}
        files.write_json(PATH, {"version": VERSION, "boot_id": boot_id(files), "files": document}, mode=0o600)
    else:
        files.remove(PATH)


def _why(error: t.Union[AccelError, OSError]) -> str:
    return error.message if isinstance(error, AccelError) else f"{error.filename or PATH}: {error.strerror}"
