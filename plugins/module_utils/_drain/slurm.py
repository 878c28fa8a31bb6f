# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Slurm sees a node, read from what scontrol prints, and what it is told. Pure. PRIVATE to the collection.

The text form, because scontrol of 22.05 prints JSON only with plugins that distributions leave out. Sources:
scontrol(1), and the output of scontrol 22.05.8 for nodes in each state (tests/unit has it).
"""

from __future__ import annotations

import re
import typing as t

from .._owners import slurm
from .model import Situation

_STATE = re.compile(r"\sState=(\S+)")
# Without a reason the field is left out. Behind it stands who gave it and when.
_REASON = re.compile(r"\sReason=(.*?) \[[^\]@]*@[^\]]*\]", re.DOTALL)
# Older versions hang a sign on a state, such as * where the node does not respond.
_SIGNS = "*~#!%$@^-+"
# A node in one of these is out of service, whoever took it out.
_UNUSABLE = frozenset(
    ("DOWN", "ERROR", "FUTURE", "UNKNOWN", "FAIL", "POWERED_DOWN", "POWERING_DOWN", "POWER_DOWN", "REBOOT_ISSUED")
)
# A node that holds no work is in one of these.
_EMPTY = frozenset(("IDLE", "DRAINED"))
_STILL = "Slurm is still ending a job"


def show_node(node: str) -> t.List[str]:
    return ["scontrol", "--oneliner", "show", "node", node]


def show_jobs() -> t.List[str]:
    return ["scontrol", "--details", "--oneliner", "show", "job"]


def drain(node: str, reason: str) -> t.List[str]:
    return ["scontrol", "update", f"NodeName={node}", "State=DRAIN", f"Reason={reason}"]


def resume(node: str) -> t.List[str]:
    return ["scontrol", "update", f"NodeName={node}", "State=RESUME"]


def situation(node_text: str, jobs_text: str, node: str) -> t.Optional[Situation]:
    """None where the text shows no state of a node."""
    found = _STATE.search(node_text)
    if found is None:
        return None
    base, *flags = [word.strip(_SIGNS) for word in found.group(1).split("+")]
    working = tuple(dict.fromkeys(claim.owner for claim in slurm.whole_node(jobs_text, node)))
    if not working and (base not in _EMPTY | _UNUSABLE or "COMPLETING" in flags):
        # The node is asked before the jobs, and a job may have ended in between.
        working = (_STILL,)
    reason = _REASON.search(node_text)
    return Situation(
        # DRAINED and DRAINING are what sinfo calls DRAIN with and without work; some versions print them here.
        closed="DRAIN" in flags or base in ("DRAIN", "DRAINED", "DRAINING"),
        reason=reason.group(1).strip() if reason else "",
        unusable="+".join(word for word in (base, *flags) if word in _UNUSABLE),
        working=working,
    )
