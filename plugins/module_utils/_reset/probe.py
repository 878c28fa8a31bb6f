# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what a reset has to know of a node. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._errors import AWAITS_DRIVER, AccelError
from .._files import Files
from .._holders.probe import probe as probe_holders
from .._holders.probe import strangers
from .._lock import Lock
from .._mig import journal, resident
from .._mig.decide import WISH_FILE
from .._mig.decide import Wish as MigWish
from .._nvml.objects import Snapshot
from .._owners import managers
from .._owners.objects import Claim
from .._owners.probe import probe as probe_owners
from .._owners.resolve import unmatched
from .._owners.usage import busy_of
from .._ports import Ports
from .._settings import resident as settings
from .._settings.decide import WISH_FILE as SETTINGS_FILE
from .._settings.decide import Wish as SettingsWish
from . import links
from .model import State, Wish

SUBSETS = ("identity", "mig", "processes", "health")
FABRIC_MANAGER = "nvidia-fabricmanager.service"
_SECONDS = 20.0


def read(wish: Wish, ports: Ports) -> State:
    """The state. Outside check mode the node's lock is taken first and stays ours."""
    state = State(None, managers=managers.probe(ports.files), root=os.geteuid() == 0)
    if state.root and not ports.check:
        Lock(ports.files).acquire(wish.lock_timeout)
    try:
        with ports.open_nvml() as session:
            snapshot = session.snapshot(SUBSETS)
    except AWAITS_DRIVER as error:
        if not ports.check:
            raise
        # An earlier role of the same run would have brought or mended the driver: neither failed nor guessed.
        return dataclasses.replace(state, missing_driver=error.message)
    return look(state, snapshot, ports)


def look(state: State, snapshot: Snapshot, ports: Ports) -> State:
    """Owners, holders, what an interrupted run left and what is wished of the node."""
    owners = probe_owners(ports)
    geometry, problem = _geometry(ports.files)
    return dataclasses.replace(
        state,
        snapshot=snapshot,
        busy=busy_of(owners, snapshot),
        holders=probe_holders(ports, snapshot, _uuids(snapshot)),
        silent_claims=tuple(Claim(one.owner, "", has_process=False) for one in unmatched(owners, snapshot)),
        strangers=tuple(f"{one.name} (PID {one.pid})" for one in strangers(ports.root, snapshot)),
        fabric_manager=_fabric_manager(ports) if links.needs_fabric_manager(snapshot) else None,
        record=journal.read(ports.files),
        geometry=geometry,
        geometry_problem=problem,
        settings=_settings(ports.files),
    )


def _uuids(snapshot: Snapshot) -> t.List[str]:
    return [gpu.uuid for gpu in snapshot.gpus] + [failure.uuid for failure in snapshot.failures if failure.uuid]


def _geometry(files: Files) -> t.Tuple[t.Optional[MigWish], str]:
    """The stored MIG wish of the node, as the agent would make it at boot."""
    try:
        document = files.read_json(WISH_FILE)
        if document is None:
            return None, ""
        return resident.parse(document["options"]), ""
    except (AccelError, ValueError, KeyError, TypeError) as error:
        return None, f"{WISH_FILE} cannot be used ({error}); layouts come back as they were found"


def _settings(files: Files) -> t.Optional[SettingsWish]:
    """The stored wish for settings. One that cannot be used is told by gpu_settings at each of its runs."""
    try:
        document = files.read_json(SETTINGS_FILE)
        return None if document is None else settings.parse(document["options"])
    except (AccelError, ValueError, KeyError, TypeError):
        return None


def _fabric_manager(ports: Ports) -> bool:
    argv = ["systemctl", "show", "--property=ActiveState", FABRIC_MANAGER]
    code, out, _err = ports.run(argv, timeout=_SECONDS)
    return code == 0 and "ActiveState=active" in out.split()
