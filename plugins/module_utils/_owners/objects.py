# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who owns the GPUs of a node, beyond the processes that NVML lists. PRIVATE to the collection.

An idle notebook or a job between two steps owns its device without a process (rule 1 of the live-node rules), so the
node's owners are asked: kubelet, Slurm, container engines, MPS and virtual machines.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Allocation:
    """One device that one owner has given to somebody.

    `device` is a GPU UUID, a MIG UUID, `minor:<n>` (/dev/nvidia<n>), `cap:gpu<minor>/gi<id>/ci<id>`,
    `place:gpu<minor>/<profile id>/<start>`, `pci:<address>` or `all` where the owner cannot say which.
    """

    owner: str
    device: str
    pid: t.Optional[int] = None


@dataclass(frozen=True)
class Owner:
    """A manager of work that is present on the node. `why` says why it could not be asked."""

    name: str
    asked: bool = True
    why: str = ""


@dataclass(frozen=True)
class Owners:
    """The whole answer. An owner that was not asked makes every GPU of the node count as busy."""

    present: t.Tuple[Owner, ...] = ()
    allocations: t.Tuple[Allocation, ...] = ()

    @property
    def silent(self) -> t.Tuple[Owner, ...]:
        return tuple(owner for owner in self.present if not owner.asked)


@dataclass(frozen=True)
class Claim:
    """One user of a device. `owner` is a word such as "process", "slurm", "kubelet"; `detail` names job or program."""

    owner: str
    detail: str
    has_process: bool
    pid: t.Optional[int] = None

    def __str__(self) -> str:
        return f"{self.owner} {self.detail}".rstrip()


@dataclass(frozen=True)
class Busy:
    """Claims by GPU UUID or MIG UUID; a claim on a GPU UUID means the whole GPU. `unknown` holds owners that are
    present but could not be asked: then every device of the node counts as busy (live_node rule 1). Processes that
    NVML names in the snapshot are added by the plan."""

    by_device: t.Mapping[str, t.Tuple[Claim, ...]] = field(default_factory=dict)
    unknown: t.Tuple[Claim, ...] = ()


_UUID = re.compile(r"(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def leading_uuid(name: str) -> t.Optional[str]:
    """The whole UUID of a GPU or MIG device with which a name begins, None where it begins with none."""
    match = _UUID.match(name)
    return match.group() if match else None


def named(words: t.Sequence[str]) -> t.List[str]:
    """Devices that a variable lists: whole UUIDs, or all as soon as one word is a number, a word or half a UUID."""
    return list(words) if words and all(leading_uuid(word) == word for word in words) else ["all"]


def merge(parts: t.Iterable[Owners]) -> Owners:
    """All answers as one, in the given order."""
    parts = tuple(parts)
    return Owners(
        present=tuple(owner for part in parts for owner in part.present),
        allocations=tuple(allocation for part in parts for allocation in part.allocations),
    )
