# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask Slurm which jobs hold GPUs of this node. PRIVATE to the collection."""

from __future__ import annotations

import re
import socket
import typing as t

from . import slurm
from .objects import Owner, Owners
from .probe_processes import Process

if t.TYPE_CHECKING:
    from .._ports import Ports

_NAME = "Slurm"
_TIMEOUT = 20.0  # seconds; slurmctld may be busy, and a job must not be hurt because it was
_MIG_TYPE = re.compile(r"\d+g\.\d+gb")


def probe(ports: Ports, found: t.Sequence[Process]) -> Owners:
    """A running slurmd is the sign of Slurm; slurmctld answers for it."""
    daemon = next((process for process in found if process.program == "slurmd"), None)
    if daemon is None:
        return Owners()
    name = _node_name(daemon.command)
    node, why = _ask(ports, ["scontrol", "--oneliner", "show", "node", name])
    if why:
        return Owners((Owner(_NAME, asked=False, why=why),))
    jobs, why = _ask(ports, ["scontrol", "--details", "--oneliner", "show", "job"])
    if why:
        return Owners((Owner(_NAME, asked=False, why=why),))
    gres = next((word[5:] for word in node.split() if word.startswith("Gres=")), "")
    if "gpu" not in gres:
        return Owners((Owner(_NAME),), slurm.whole_node(jobs, name))
    return Owners((Owner(_NAME),), slurm.allocations(jobs, name, _devices_are_gpus(gres)))


def _devices_are_gpus(gres: str) -> bool:
    # With MIG types, or with several types on one node, an index does not follow /dev/nvidia<n>.
    kinds = [part for part in re.sub(r"\([^)]*\)", "", gres).split(",") if part.startswith("gpu")]
    return len(kinds) == 1 and not _MIG_TYPE.search(gres)


def _node_name(command: t.Sequence[str]) -> str:
    for option, value in zip(command, command[1:]):
        if option == "-N":
            return value
    return socket.gethostname().split(".")[0]


def _ask(ports: Ports, argv: t.List[str]) -> t.Tuple[str, str]:
    try:
        code, out, err = ports.run(argv, timeout=_TIMEOUT)
    except OSError as error:
        return "", f"{argv[0]}: {error}"
    if code != 0 and "No jobs in the system" not in out + err:
        return "", f"{' '.join(argv)}: {(err or out).strip() or f'exit code {code}'}"
    return out, ""
