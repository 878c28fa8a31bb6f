# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask Slurm which jobs hold GPUs of this node. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import socket
import typing as t

from . import slurm
from .objects import Owner, Owners
from .probe_processes import Process

if t.TYPE_CHECKING:
    from .._ports import Ports

_NAME = "Slurm"
_PROGRAMS = ("slurmd", "slurmstepd")
_JOBS = ["scontrol", "--details", "--oneliner", "show", "job"]
_TIMEOUT = 20.0  # seconds; slurmctld may be busy, and a job must not be hurt because it was
_GPU = re.compile(r"^nvidia\d+$")
_MIG_TYPE = re.compile(r"\d+g\.\d+gb")


def probe(ports: Ports, found: t.Sequence[Process]) -> Owners:
    """A running slurmd is the sign of Slurm, or a step of a job, which outlives it; slurmctld answers for both."""
    name = _this_node(found)
    if name is None:
        return Owners()
    node, why = _ask(ports, ["scontrol", "--oneliner", "show", "node", name])
    if why:
        return Owners((Owner(_NAME, asked=False, why=why),))
    jobs, why = _ask(ports, _JOBS)
    if why:
        return Owners((Owner(_NAME, asked=False, why=why),))
    gres = next((word[5:] for word in node.split() if word.startswith("Gres=")), "")
    if "gpu" not in gres:
        return Owners((Owner(_NAME),), slurm.whole_node(jobs, name))
    return Owners((Owner(_NAME),), slurm.allocations(jobs, name, _devices_are_gpus(gres, ports.root)))


def work(ports: Ports, found: t.Sequence[Process]) -> Owners:
    """Every job on this node, with GPUs or without."""
    name = _this_node(found)
    if name is None:
        return Owners()
    jobs, why = _ask(ports, _JOBS)
    if why:
        return Owners((Owner(_NAME, asked=False, why=why),))
    return Owners((Owner(_NAME),), slurm.whole_node(jobs, name))


def _this_node(found: t.Sequence[Process]) -> t.Optional[str]:
    """What Slurm calls this node, None where nothing of it runs."""
    daemons = [process for process in found if process.program in _PROGRAMS]
    if not daemons:
        return None
    return next(filter(None, (_node_name(daemon.command) for daemon in daemons)), socket.gethostname().split(".")[0])


def _devices_are_gpus(gres: str, root: str) -> bool:
    """Whether an index in a job is the number in /dev/nvidia<n>. It is not with MIG types, with several types on one
    node, or where Slurm has been given only some of the GPUs: indexes count what it has."""
    kinds = [part for part in re.sub(r"\([^)]*\)", "", gres).split(",") if part.startswith("gpu")]
    if len(kinds) != 1 or _MIG_TYPE.search(gres):
        return False
    count = kinds[0].rpartition(":")[2]
    return count.isdigit() and int(count) == sum(1 for name in _names(os.path.join(root, "dev")) if _GPU.match(name))


def _names(directory: str) -> t.List[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _node_name(command: t.Sequence[str]) -> str:
    """What `-N name` or `-Nname` says, "" where it says nothing."""
    for option, value in zip(command, (*command[1:], "")):
        if option.startswith("-N"):
            return option[2:] or value
    return ""


def _ask(ports: Ports, argv: t.List[str]) -> t.Tuple[str, str]:
    try:
        code, out, err = ports.run(argv, timeout=_TIMEOUT)
    except OSError as error:
        return "", f"{argv[0]}: {error}"
    if code != 0 and "No jobs in the system" not in out + err:
        return "", f"{' '.join(argv)}: {(err or out).strip() or f'exit code {code}'}"
    return out, ""
