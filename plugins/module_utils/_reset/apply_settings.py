# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of GPUs that gave no answer before their reset: the stored wish of the node says them. PRIVATE.

What a GPU did not tell cannot be set again as it was. What fails here does not make the reset fail: it is told.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import AccelError
from .._settings import memory, resident
from .._settings.decide import Wish as SettingsWish
from .._settings.model import said
from .._settings.probe_load import driver_load

if t.TYPE_CHECKING:
    from .._ports import Ports

Sentences = t.Tuple[str, ...]


def from_wish(wish: SettingsWish, uuids: t.Sequence[str], ports: Ports) -> t.Tuple[Sentences, Sentences]:
    """Sentences for what was set, and for what was not."""
    load = driver_load(ports.root)
    for uuid in uuids:
        # Nothing that was set before the reset is set any more.
        memory.forget(ports.files, load, uuid, list(memory.read(ports.files, load).get(uuid, {})))
    try:
        plan = resident.plan(wish, resident.read(wish, ports))
        ours = tuple(gpu for gpu in plan.node.gpus if gpu.uuid in uuids)
        refusals = [gpu.refusal for gpu in ours if gpu.refusal is not None]
        if refusals:
            raise refusals[0]
        if plan.refusal is not None and not ours:
            raise plan.refusal  # of the whole wish
        node = dataclasses.replace(plan.node, gpus=ours)
        plan = dataclasses.replace(plan, node=node, write_wish=False, remove_wish=False)
        if plan.steps:
            resident.apply(plan, ports)
    except AccelError as error:
        return (), tuple(f"{uuid}: settings of the stored wish could not be set: {error.message}" for uuid in uuids)
    return tuple(f"{step.gpu}: {said(step.setting, step.wished)}, as the stored wish says" for step in plan.steps), ()
