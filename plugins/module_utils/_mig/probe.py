# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what the MIG resident has to know of a node, and no more than the wish makes necessary. PRIVATE.

A run that changes nothing makes one snapshot, asks no owner and takes no lock.
"""

from __future__ import annotations

import dataclasses
import os

from .. import _wishes
from .._errors import AWAITS_DRIVER
from .._holders.objects import Holders
from .._holders.probe import probe as probe_holders
from .._lock import Lock
from .._owners import managers
from .._owners.objects import Busy
from .._owners.probe import probe as probe_owners
from .._owners.usage import busy_of
from .._ports import Ports
from . import journal, probe_restarts
from .decide import WISH_FILE, State, Wish, changes_mode, decide, hurts_owners


def read(wish: Wish, ports: Ports) -> State:
    """The state. Outside check mode the node's lock is taken as soon as something would be changed; it stays ours."""
    state = _read(wish, ports)
    return dataclasses.replace(state, notified=probe_restarts.probe(ports, wish.notify))


def _read(wish: Wish, ports: Ports) -> State:
    stored = _wishes.read(ports.files, WISH_FILE) if wish.document is not None else None
    state = State(None, managers=managers.probe(ports.files), stored=stored, root=os.geteuid() == 0)
    try:
        with ports.open_nvml() as session:
            state = dataclasses.replace(state, snapshot=session.snapshot(), record=journal.read(ports.files))
            plan = decide(wish, state)
            if not plan.touches and not plan.stores:
                return state
            if state.root and not ports.check:
                Lock(ports.files).acquire(wish.lock_timeout)
                # Another run may have changed the node since.
                state = dataclasses.replace(state, snapshot=session.snapshot(), record=journal.read(ports.files))
    except AWAITS_DRIVER as error:
        if not wish.node.gpus:
            return state  # nothing is wished of a node that has nothing
        if not ports.check:
            raise
        # An earlier role of the same run would have brought or mended the driver: neither failed nor guessed.
        return dataclasses.replace(state, missing_driver=error.message)
    return _with_users(wish, state, ports)


def _with_users(wish: Wish, state: State, ports: Ports) -> State:
    """Owners and holders, where the plan so far would hurt them."""
    if state.snapshot is None:
        return state
    plan = decide(wish, state)
    busy = busy_of(probe_owners(ports), state.snapshot) if hurts_owners(plan) else Busy()
    holders = probe_holders(ports, state.snapshot) if changes_mode(plan) else Holders()
    return dataclasses.replace(state, busy=busy, holders=holders)
