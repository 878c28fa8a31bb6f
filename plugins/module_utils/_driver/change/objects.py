# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a driver change is given, and what it leaves. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from ..._packages.objects import Transaction
from ..model import Parameters
from ..record import Journal
from ..steps import Step
from .apply_back import Aftermath
from .apply_gpus import Gpus

if t.TYPE_CHECKING:
    from ..model import Node

# Reads the node again and says what the wish still asks of it.
Again = t.Callable[[], t.Tuple["Node", t.Sequence[Step]]]


@dataclass(frozen=True)
class Change:
    """What `apply` needs. `transaction` is what the change of packages does, `earlier` the journal of an interrupted
    run. Without `remembers` the record of the way back stays as it is (a run that goes that way). `state` is what is
    ours on the node afterwards; None: as before. `own_holds` may be broken by the change. `parameters` are those of
    the kernel modules that are wished, or that come back. `run` names the caller's change. `keep_geometry`: what MIG
    layout there is in the end is written down for a reboot. With `defers` it is no error that somebody takes the GPUs
    on the way."""

    steps: t.Tuple[Step, ...]
    node: Node
    again: Again
    transaction: Transaction = Transaction()
    flavour: t.Optional[str] = None
    earlier: t.Optional[Journal] = None
    remembers: bool = True
    state: t.Optional[t.Mapping[str, t.Any]] = None
    own_holds: t.AbstractSet[str] = frozenset()
    parameters: Parameters = field(default_factory=dict)
    run: t.Optional[str] = None
    keep_geometry: bool = False
    defers: bool = False

    def of(self, *kinds: t.Type[t.Any]) -> t.List[t.Any]:
        return [step for step in self.steps if isinstance(step, kinds)]


@dataclass(frozen=True)
class Done:
    """The node afterwards. `lost` is what was set on the GPUs and did not come back, `layouts_lost` the MIG layouts
    that did not, `noted` what came back otherwise or could not be known; `reload` says why modules were not reloaded,
    `waits` why nothing was changed at all."""

    node: Node
    warnings: t.Tuple[str, ...] = ()
    lost: t.Tuple[str, ...] = ()
    reload: t.Tuple[str, ...] = ()
    reapplied: t.Tuple[str, ...] = ()
    geometry: t.Tuple[str, ...] = ()
    layouts_lost: t.Tuple[str, ...] = ()
    noted: t.Tuple[str, ...] = ()
    seconds: t.Mapping[str, float] = field(default_factory=dict)
    waits: str = ""


class TakenBack(t.NamedTuple):
    """An interrupted run that was undone, with sentences for settings and layouts that are there again, and for what is
    not."""

    after: Aftermath
    reapplied: t.Tuple[str, ...] = ()
    geometry: t.Tuple[str, ...] = ()
    warnings: t.Tuple[str, ...] = ()


def told(done: Done, gpus: Gpus) -> Done:
    """With what became of the GPUs' settings and layouts."""
    return dataclasses.replace(
        done,
        lost=tuple(gpus.lost),
        reapplied=tuple(gpus.told),
        geometry=tuple(gpus.geometry),
        layouts_lost=tuple(gpus.layouts_lost),
        noted=tuple(gpus.noted),
    )
