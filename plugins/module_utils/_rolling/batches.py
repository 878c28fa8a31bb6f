# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts go together. Pure. PRIVATE to the collection.

Sizes are those of the play keyword serial: the last one repeats, a share is of all hosts. A batch stays smaller where
it would have more hosts of one failure domain than allowed, or more than Ansible has forks; the first host in the
inventory's order goes first.
"""

from __future__ import annotations

import collections
import typing as t

from .model import Host, Size


def batches(
    hosts: t.Sequence[Host], serial: t.Sequence[Size], max_per_domain: int, forks: t.Optional[int] = None
) -> t.List[t.List[str]]:
    """The names, batch by batch; every host is in one of them. Of `forks` there is no limit where it is None."""
    left = list(hosts)
    found: t.List[t.List[str]] = []
    while left:
        limit = serial[min(len(found), len(serial) - 1)].of(len(hosts))
        batch = _next(left, limit if forks is None else min(limit, forks), max_per_domain)
        names = {host.name for host in batch}
        left = [host for host in left if host.name not in names]
        found.append([host.name for host in batch])
    return found


def _next(left: t.Sequence[Host], limit: int, max_per_domain: int) -> t.List[Host]:
    taken: t.Counter[str] = collections.Counter()
    batch: t.List[Host] = []
    for host in left:
        if len(batch) == limit:
            break
        if host.domain is not None:
            if taken[host.domain] == max_per_domain:
                continue
            taken[host.domain] += 1
        batch.append(host)
    return batch
