# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who keeps GPUs open without being work? Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import shutil
import time
import typing as t

from .._data.architectures import architecture
from .._data.holders import FOR_SESSIONS, IGNORED, KERNEL_MODULES, STOPPABLE
from .._nvml.objects import Snapshot
from .objects import Holder, Holders

if t.TYPE_CHECKING:
    from .._ports import Ports

_DEVICE = re.compile(r"^/dev/nvidia(\d+)$")
# nvidiactl, nvidia-uvm, nvidia-modeset, nvidia-caps/... : nodes of the modules that belong to no single GPU.
_OF_MODULES = re.compile(r"^/dev/nvidia(ctl$|-)")
_DRM = re.compile(r"^(card|renderD)\d+$")
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")
_TIMEOUT = 20.0  # seconds for one systemctl
# A monitor that opens a GPU for a moment is no holder: an unknown one must be seen by each of these looks.
_LOOKS = 4
_PAUSE = 0.5  # seconds between two of them

Seen = t.TypeVar("Seen")


class Opener(t.NamedTuple):
    """A process with GPU device nodes open. `minors` are the numbers of /dev/nvidia<n>."""

    pid: int
    name: str
    unit: t.Optional[str]
    minors: t.Tuple[int, ...]


def probe(ports: Ports, snapshot: Snapshot, resets: t.Optional[t.Collection[str]] = None) -> Holders:
    """Holders of the node's GPUs. `resets` are the UUIDs of the GPUs that are to be reset; None: those whose MIG mode
    needs it.

    Processes that NVML lists are left out, because they are work and judged as such; so are we and our children.
    """
    seen = openers(ports.root, _workers(snapshot))
    known = _known(ports, seen, snapshot)
    stoppable = {unit for unit, _why in STOPPABLE}
    # One that has only GPUs without an answer open holds none of the others.
    unknown = [one for one in seen if one.unit not in stoppable and _holds_any(one, snapshot)]
    stay = lasting([one.pid for one in unknown], lambda: [one.pid for one in openers(ports.root, _workers(snapshot))])
    unknown = [opener for opener in unknown if opener.pid in stay]
    return Holders(
        known=known,
        unknown=(
            *(Holder(opener.name, pid=opener.pid, devices=_uuids(opener.minors, snapshot)) for opener in unknown),
            *_kernel_modules(ports.root, snapshot, resets),
        ),
        reset_reachable=_reset_reachable(ports.root),
    )


def lasting(seen: t.Iterable[Seen], look: t.Callable[[], t.Iterable[Seen]]) -> t.FrozenSet[Seen]:
    """Those of `seen` that some more looks see too, each after a pause. Without any left there is no more look."""
    left = frozenset(seen)
    for _look in range(_LOOKS - 1):
        if not left:
            break
        time.sleep(_PAUSE)
        left = left.intersection(look())
    return left


def _kernel_modules(root: str, snapshot: Snapshot, resets: t.Optional[t.Collection[str]]) -> t.Iterator[Holder]:
    """Modules that block the reset of a GPU."""
    if resets is None:
        resets = [gpu.uuid for gpu in snapshot.gpus if architecture(gpu.architecture).mode_needs_reset]
    devices = tuple(resets)
    for module, parameter, value in KERNEL_MODULES:
        path = os.path.join(root, "sys/module", module, "parameters", parameter)
        if devices and _read(path).strip() == value:
            yield Holder(f"kernel module {module} ({parameter}={value})", devices=devices)


def active_units(ports: Ports) -> t.Dict[str, t.Optional[int]]:
    """Main PID (None where there is none) of each stoppable unit that runs, in the order of stopping."""
    units = [unit for unit, _why in STOPPABLE]
    code, out, _err = ports.run(["systemctl", "show", "--property=Id,ActiveState,MainPID", *units], timeout=_TIMEOUT)
    if code != 0:
        return {}  # no systemd: then nothing was started as a unit, and open files tell the rest
    found: t.Dict[str, t.Optional[int]] = {}
    for block in out.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("ActiveState") in ("active", "activating", "reloading", "deactivating"):
            found[fields.get("Id", "")] = int(fields.get("MainPID") or 0) or None
    return {unit: found[unit] for unit in units if unit in found}


