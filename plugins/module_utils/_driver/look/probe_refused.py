# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a refused reload of this boot would be refused again. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._holders.probe import openers
from .. import refused
from .probe_modules import users

if t.TYPE_CHECKING:
    from ..._ports import Ports
    from ..model import Unit


def standing(ports: Ports, units: t.Mapping[str, Unit]) -> str:
    """Why the modules will not go in this boot; empty: nothing speaks against a try."""
    found = refused.remembered(ports.files)
    if found is None:
        return ""
    unit = units.get(found.unit)
    references = users(ports.files, found.module) if found.module else None
    pids = {one.pid for one in openers(ports.root, modules=True)}
    return found.why if refused.stands(found, pids, references, unit is not None and unit.active) else ""
