# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Representative changes of a node: what stands, who works, what is wished."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.accel.gpu.tests.component.mig.node import Json, Layout, Node

ALL = "all"


@dataclass(frozen=True)
class Change:
    """`stands` and `wish` are `geometry`. `busy` are (GPU index, start of the GPU instance). `before` are commands of
    nvidia-smi or the simulator that are run after `stands`. `services` hold all GPUs. `words` are for the simulator."""

    name: str
    boards: str
    stands: Json
    wish: Json
    busy: t.Tuple[t.Tuple[int, int], ...] = ()
    before: t.Tuple[str, ...] = ()
    services: t.Tuple[str, ...] = ()
    options: t.Mapping[str, Json] = field(default_factory=dict)
    words: t.Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @property
    def params(self) -> t.Dict[str, Json]:
        return {"geometry": self.wish, **self.options}


def on(instances: Json, gpus: Json = ALL) -> t.Dict[str, Json]:
    return {"gpus": gpus, "mig": True, "instances": instances}


def off(gpus: Json = ALL) -> t.Dict[str, Json]:
    return {"gpus": gpus, "mig": False}


def one(profile: str, placement: int, *compute: str) -> t.Dict[str, Json]:
    wish: t.Dict[str, Json] = {"profile": profile, "placement": placement}
    return {**wish, "compute": list(compute)} if compute else wish


EMPTY: t.List[Json] = []
A100, H100, A30, RTX = "a100-80gb", "h100-80gb-sxm5", "a30-24gb", "rtx-pro-6000-blackwell-96gb"
DCGM, PERSISTENCED = "nvidia-dcgm.service", "nvidia-persistenced.service"

CHANGES: t.Tuple[Change, ...] = (
    Change("grow", H100, [on({"1g.10gb": 2})], [on({"1g.10gb": 4})]),
    Change("shrink", H100, [on({"1g.10gb": 7})], [on({"1g.10gb": 3})]),
    Change("swap", H100, [on({"1g.10gb": 7})], [on({"3g.40gb": 1, "2g.20gb": 1})]),
    Change("one-to-seven", A100, [on({"7g.80gb": 1})], [on({"1g.10gb": 7})]),
    Change("seven-to-one", A100, [on({"1g.10gb": 7})], [on({"7g.80gb": 1})]),
    Change("empty", H100, [on({"3g.40gb": 2})], [on({})]),
    Change("cut-into-computes", H100, [on([one("3g.40gb", 4)])], [on([one("3g.40gb", 4, "1c.3g.40gb", "2c.3g.40gb")])]),
    Change("join-computes", A100, [on([one("3g.40gb", 0, "1c", "1c", "1c")])], [on([one("3g.40gb", 0)])]),
    Change("missing-compute", H100, [on([{"profile": "2g.20gb", "compute": []}])], [on({"2g.20gb": 1})]),
    Change("mode-on-hopper", H100, [off()], [on({"3g.40gb": 1, "1g.10gb": 4})]),
    Change("mode-off-hopper", H100, [on({"3g.40gb": 1, "1g.10gb": 3})], [off()]),
    Change("mode-on-ampere", A100, [off()], [on({"4g.40gb": 1, "2g.20gb": 1})]),
    Change("mode-off-ampere", A100, [on({"2g.20gb": 3})], [off()]),
    Change("mode-on-a30", A30, [off()], [on({"1g.6gb": 4})]),
    Change("halves-a30", A30, [on({"1g.6gb": 4})], [on({"2g.12gb": 2})]),
    Change("twelve-slots", RTX, [on({"1g.24gb": 4})], [on({"2g.48gb": 1, "1g.24gb": 2})]),
    Change("mode-on-blackwell", "b200-180gb", [off()], [on([{"slices": 1, "memory_gib": 22, "count": 7}])]),
    Change("media-engines", H100, [on({"1g.10gb+me": 1, "1g.10gb": 6})], [on({"1g.10gb": 7})]),
    Change("double-memory", H100, [on({"1g.20gb": 4})], [on({"1g.20gb": 2, "1g.10gb": 3})]),
    Change("move", H100, [on([one("3g.40gb", 0)])], [on([one("3g.40gb", 4)])]),
    Change(
        "several-gpus",
        f"{A100},{H100},{H100}",
        [on({"3g.40gb": 2}, {"index": 0}), on({"1g.10gb": 4}, {"index": 1}), off({"index": 2})],
        [on({"2g.20gb": 2}, {"index": 0}), off({"index": 1}), on({"2g.20gb": 2}, {"index": 2})],
    ),
    Change(
        "busy-neighbour",
        H100,
        [on([one("3g.40gb", 4), {"profile": "1g.10gb", "count": 4}])],
        [on({"3g.40gb": 1, "2g.20gb": 2})],
        busy=((0, 4),),
    ),
    Change(
        "busy-small-ones",
        A100,
        [on({"1g.10gb": 7})],
        [on({"1g.10gb": 3, "3g.40gb": 1})],
        busy=((0, 0), (0, 2)),
    ),
    Change(
        "busy-other-gpu",
        f"{A100},{A100}",
        [on({"7g.80gb": 1}, {"index": 0}), off({"index": 1})],
        [on({"7g.80gb": 1}, {"index": 0}), on({"1g.10gb": 2}, {"index": 1})],
        busy=((0, 0),),
    ),
    Change(
        "busy-compute",
        H100,
        [on([one("3g.40gb", 0, "1c", "2c"), one("3g.40gb", 4)])],
        [on([one("3g.40gb", 0, "1c", "1c", "1c"), one("2g.20gb", 4)])],
        busy=((0, 0),),
    ),
    Change("pending-completed", A100, [off()], [on({"1g.10gb": 1})], before=("smi -i 0 -mig 1",)),
    Change("pending-taken-back", A100, [on({"1g.10gb": 2})], [on({"1g.10gb": 2})], before=("smi -i 0 -mig 0",)),
    Change("holders-ampere", A100, [off()], [on({"3g.40gb": 2})], services=(DCGM, PERSISTENCED)),
    Change("holders-hopper", H100, [on({"3g.40gb": 1})], [off()], services=(DCGM, PERSISTENCED)),
    Change("toggled-at-once", A100, [off()], [on({"1g.10gb": 2})], words={"ampere_toggle": "immediate"}),
)


def by_name(name: str) -> Change:
    return next(change for change in CHANGES if change.name == name)


class Prepared:
    """A node on which the change is about to be made. `old` are its layouts, `workers` who must be there afterwards."""

    def __init__(self, change: Change, folder: Path) -> None:
        self.change = change
        self.node = Node(folder, change.boards, **change.words)
        self.node.make(change.stands)
        for command in change.before:
            verb, *words = command.split()
            done = self.node.sim.smi(*words) if verb == "smi" else self.node.sim.gpusim(*words)
            assert done.returncode == 0, done.stdout
        for gpu, start in change.busy:
            self.node.occupy(gpu, start)
        gpus = range(len(self.node.layouts()))
        for unit in change.services:
            self.node.services.add(unit, self.node.sim.occupy(0, kind="holder"), gpus)
        self.old: t.List[Layout] = self.node.layouts()
        self.workers = self.node.workers()
        self.wanted: t.List[Layout] = []

    def close(self) -> None:
        self.node.close()