def openers(root: str, without: t.AbstractSet[int] = frozenset(), modules: bool = False) -> t.List[Opener]:
    """Processes with a /dev/nvidia<n> open, by PID. Needs root to see those of other users.

    `modules`: with any device node open that keeps one of NVIDIA's modules from being unloaded.
    """
    proc = os.path.join(root, "proc")
    ignored = (*IGNORED, *FOR_SESSIONS) if modules else IGNORED
    drm = _nvidias_drm(root) if modules else frozenset()
    found = []
    for pid in sorted(int(name) for name in _names(proc) if name.isdigit()):
        if pid in without or _is_ours(proc, pid):
            continue
        nodes = _open_files(os.path.join(proc, str(pid), "fd"))
        minors = _minors(nodes)
        holds = bool(minors) or (modules and any(_OF_MODULES.match(node) or node in drm for node in nodes))
        unit = unit_of(_read(os.path.join(proc, str(pid), "cgroup")))
        if holds and unit not in ignored:
            name = _read(os.path.join(proc, str(pid), "comm")).strip() or "unknown program"
            found.append(Opener(pid, f"{name} of {unit}" if unit else name, unit, minors))
    return found


def strangers(root: str, snapshot: Snapshot) -> t.List[Opener]:
    """Processes, those of stoppable units left out, with a /dev/nvidia<n> open that belongs to no GPU which answers."""
    stoppable = {unit for unit, _why in STOPPABLE}
    known = {gpu.minor for gpu in snapshot.gpus}
    return [one for one in openers(root) if one.unit not in stoppable and set(one.minors) - known]


def unit_of(cgroup: str) -> t.Optional[str]:
    """The systemd service that a /proc/<pid>/cgroup names, both cgroup versions."""
    for line in cgroup.splitlines():
        match = _UNIT.search(line.split(":", 2)[-1])
        if match:
            return match.group(1)
    return None


def _known(ports: Ports, seen: t.Sequence[Opener], snapshot: Snapshot) -> t.Tuple[Holder, ...]:
    found = []
    for unit, pid in active_units(ports).items():
        minors = sorted({minor for opener in seen if opener.unit == unit for minor in opener.minors})
        # Nothing seen open: it may still hold any GPU, for a device node is opened in a moment.
        found.append(Holder(unit, unit=unit, pid=pid, devices=_uuids(minors, snapshot)))
    return tuple(found)


def _workers(snapshot: Snapshot) -> t.Set[int]:
    found = {process.pid for gpu in snapshot.gpus for process in gpu.processes}
    for gpu in snapshot.gpus:
        for instance in gpu.mig.instances:
            found |= {process.pid for compute in instance.compute_instances for process in compute.processes}
    return found


def _uuids(minors: t.Iterable[int], snapshot: Snapshot) -> t.Tuple[str, ...]:
    wanted = set(minors)
    return tuple(gpu.uuid for gpu in snapshot.gpus if gpu.minor in wanted)


def _holds_any(opener: Opener, snapshot: Snapshot) -> bool:
    """Of the GPUs that answer, as far as these tell which device node is theirs."""
    return bool(_uuids(opener.minors, snapshot)) or any(gpu.minor is None for gpu in snapshot.gpus)


def _reset_reachable(root: str) -> bool:
    if root != "/":
        return os.path.exists(os.path.join(root, "usr/bin/nvidia-smi"))
    return shutil.which("nvidia-smi") is not None


def _is_ours(proc: str, pid: int) -> bool:
    """We, or a child of ours such as the process that holds the NVML session."""
    own = os.getpid()
    while pid > 1:
        if pid == own:
            return True
        pid = _parent(_read(os.path.join(proc, str(pid), "stat")))
    return False


def _parent(stat: str) -> int:
    words = stat.rpartition(")")[2].split()  # the name in parentheses may hold blanks
    return int(words[1]) if len(words) > 1 else 0


def _open_files(directory: str) -> t.FrozenSet[str]:
    found = (_link(os.path.join(directory, name)) for name in _names(directory))
    return frozenset(target for target in found if target)


def _minors(nodes: t.Iterable[str]) -> t.Tuple[int, ...]:
    matches = (_DEVICE.match(node) for node in nodes)
    return tuple(sorted({int(match.group(1)) for match in matches if match}))


def _nvidias_drm(root: str) -> t.FrozenSet[str]:
    """Nodes in /dev/dri of GPUs that nvidia drives; a server's own display chip has some too."""
    folder = os.path.join(root, "sys/class/drm")
    drivers = {name: _link(os.path.join(folder, name, "device/driver")) for name in _names(folder) if _DRM.match(name)}
    return frozenset(f"/dev/dri/{name}" for name, driver in drivers.items() if os.path.basename(driver) == "nvidia")


def _link(path: str) -> str:
    """What a symbolic link names; "" where it is none, or gone in the meantime."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _names(directory: str) -> t.List[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []  # the process ended, or is not ours to look at


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""
