# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract with a site's own program for draining. Pure. PRIVATE to the collection.

PROGRAM… status NODE        prints in_service, draining or drained; on the second line the reason; on each line
                            after that somebody who still works
PROGRAM… drain NODE REASON  takes the node out of service at once, without waiting; on a node that is out of service
                            it replaces the reason
PROGRAM… undrain NODE       puts it back into service

Each ends with exit code 0, or with another one and a sentence on standard error.
"""

from __future__ import annotations

import typing as t

from .model import Situation

STATES = ("in_service", "draining", "drained")
_SOMEBODY = "somebody whom the program does not name"


def situation(text: str) -> t.Optional[Situation]:
    """None where the first line is none of STATES."""
    lines = [line.strip() for line in text.splitlines()]
    state = lines[0] if lines else ""
    if state not in STATES:
        return None
    working = tuple(line for line in lines[2:] if line)
    if state == "draining" and not working:
        working = (_SOMEBODY,)
    return Situation(closed=state != "in_service", reason=lines[1] if len(lines) > 1 else "", working=working)
