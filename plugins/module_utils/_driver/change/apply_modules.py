# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load, unload and reload the kernel modules of the driver. PRIVATE to the collection.

If one module cannot go, none goes (live_node rule 10). The kernel's counts of references tell it before the first one
goes, for after a change of packages the files on disk are those of another version: nvidia refuses its dependents of
another version, so what went could not come again while nvidia stays.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._data.driver_system import MODULES
from ..._errors import ApplyError, BlockedError
from ..._holders import apply as holders
from ..._holders.probe import lasting, openers
from ..look import probe_modules
from ..look.probe_files import line
from ..refused import Refused
from ..steps import LoadModules, ReloadModules

if t.TYPE_CHECKING:
    from ..._ports import Ports

# Large machines take long: each GPU is initialised in turn. Not a measured figure.
SECONDS = 180.0


def load(ports: Ports, step: LoadModules) -> None:
    """Raises ApplyError with the words of modprobe."""
    for name in step.unload:
        refused = _remove(ports, name)
        if refused:
            raise ApplyError(f"kernel module {name} is in the way and cannot be unloaded ({refused}); reboot the node")
    insert(ports, step.modules)


def reload(ports: Ports, step: ReloadModules) -> t.Tuple[t.Optional[Refused], t.Dict[str, str]]:
    """Why nothing was reloaded (None: it was), and a sentence for each unit or module that did not come again then.

    Where the modules go for good the units stay stopped: what opens a GPU as root has nvidia-modprobe load them again
    as long as the driver is on the disk. Raises ApplyError where all modules went and do not come again.
    """
    stopped: t.List[str] = []
    gone: t.List[str] = []
    lost: t.Dict[str, str] = {}
    refused: t.Optional[Refused] = None
    try:
        refused = (
            _stop_all(ports, step.stop, stopped) or _used(ports, step.unload) or _remove_all(ports, step.unload, gone)
        )
        if refused:
            refused = _by_whom(ports, refused)
            lost = _insert_again(ports, gone)
        else:
            insert(ports, step.load)
    finally:
        late = holders.start(ports, stopped if step.load or refused else ())
    return refused, {**lost, **late}


def _stop_all(ports: Ports, units: t.Sequence[str], stopped: t.List[str]) -> t.Optional[Refused]:
    for unit in units:
        # Also where stopping failed: it may be half-way down.
        stopped.append(unit)
        try:
            holders.stop(ports, unit)
        except BlockedError as error:
            return Refused(error.message, unit=unit)
    return None


def _used(ports: Ports, names: t.Sequence[str]) -> t.Optional[Refused]:
    """The outermost module that is used by somebody who is no module. What has a GPU open for a moment, as nvidia-smi
    has, lets go between the looks."""

    def look() -> t.List[str]:
        return [name for name in names if probe_modules.users(ports.files, name)]

    used = lasting(look(), look)
    name = next((one for one in names if one in used), "")
    return _stays(name, "in use, and not by other modules alone") if name else None


def _remove_all(ports: Ports, names: t.Sequence[str], gone: t.List[str]) -> t.Optional[Refused]:
    for name in names:
        refused = _remove(ports, name)
        if refused:
            return _stays(name, refused)
        gone.append(name)
    return None


def _stays(name: str, why: str) -> Refused:
    return Refused(f"kernel module {name} cannot be unloaded ({why})", module=name)


def _insert_again(ports: Ports, gone: t.Sequence[str]) -> t.Dict[str, str]:
    """The last one first; a sentence for each that does not come."""
    lost = {}
    for name in reversed(gone):
        try:
            _check_version(ports, name)
            insert(ports, (name,))
        except ApplyError as error:
            lost[name] = f"kernel module {name} did not come again: {error.message}"
    return lost


def _check_version(ports: Ports, name: str) -> None:
    """nvidia refuses nvidia_modeset of another version by itself, and would take others that do not fit. Raises
    ApplyError."""
    loaded = line(ports.files, f"{probe_modules.SYS}/nvidia/version")
    if name == "nvidia" or name not in MODULES or loaded is None:
        return
    code, out, _err = ports.run(["modinfo", "-F", "version", name], timeout=SECONDS)
    on_disk = out.strip()
    if code == 0 and on_disk and on_disk != loaded:
        raise ApplyError(f"on disk is {on_disk}, and nvidia {loaded} stays in memory")


def _by_whom(ports: Ports, refused: Refused) -> Refused:
    """With those who have devices open although all units were stopped."""
    found = openers(ports.root, modules=True)
    who = ", ".join(f"{one.name} (PID {one.pid})" for one in found)
    why = f"{refused.why}; {who} has devices open" if found else refused.why
    return dataclasses.replace(refused, why=why, pids=tuple(one.pid for one in found))


def _remove(ports: Ports, name: str) -> str:
    """Empty, or why it stays. rmmod takes the name that the kernel knows: Debian's file is called nvidia-current, and
    its modprobe rules would take more than is meant."""
    if not ports.files.exists(f"/sys/module/{name}"):
        return ""
    code, out, err = ports.run(["rmmod", name], timeout=SECONDS)
    return "" if code == 0 else _said(out, err)


def insert_again(ports: Ports, names: t.Sequence[str]) -> t.List[str]:
    """What was in memory before an interrupted run, in so far as it has a file for the driver that is there now: a
    sentence for each that has none. Raises ApplyError where one has a file and does not come."""
    told: t.List[str] = []
    for name in names:
        # It minds install commands and aliases, as Debian has them for the driver's own modules.
        if ports.run(["modprobe", "--dry-run", "--quiet", name], timeout=SECONDS)[0] == 0:
            insert(ports, (name,))
        else:
            told.append(
                f"kernel module {name} was loaded before a run was interrupted and has no file for this driver and "
                "kernel; install what brings it, then load it"
            )
    return told


def insert(ports: Ports, names: t.Sequence[str]) -> None:
    """Raises ApplyError with the words of modprobe."""
    for name in names:
        code, out, err = ports.run(["modprobe", name], timeout=SECONDS)
        if code != 0:
            raise ApplyError(
                f"modprobe {name} ended with {code}: {_said(out, err)}; the kernel log (journalctl -k) says more",
                exit_code=code,
            )


def _said(out: str, err: str) -> str:
    return " ".join((err + " " + out).split()) or "no output"
