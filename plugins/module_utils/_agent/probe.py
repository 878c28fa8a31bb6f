# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at what a node has of the agent. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os
import stat
import typing as t

from .. import _wishes
from .._errors import BlockedError
from .._owners.probe_reload import containers_at_risk
from .._ports import Ports
from .plan import BACKED_UP, FoundFile, InstallState, InstallWish, sha256
from .unit import ARCHIVE, BINDING, LAUNCHER, UNIT, UNIT_NAME

BOOT = "/run/accel-gpu/boot.json"
SYSTEM = "/etc/systemd/system"
_TEXTS = (LAUNCHER, UNIT)
_PROPERTIES = "LoadState,ActiveState,Result,NeedDaemonReload"


def read(wish: InstallWish, ports: Ports) -> InstallState:
    """Raises BlockedError where the node is not run by systemd."""
    return InstallState(
        files={path: found for path in (ARCHIVE, BINDING, LAUNCHER, UNIT) for found in _file(path, ports)},
        links=frozenset(_links(ports)),
        unit=_unit(ports),
        wishes=tuple(name[: -len(".json")] for name in ports.files.names(_wishes.FOLDER) if name.endswith(".json")),
        leftovers=() if wish.present else _leftovers(ports),
        at_risk=containers_at_risk(ports.root),
        boot=ports.files.read_json(BOOT),
    )


def _file(path: str, ports: Ports) -> t.Iterator[FoundFile]:
    data = ports.files.read(path)
    if data is not None:
        mode = stat.S_IMODE(os.stat(ports.files.path(path)).st_mode)
        yield FoundFile(sha256(data), mode, data.decode("utf-8", "replace") if path in _TEXTS else None)


def _links(ports: Ports) -> t.Iterator[str]:
    """Where the unit is enabled, whoever did it."""
    for folder in ports.files.names(SYSTEM):
        if folder.endswith((".wants", ".requires")) and UNIT_NAME in ports.files.names(f"{SYSTEM}/{folder}"):
            yield f"{SYSTEM}/{folder}/{UNIT_NAME}"


def _leftovers(ports: Ports) -> t.Tuple[str, ...]:
    """What Python put beside the files, and our own backups of them."""
    cache = f"{os.path.dirname(BINDING)}/__pycache__"
    found = [f"{cache}/{name}" for name in ports.files.names(cache)]
    for path in BACKED_UP:
        found += ports.files.backups(path)
    return tuple(found)


def _unit(ports: Ports) -> t.Dict[str, str]:
    code, out, err = ports.run(["systemctl", "show", UNIT_NAME, f"--property={_PROPERTIES}"], timeout=30)
    if code != 0:
        raise BlockedError(
            f"systemctl show {UNIT_NAME} ended with {code} ({(err or out).strip() or 'no message'}); "
            "the node agent needs a node that systemd runs, or node_agent_enabled: false"
        )
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
