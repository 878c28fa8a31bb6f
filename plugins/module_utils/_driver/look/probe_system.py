# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the node's system says: library, units, keys, files, owed reboots. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ..._boot import boot_id
from ..._data.driver_node import LIBRARY_FOLDERS, MODPROBE_FOLDERS, OUR_FOLDERS, OUR_MARK, RECORDS
from ..._data.driver_system import IMEX_CONFIG, IMEX_NODES
from ..._data.driver_system import STOPPABLE as UNITS
from ..._errors import AccelError
from ..._files import Files
from ..._ports import Ports
from ..._run import NOT_FOUND
from ..model import SecureBoot, Unit
from ..texts import initramfs, loaded, secureboot
from ..texts.bootloader import environment
from .probe_files import data, resolve, text

_SECONDS = 30.0
_RUNNING = ("active", "activating", "reloading", "deactivating")
_REBOOT = "/run/reboot-required"
_SESSIONS = "/run/systemd/sessions"


def library(files: Files) -> t.Optional[str]:
    """Version of the libnvidia-ml that a program would load."""
    cached = loaded.cached_libraries(data(files, "/etc/ld.so.cache") or b"")
    for path in (*cached, *(f"{folder}/libnvidia-ml.so.1" for folder in LIBRARY_FOLDERS)):
        target = resolve(files, path)
        version = loaded.library_version(target) if target else None
        if version is not None:
            return version
    return None


def units(ports: Ports) -> t.Dict[str, Unit]:
    """Those of the units that are installed; one call for all. None of them where systemd does not run the node."""
    argv = ["systemctl", "show", "--property=LoadState,UnitFileState,ActiveState", *UNITS]
    code, out, _err = ports.run(argv, timeout=_SECONDS)
    if code != 0:
        return {}
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in out.split("\n\n")]
    return {
        # In the order of the question: an alias such as display-manager tells another Id.
        name: Unit(
            name,
            enabled=fields.get("UnitFileState", "") in ("enabled", "enabled-runtime", "alias"),
            active=fields.get("ActiveState") in _RUNNING,
            failed=fields.get("ActiveState") == "failed",
            static=fields.get("UnitFileState", "") in ("static", "generated", "indirect"),
        )
        for name, fields in zip(UNITS, blocks)
        if fields.get("LoadState") == "loaded"
    }


def secure_boot(ports: Ports) -> SecureBoot:
    """mokutil is asked only where Secure Boot is on."""
    enabled = secureboot.enabled(data(ports.files, secureboot.VARIABLE))
    found = ((path, data(ports.files, path)) for path in secureboot.CERTIFICATES)
    path, certificate = next((one for one in found if one[1]), (None, None))
    if not enabled:
        return SecureBoot(enabled, dkms_key=path)
    enrolled, pending = _keys(ports, "--list-enrolled"), _keys(ports, "--list-new")
    mine = None if certificate is None else secureboot.fingerprint(certificate)
    return SecureBoot(enabled, enrolled, pending, path, mine in enrolled, mine in pending)


def _keys(ports: Ports, option: str) -> t.Tuple[str, ...]:
    code, out, _err = ports.run(["mokutil", option], timeout=_SECONDS)
    return () if code == NOT_FOUND else secureboot.fingerprints(out)


def our_files(files: Files) -> t.Dict[str, str]:
    """Files of ours in the folders of other programs, by path."""
    paths = [f"{folder}/{name}" for folder in OUR_FOLDERS for name in files.names(folder) if OUR_MARK in name]
    return {path: text(files, path) for path in paths}


def nouveau_blacklists(files: Files) -> t.Tuple[str, ...]:
    """Files of others that keep nouveau from loading, by the names under which modprobe reads them."""
    seen: t.Dict[str, str] = {}
    for folder in MODPROBE_FOLDERS:
        for name in files.names(folder):
            # As in modprobe.d(5): of files with one name the first folder's wins.
            if name.endswith(".conf") and OUR_MARK not in name:
                seen.setdefault(name, f"{folder}/{name}")
    return tuple(sorted(path for path in seen.values() if _blacklists(files, path)))


def _blacklists(files: Files, path: str) -> bool:
    target = resolve(files, path)
    return target is not None and initramfs.blacklists_nouveau(data(files, target) or b"")


def reboot_pending(files: Files) -> t.Tuple[str, ...]:
    """Debian's and Ubuntu's packages leave files; the others are judged by the kernels."""
    if not files.exists(_REBOOT):
        return ()
    packages = reboot_packages(files)
    return (f"{_REBOOT} is there" + (f", for {', '.join(packages)}" if packages else ""),)


def reboot_packages(files: Files) -> t.Tuple[str, ...]:
    return tuple(sorted(set(text(files, f"{_REBOOT}.pkgs").split())))


def imex_lacks(files: Files) -> str:
    """The file of addresses that imex reads, where it has none; "" where it has."""
    path = environment(text(files, IMEX_CONFIG)).get("IMEX_NODE_CONFIG_FILE") or IMEX_NODES
    lines = (line.strip() for line in text(files, path).splitlines())
    return "" if any(line and not line.startswith("#") for line in lines) else path


def boot(files: Files) -> str:
    """Which boot this is; "" in a tree that does not run."""
    try:
        return boot_id(files)
    except AccelError:
        return ""


def graphical_sessions(files: Files) -> t.Tuple[str, ...]:
    """Users who work on a display of this node; the display manager's own greeter is none. systemd's logind keeps one
    file for each session."""
    sessions = (environment(text(files, f"{_SESSIONS}/{name}")) for name in files.names(_SESSIONS))
    return tuple(
        one.get("USER", one.get("UID", "somebody"))
        for one in sessions
        if one.get("TYPE") in ("x11", "wayland", "mir") and one.get("CLASS") != "greeter"
    )


def records(files: Files, path: str = RECORDS) -> t.Dict[str, t.Any]:
    """What earlier runs wrote down; a broken file tells nothing."""
    try:
        found = files.read_json(path)
    except (AccelError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def is_root() -> bool:
    return os.geteuid() == 0
