# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what the settings resident has to know of a node, and no more than the wish makes necessary. PRIVATE.

A run that changes nothing makes one snapshot, asks no owner and takes no lock.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .. import _wishes
from .._errors import AWAITS_DRIVER, WishError
from .._files import Files
from .._lock import Lock
from .._nvml.objects import Snapshot
from .._owners import managers, probe_mps
from .._owners.probe import probe as probe_owners
from .._owners.probe_processes import processes
from .._owners.resolve import resolve as resolve_owners
from .._owners.usage import busy_of
from .._ports import Ports
from . import kept, memory
from .decide import WISH_FILE, State, Wish, decide
from .judge import PERSISTENCED
from .model import CLOCKS, Clocks, Others
from .plan import resolve
from .probe_load import driver_load

if t.TYPE_CHECKING:
    from .._nvml.session import NvmlSession

SUBSETS = ("identity", "mig", "processes", "settings")
# Where a unit can lie, the first one counts. Source: systemd.unit(5), "Unit File Load Path".
_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_UNITS_OF_OLD = ("/lib/systemd/system",)  # where /lib is no link to /usr/lib
_MPS_WISH = "/etc/accel-gpu/wish.d/mps.json"


def read(wish: Wish, ports: Ports) -> State:
    """The state. Outside check mode the node's lock is taken as soon as something would be changed; it stays ours."""
    stored = _wishes.read(ports.files, WISH_FILE) if wish.document is not None else None
    state = State(None, managers=managers.probe(ports.files), stored=stored, root=os.geteuid() == 0)
    try:
        with ports.open_nvml() as session:
            state = _seen(wish, state, ports, session)
            plan = decide(wish, state)
            if not plan.touches and not plan.stores and not plan.superseded:
                return state
            if state.root and not ports.check:
                Lock(ports.files).acquire(wish.lock_timeout)
                # Another run may have changed the node since.
                state = _seen(wish, state, ports, session)
    except AWAITS_DRIVER as error:
        if not wish.items:
            return state  # nothing is wished of a node that has nothing
        if not ports.check:
            raise
        # An earlier role of the same run would have brought or mended the driver: neither failed nor guessed.
        return dataclasses.replace(state, missing_driver=error.message)
    if state.snapshot is None or not decide(wish, state).steps:
        return state
    return dataclasses.replace(state, busy=busy_of(probe_owners(ports), state.snapshot))


def _seen(wish: Wish, state: State, ports: Ports, session: NvmlSession) -> State:
    snapshot = session.snapshot(SUBSETS)
    load = driver_load(ports.root)
    return dataclasses.replace(
        state,
        snapshot=snapshot,
        clocks=_clocks(wish, snapshot, session),
        memory=memory.read(ports.files, load),
        load=load,
        kept={uuid: tuple(entry["settings"]) for uuid, entry in kept.stored(ports.files).items()},
        others=_others(wish, snapshot, ports),
    )


def _clocks(wish: Wish, snapshot: Snapshot, session: NvmlSession) -> t.Dict[str, Clocks]:
    """Of the GPUs of which clocks are wished."""
    try:
        chosen = resolve(wish.items, snapshot)
    except WishError:
        return {}  # the plan says what is wrong
    found = {}
    for uuid, wished in chosen.items():
        if any(name in wished for name in CLOCKS):
            found[uuid] = Clocks(**session.clocks(uuid))
    return found


# --- other owners --------------------------------------------------------------------------------------------------


def _others(wish: Wish, snapshot: Snapshot, ports: Ports) -> Others:
    named = {name for item in wish.items for name in item.values}
    return Others(
        mps=mps(snapshot, ports) if "compute_mode" in named else {},
        persistenced=persistenced(ports.files) if "persistence_mode" in named else "",
    )


def mps(snapshot: Snapshot, ports: Ports) -> t.Dict[str, str]:
    """Why the compute mode of a GPU belongs to MPS, by UUID: a daemon that runs, or the stored wish of role mps."""
    if ports.files.exists(_MPS_WISH):
        return {gpu.uuid: f"{_MPS_WISH} declares MPS" for gpu in snapshot.gpus}
    claims = resolve_owners(probe_mps.definitions(processes(ports.root)), snapshot)
    return {gpu.uuid: claims[gpu.uuid][0].owner for gpu in snapshot.gpus if gpu.uuid in claims}


def persistenced(files: Files) -> str:
    """The path of the persistence daemon's unit, "" where it is not installed or is masked."""
    for directory in (*_UNITS, *_UNITS_OF_OLD):
        path = f"{directory}/{PERSISTENCED}"
        real = files.path(path)
        if os.path.islink(real) and os.readlink(real) == os.devnull:
            return ""
        if os.path.lexists(real):
            return path
    return ""
