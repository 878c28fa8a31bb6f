# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has the GPUs at this moment: work, and processes with device nodes open. Reads only. PRIVATE to the collection.

A look is as old as what was done since, and modules are built for minutes; so it is taken again before each step that
would hurt somebody.
"""

from __future__ import annotations

import typing as t

from ..._data.driver_system import DISPLAY, MPS
from ..._errors import AccelError
from ..decide import plan_modules
from ..model import Busy, Holder
from . import probe_modules, probe_system, probe_users

if t.TYPE_CHECKING:
    from ..._ports import Ports


class Use(t.NamedTuple):
    """`never` are units that may not be stopped now: a display on which somebody works, and MPS with clients."""

    answer: probe_users.Answer
    never: t.FrozenSet[str] = frozenset()
    busy: t.Tuple[Busy, ...] = ()
    holders: t.Tuple[Holder, ...] = ()


def look(ports: Ports, library: t.Optional[str], module: t.Optional[str], with_fabric: bool) -> Use:
    """`library` and `module` are their versions. Raises BindingWantedError, see probe_users.ask."""
    answer = probe_users.ask(ports, library, module, with_fabric)
    display = (DISPLAY,) if probe_system.graphical_sessions(ports.files) else ()
    never = frozenset((*display, *((MPS,) if answer.mps_clients else ())))
    holders = probe_users.open_devices(ports, answer.snapshot, never)
    return Use(answer, never, probe_users.busy_gpus(answer), holders)


def hindrance(ports: Ports) -> str:
    """Why nothing may be stopped under those who have the GPUs now; empty: nobody has, or no module is loaded."""
    module = probe_modules.probe(ports.files).version
    if module is None:
        return ""
    try:
        return plan_modules.in_use(look(ports, probe_system.library(ports.files), module, False))
    except AccelError as error:
        return f"who has the GPUs cannot be said ({error.message})"
