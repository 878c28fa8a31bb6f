# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the scheduler how it sees the node. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import BlockedError
from .._ports import Ports
from .._run import NOT_FOUND
from .._shape import shown
from . import command, slurm
from .model import Situation, Wish

TIMEOUT = 60.0  # seconds; slurmctld may be busy
# What scontrol says of a name that is in no configuration; asking again does not help.
_UNKNOWN = "not found"


class SilentError(BlockedError):
    """The scheduler does not answer. It may be about to start, so asking again can help."""


def read(wish: Wish, ports: Ports) -> Situation:
    """Raises BlockedError where the scheduler does not know the node, SilentError where it does not answer."""
    if wish.provider == "slurm":
        return _slurm(wish, ports)
    out = ask(ports, [*wish.command, "status", wish.node])
    found = command.situation(out)
    if found is None:
        raise BlockedError(
            f"command: {wish.command[0]} status {wish.node} printed {shown(out.strip())}; its first line must be "
            f"{', '.join(command.STATES[:-1])} or {command.STATES[-1]}"
        )
    return found


def _slurm(wish: Wish, ports: Ports) -> Situation:
    node = ask(ports, slurm.show_node(wish.node))
    jobs = ask(ports, slurm.show_jobs())
    found = slurm.situation(node, jobs, wish.node)
    if found is None:
        raise BlockedError(f"node: scontrol shows no state of {wish.node}; it printed {shown(node.strip())}")
    return found


def ask(ports: Ports, argv: t.Sequence[str]) -> str:
    """What a command of the scheduler printed. Raises SilentError or BlockedError with its words."""
    code, out, err = ports.run(argv, timeout=TIMEOUT)
    if code == 0:
        return out
    said = (err or out).strip() or f"exit code {code}"
    if code == NOT_FOUND:
        raise BlockedError(f"provider: {said}; run this on a host that has the scheduler's commands")
    kind = BlockedError if _UNKNOWN in said else SilentError
    raise kind(f"{' '.join(argv)}: {said}; the scheduler must answer before a node is drained or put back")
