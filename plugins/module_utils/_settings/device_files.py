# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners and modes of the driver's device files across a reset or a reload of the driver. PRIVATE to the collection.

nvidia-modprobe makes these files, and where it runs and finds them otherwise it sets them as the driver says
(nvidia-modprobe-utils.c of NVIDIA/nvidia-modprobe). What an administrator, a udev rule or systemd-tmpfiles has set is
lost then (live_node rule 14). So it is written down before and set again after, by the next change where this one dies.

Only what fell back to the driver's own values is set again: whatever else a file has was set since, and counts. What
the driver itself had set comes with the driver, and with its parameters. The files of MIG instances are left out, for
the file of one may belong to another one afterwards.
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
)
# Capabilities that are no MIG instance's (nv-caps.c of NVIDIA/open-gpu-kernel-modules); each file tells its number.
CAPABILITIES = (
    "/proc/driver/nvidia/capabilities/mig/config",
    "/proc/driver/nvidia/capabilities/mig/monitor",
    "/proc/driver/nvidia/capabilities/fabric-imex-mgmt",
    "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt",
)
_NUMBER = re.compile(r"^(\w+): *(\d+)$", re.MULTILINE)  # modes are decimal too
_MINOR = re.compile(r"^Device Minor:\s*(\d+)$", re.MULTILINE)
_HIGHEST = 2**32  # of uid_t and gid_t, and more than a mode has


class DeviceFile(t.NamedTuple):
    """`access` is what the file has, `driver` what the driver wants of it: uid, gid, mode; with `fixed` nvidia-modprobe
    leaves it alone all the same. `gpu` is the PCI address of the GPU whose file it is; empty: none's, or unknown."""

    access: Access
    driver: Access
    fixed: bool = False
    gpu: str = ""


Found = t.Mapping[str, DeviceFile]  # by path


class DeviceFiles:
    """A context: entered before the driver is touched, left as the last thing of all, for NVML and daemons that start
    let nvidia-modprobe run. `back` may be called before that too, so that a run which dies later leaves little undone.

    Nothing here makes a change fail: `told` are sentences for what is set again, `lost` for what is not; where the
    change fails they are added to its message. `unfinished`: the change is not over, so that the next run may still
    bring back what this one could not.
    """

    def __init__(self, ports: Ports) -> None:
        self._files = ports.files
        self._log = ports.log
        self.told: t.List[str] = []
        self.lost: t.List[str] = []
        self.unfinished = False
        self._unwritten: t.List[str] = []
        self._before: t.Dict[str, DeviceFile] = {}

    def __enter__(self) -> DeviceFiles:
        try:
            self._before = set_by_others(found(self._files))
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
        unfinished = self.unfinished or (isinstance(error, AccelError) and error.facts.get("restored") is False)
        self._bring_back(keep=unfinished)
        for text in (*self.told, *self.lost):
            self._log(text)
        if isinstance(error, AccelError):
            error.message = "; ".join([error.message, *(one for one in self.lost if one not in error.message)])

    def drop(self) -> None:
        """The driver is gone for good, and with it who may open what."""
        self._before = {}
        self.back()

    def back(self) -> None:
        """What cannot be set again stays written down: the change goes on."""
        self._bring_back(keep=True)

    def _bring_back(self, keep: bool) -> None:
        """Without a driver all waits for the next run."""
        self.lost = list(self._unwritten)
        try:
            if self._before and not self._files.exists(PARAMETERS):
                return
            now = found(self._files) if self._before else {}
            left = {path: one for path, one in sorted(self._before.items()) if not self._settled(path, one, now)}
            if not self._unwritten:  # else the file is not ours, or there is none
                write(self._files, left if keep else {})
        except (AccelError, OSError) as failure:
            self.lost.append(f"what is known of access to device files could not be settled: {_why(failure)}")

    def _settled(self, path: str, before: DeviceFile, now: Found) -> bool:
        why = stays(before, now.get(path))
        if why is None:
            try:
                self._files.set_access(path, before.access)
            except OSError as error:
                why = f"could not be set so again: {error.strerror}"
            else:
                told = f"{path} has {_has(before.access)} again"
                self.told += [] if told in self.told else [told]
        if why:
            self.lost.append(f"{path} had {_has(before.access)} before and {why}")
        return not why


