# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask every owner of work on this node. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from . import probe_containers, probe_kubelet, probe_machines, probe_mps, probe_slurm
from .objects import Owners, merge
from .probe_processes import processes

if t.TYPE_CHECKING:
    from .._ports import Ports


def probe(ports: Ports) -> Owners:
    """One answer of all owners that are present; see `objects.Owners`.

    Containers of the kubelet are left to the kubelet: its infrastructure pods (device plugin, exporter) see every GPU
    without having been given one.
    """
    found = tuple(processes(ports.root))
    return merge(
        (
            probe_kubelet.probe(ports, found),
            probe_slurm.probe(ports, found),
            probe_containers.probe(ports, found),
            probe_mps.probe(ports, found),
            probe_machines.probe(ports),
        )
    )
