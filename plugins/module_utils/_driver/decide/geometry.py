# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The MIG layouts that a reload of the driver or a boot takes away, and what brings them back. Pure. PRIVATE.

Instances never outlive the modules; the mode does on Ampere alone (live_node rule 14). What somebody made in the
meantime, as the node agent does at boot, is left as it is.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..._data.architectures import architecture
from ..._mig import restore
from ..._mig.live import layout_of
from ..._mig.model import GpuLayout, InstanceSpec, Step
from ..._nvml.objects import Gpu, Snapshot


@dataclass(frozen=True)
class Kept:
    """A GPU with MIG on, as it was found. `load` names the load of the modules that it is lost with; "": it is lost
    already."""

    uuid: str
    layout: GpuLayout
    load: str = ""

    def __str__(self) -> str:
        return ", ".join(str(one) for one in self.layout.layout) or "MIG on, without instances"


def found(earlier: t.Sequence[Kept], snapshot: Snapshot, load: str) -> t.Tuple[Kept, ...]:
    """What there is to keep under this load of the modules. What an earlier run found counts as long as it is not back,
    whatever part of it is."""
    kept = {one.uuid: one for one in earlier}
    for gpu in snapshot.gpus:
        if _goes(gpu) and not (gpu.uuid in kept and lacking(kept[gpu.uuid], gpu)):
            kept[gpu.uuid] = Kept(gpu.uuid, layout_of(gpu), load)
    return tuple(kept.values())


def _goes(gpu: Gpu) -> bool:
    mode_stays = architecture(gpu.architecture).mode_survives_reboot
    return gpu.mig.current is True and (bool(gpu.mig.instances) or not mode_stays)


def lacking(kept: Kept, gpu: Gpu) -> t.Tuple[Step, ...]:
    """The steps back; none where all is there, or where somebody decided otherwise since."""
    live = layout_of(gpu)
    if not {_place(one) for one in live.layout} <= {_place(one) for one in kept.layout.layout}:
        return ()
    if architecture(gpu.architecture).mode_survives_reboot and (live.mode, live.pending) != (True, True):
        return ()
    return restore.steps_back(gpu, GpuLayout(True, True, kept.layout.layout))


def _place(one: InstanceSpec) -> t.Tuple[int, t.Any]:
    return one.profile_id, one.placement
