# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a reboot would hurt beside those who work on GPUs (live_node rule 8). Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._owners import probe_work
from ..decide.planned import Others
from . import probe_sessions

if t.TYPE_CHECKING:
    from ..._ports import Ports


def probe(ports: Ports) -> Others:
    return Others(probe_work.probe(ports), probe_sessions.foreign(ports.files))
