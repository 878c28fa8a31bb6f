# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `scontrol` says of jobs, decoded. Pure. PRIVATE to the collection.

`scontrol --details --oneliner show job` names, per group of nodes, the generic resources with their indexes:
`Nodes=gpu[01-02] CPU_IDs=0-5 Mem=0 GRES=gpu:a100:2(IDX:0-1)`. Source: scontrol(1) and its output in Slurm 22.05.
"""

from __future__ import annotations

import re
import typing as t

from .objects import Allocation

# A job in one of these states may still have processes or hold its devices.
HOLDING_STATES = frozenset(("RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STAGE_OUT", "STOPPED", "SIGNALING"))
_NODES = re.compile(r"(?:^|\s)Nodes=(\S+) CPU_IDs=\S* Mem=\S* GRES=(\S*)")
_ENTRY = re.compile(r"(?:[^,(]|\([^)]*\))+")
_INDEXES = re.compile(r"\(IDX:([^)]*)\)")
# Generic resources that are GPUs or shares of them.
_SHARES = ("shard", "mps")


def allocations(jobs: str, node: str, devices_are_gpus: bool) -> t.Tuple[Allocation, ...]:
    """GPUs that running jobs hold on `node`.

    `devices_are_gpus` is False when MIG devices are generic resources of their own: an index then says nothing about
    the GPU, and the job claims all. A job without a GPU in its details claims nothing: the caller asks only nodes
    whose Gres lists GPUs.
    """
    found: t.List[Allocation] = []
    for line in jobs.splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if fields.get("JobState") not in HOLDING_STATES:
            continue
        owner = f"Slurm job {fields.get('JobId', '?')} of {fields.get('UserId', '?')}"
        for nodes, gres in _NODES.findall(line):
            if node in expand(nodes):
                found.extend(Allocation(owner, device) for device in _devices(gres, devices_are_gpus))
    return tuple(found)


def whole_node(jobs: str, node: str) -> t.Tuple[Allocation, ...]:
    """Every running job on `node` as a claim on all GPUs: for a node whose Gres names no GPU, and for a reboot."""
    found = []
    for line in jobs.splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if fields.get("JobState") in HOLDING_STATES and node in expand(fields.get("NodeList", "")):
            found.append(Allocation(f"Slurm job {fields.get('JobId', '?')} of {fields.get('UserId', '?')}", "all"))
    return tuple(found)


def _devices(gres: str, devices_are_gpus: bool) -> t.List[str]:
    """The devices of one job on one node. A share, or a GPU without an index, may be any."""
    found: t.List[str] = []
    for entry in _ENTRY.findall(gres):
        kind = entry.split(":")[0]
        if kind not in ("gpu", *_SHARES) or re.sub(r"\([^)]*\)", "", entry).endswith(":0"):
            continue
        indexes = [index for group in _INDEXES.findall(entry) for index in _numbers(group)]
        if kind == "gpu" and indexes and devices_are_gpus:
            found += [f"minor:{index}" for index in indexes]
        else:
            found.append("all")
    return list(dict.fromkeys(found))


def _numbers(group: str) -> t.List[int]:
    numbers: t.List[int] = []
    for part in group.split(","):
        first, unused, last = part.partition("-")
        if first.isdigit():
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def expand(hostlist: str) -> t.Set[str]:
    """The names in a Slurm host list such as `a1,gpu[01-03,7]`."""
    names: t.Set[str] = set()
    for entry in re.findall(r"[^,\[]+(?:\[[^\]]*\][^,\[]*)*", hostlist):
        names.update(_expand_entry(entry))
    return names


def _expand_entry(entry: str) -> t.List[str]:
    match = re.match(r"^([^\[]*)\[([^\]]*)\](.*)$", entry)
    if not match:
        return [entry]
    prefix, ranges, rest = match.groups()
    middle: t.List[str] = []
    for part in ranges.split(","):
        first, unused, last = part.partition("-")
        width = len(first)
        middle.extend(str(number).zfill(width) for number in range(int(first), int(last or first) + 1))
    return [prefix + number + tail for number in middle for tail in _expand_entry(rest)]
