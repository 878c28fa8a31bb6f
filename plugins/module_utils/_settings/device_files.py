# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's device files: who may open them, and what the driver wants of them. PRIVATE to the collection.

nvidia-modprobe makes these files, and where it runs and finds them otherwise it sets them as the driver says
(nvidia-modprobe-utils.c of NVIDIA/nvidia-modprobe). The files of MIG instances are left out, for the file of one may
belong to another one after a change.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from .._files import Access, Files

PARAMETERS = "/proc/driver/nvidia/params"
# Files in /dev, and where the driver tells who may open them. Of nvidia-uvm it tells nothing, so that the defaults of
# nvidia-modprobe count: root, and everybody may.
FAMILIES: t.Tuple[t.Tuple[str, str, str], ...] = (
    ("/dev", r"nvidia(\d+|ctl|-modeset)", PARAMETERS),
    ("/dev", r"nvidia-uvm(-tools)?", ""),
    ("/dev", r"nvidia-nvlink", "/proc/driver/nvidia-nvlink/permissions"),
    ("/dev", r"nvidia-nvswitch(\d+|ctl)", "/proc/driver/nvidia-nvswitch/permissions"),
    # Channel 0 the kernel may make itself, another way than nvidia-modprobe would.
    ("/dev/nvidia-caps-imex-channels", r"channel[1-9]\d*", PARAMETERS),
)
# Capabilities that are no MIG instance's (nv-caps.c of NVIDIA/open-gpu-kernel-modules); each file tells its number.
CAPABILITIES = (
    "/proc/driver/nvidia/capabilities/mig/config",
    "/proc/driver/nvidia/capabilities/mig/monitor",
    "/proc/driver/nvidia/capabilities/fabric-imex-mgmt",
    "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt",
)
_NUMBER = re.compile(r"^(\w+): *(\d+)$", re.MULTILINE)  # modes are decimal too


class DeviceFile(t.NamedTuple):
    """`access` is what the file has, `driver` what the driver wants of it: uid, gid, mode; with `fixed` nvidia-modprobe
    leaves it alone all the same. `gpu` is the PCI address of the GPU whose file it is; empty: none's, None: unknown."""

    access: Access
    driver: Access
    fixed: bool = False
    gpu: t.Optional[str] = ""


Found = t.Mapping[str, DeviceFile]  # by path


def set_by_others(seen: Found) -> t.Dict[str, DeviceFile]:
    """Those that somebody else than the driver has set. Pure."""
    return {path: one for path, one in seen.items() if one.access != one.driver}


def decided(before: DeviceFile, now: DeviceFile) -> t.Optional[str]:
    """Who else has decided on a file since: a reason to be told, "" where it has what it had. None: nobody, it fell
    back. Pure."""
    if now.access == before.access:
        return ""
    if now.access != now.driver or now.fixed:
        return f"has {has(now.access)} since"
    if now.driver != before.driver:
        return f"stays as the driver wants it since: {has(now.access)}"
    return None


def another(before: DeviceFile, gpus: t.Optional[t.Mapping[str, str]], path: str) -> t.Optional[str]:
    """Why a numbered file is not known to be the same GPU's as before; None: it is. Pure."""
    if gpus is None or before.gpu is None:
        return "the driver does not say whose it is"
    if gpus.get(path) == before.gpu:
        return None
    if path in gpus:
        return f"belongs to GPU {gpus[path]} since"
    return f"GPU {before.gpu} has another one, or none, since"


def found(files: Files) -> t.Dict[str, DeviceFile]:
    """The driver's device files that are there; none without a driver."""
    if not files.exists(PARAMETERS):
        return {}
    seen = {}
    for path, source in _paths(files):
        access = files.access(path)
        if access is not None:
            seen[path] = DeviceFile(access, *_wanted(_numbers(files, source)))
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


def _numbers(files: Files, path: str) -> t.Dict[str, int]:
    text = files.read_text(path) if path else ""
    return {key: int(value) for key, value in _NUMBER.findall(text or "")}


def _wanted(told: t.Mapping[str, int]) -> t.Tuple[Access, bool]:
    """As nvidia-modprobe reads it: what is not told has a default. Pure."""
    access = told.get("DeviceFileUID", 0), told.get("DeviceFileGID", 0), told.get("DeviceFileMode", 0o666)
    # The file of parameters has another word for it.
    return access, not told.get("DeviceFileModify", told.get("ModifyDeviceFiles", 1))


def has(access: Access) -> str:
    return f"owner {access[0]}, group {access[1]} and mode {access[2]:04o}"