def set_by_others(seen: Found) -> t.Dict[str, DeviceFile]:
    """Those that somebody else than the driver has set. Pure."""
    return {path: one for path, one in seen.items() if one.access != one.driver}


def stays(before: DeviceFile, now: t.Optional[DeviceFile]) -> t.Optional[str]:
    """Why a file stays as it is: a reason to be told, "" where it has what it had. None: it fell back. Pure."""
    if now is None:
        return "is not there any more"
    if now.gpu != before.gpu:
        return f"belongs to GPU {now.gpu} since" if now.gpu else f"GPU {before.gpu} has another one, or none, since"
    if now.access == before.access:
        return ""
    if now.access != now.driver or now.fixed:
        return f"has {_has(now.access)} since"
    if now.driver != before.driver:
        return f"stays as the driver wants it since: {_has(now.access)}"
    return None


def found(files: Files) -> t.Dict[str, DeviceFile]:
    """The driver's device files that are there; none without a driver."""
    if not files.exists(PARAMETERS):
        return {}
    gpus = _gpus(files)
    seen = {}
    for path, source in _paths(files):
        access = files.access(path)
        if access is not None:
            seen[path] = DeviceFile(access, *_wanted(_numbers(files, source)), gpus.get(path, ""))
    return seen


def _paths(files: Files) -> t.Iterator[t.Tuple[str, str]]:
    """Files that may be the driver's, and where it tells who may open them."""
    for folder, names, source in FAMILIES:
        if not source or files.exists(source):
            yield from ((f"{folder}/{name}", source) for name in files.names(folder) if re.fullmatch(names, name))
    for source in CAPABILITIES:
        number = _numbers(files, source).get("DeviceFileMinor")
        if number is not None:
            yield f"/dev/nvidia-caps/nvidia-cap{number}", source


def _gpus(files: Files) -> t.Dict[str, str]:
    """PCI addresses by the path of the file: numbers are given anew when the driver is loaded."""
    texts = {pci: files.read_text(f"{GPUS}/{pci}/information") or "" for pci in files.names(GPUS)}
    minors = {pci: _MINOR.search(text) for pci, text in texts.items()}
    return {f"/dev/nvidia{minor.group(1)}": pci for pci, minor in minors.items() if minor}


def _numbers(files: Files, path: str) -> t.Dict[str, int]:
    text = files.read_text(path) if path else ""
    return {key: int(value) for key, value in _NUMBER.findall(text or "")}


def _wanted(told: t.Mapping[str, int]) -> t.Tuple[Access, bool]:
    """As nvidia-modprobe reads it: what is not told has a default. Pure."""
    access = told.get("DeviceFileUID", 0), told.get("DeviceFileGID", 0), told.get("DeviceFileMode", 0o666)
    # The file of parameters has another word for it.
    return access, not told.get("DeviceFileModify", told.get("ModifyDeviceFiles", 1))


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
            path: DeviceFile(_access(one["access"]), _access(one["driver"]), bool(one["fixed"]), str(one["gpu"]))
            for path, one in document["files"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        message = f"{PATH} was not written by accel.gpu ({error!r}); compare /dev/nvidia* by hand, then remove the file"
        raise AccelError(message, path=PATH) from error


def _access(given: t.Sequence[int]) -> Access:
    uid, gid, mode = (int(one) for one in given)
    if not all(0 <= one < _HIGHEST for one in (uid, gid, mode)):
        raise ValueError(f"{given} is no owner, group and mode")
    return uid, gid, mode


def write(files: Files, entries: Found) -> None:
    if entries:
        document = {path: one._asdict() for path, one in entries.items()}
        files.write_json(PATH, {"version": VERSION, "boot_id": boot_id(files), "files": document}, mode=0o600)
    else:
        files.remove(PATH)


def _has(access: Access) -> str:
    return f"owner {access[0]}, group {access[1]} and mode {access[2]:04o}"


def _why(error: t.Union[AccelError, OSError]) -> str:
    return error.message if isinstance(error, AccelError) else f"{error.filename or PATH}: {error.strerror}"
