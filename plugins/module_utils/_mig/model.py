# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words of declarative MIG: the wish, the layout of one GPU, steps, plans. PRIVATE to the collection.

Everything is immutable and made of plain values. A GPU is named by its UUID, a GPU instance by its placement: the
number that NVML will give it is not known before it exists.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from .._errors import AccelError
from .._holders.objects import ResetGpu, ResetSet, StartHolder, StopHolder
from .._nvml.objects import Placement
from .._select import Selector

# The remedy of a refusal that is left out where it is what happens already.
OR_DEFER = ", or give when_busy: defer"

# --- the wish, as written ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComputeWish:
    """One compute instance as written: "1c.3g.40gb", "3g.40gb" (spans its GPU instance) or "1c".

    `profile_id` tells two of one name apart: on Hopper a double-memory 1g has two that span it.
    """

    profile: str
    placement: t.Optional[int] = None
    profile_id: t.Optional[int] = None


@dataclass(frozen=True)
class InstanceWish:
    """`count` equal GPU instances, named by `profile` or by `slices` with `memory_gib` and `attributes`.

    `compute` is None for the default (one compute instance that spans the GPU instance) and () for none at all.
    """

    address: str
    profile: t.Optional[str] = None
    slices: t.Optional[int] = None
    memory_gib: t.Optional[float] = None
    attributes: t.Tuple[str, ...] = ()
    placement: t.Optional[int] = None
    compute: t.Optional[t.Tuple[ComputeWish, ...]] = None
    count: int = 1


@dataclass(frozen=True)
class PartedMatch:
    """Which GPUs an item of a mig-parted document means. Both empty parts match every GPU.

    `filters` holds (device id, subsystem id or None) in the spelling of `Gpu.device_id`, "10de:20b0".
    """

    filters: t.Tuple[t.Tuple[str, t.Optional[str]], ...] = ()
    indexes: t.Optional[t.Tuple[int, ...]] = None


@dataclass(frozen=True)
class GpuWish:
    """One item of the declared list. `instances` None leaves the instances of a GPU in MIG mode as they are."""

    address: str
    mig: bool
    instances: t.Optional[t.Tuple[InstanceWish, ...]] = None
    selector: t.Optional[Selector] = None
    parted: t.Optional[PartedMatch] = None
    layer: int = 0
    reason: t.Optional[str] = None
    until: t.Optional[datetime.date] = None


@dataclass(frozen=True)
class NodeWish:
    """All that was declared. `form` is "geometry" or "mig_parted"; `notes` become actions of the plan."""

    form: str = "geometry"
    gpus: t.Tuple[GpuWish, ...] = ()
    notes: t.Tuple[str, ...] = ()


# --- layouts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComputeSpec:
    """`profile_id` and `placement` are None while only the live GPU instance can tell them."""

    profile: str
    profile_id: t.Optional[int] = None
    placement: t.Optional[Placement] = None

    def __str__(self) -> str:
        return self.profile if self.placement is None else f"{self.profile} at {self.placement}"


@dataclass(frozen=True)
class InstanceSpec:
    profile_id: int
    profile: str
    placement: Placement
    compute: t.Tuple[ComputeSpec, ...] = ()

    def __str__(self) -> str:
        """The default, one compute instance that spans the GPU instance, goes without saying."""
        where = f"{self.profile} at {self.placement}"
        if [spec.profile for spec in self.compute] == [self.profile]:
            return where
        return f"{where} ({', '.join(str(spec) for spec in self.compute) or 'no compute instance'})"


# The GPU instances of one GPU, by placement.
Layout = t.Tuple[InstanceSpec, ...]


@dataclass(frozen=True)
class GpuLayout:
    """One side of the difference. `mode` and `pending` are None where the GPU has no MIG."""

    mode: t.Optional[bool]
    pending: t.Optional[bool]
    layout: Layout = ()

    def lines(self) -> t.List[str]:
        """What a person reads in a diff: the mode, then the instances by placement."""
        if self.mode is None:
            return ["no MIG"]
        words = {True: "on", False: "off", None: "unknown"}
        pending = "" if self.pending == self.mode else f", {words[self.pending]} pending"
        return [f"mig {words[self.mode]}{pending}"] + [str(spec) for spec in self.layout]


@dataclass(frozen=True)
class Options:
    """when_busy: refuse | defer. apply: now | next_boot. `today` is what `until` is compared with."""

    when_busy: str = "refuse"
    allow_destroy_allocated: bool = False
    apply: str = "now"
    headroom_percent: float = 0
    today: t.Optional[datetime.date] = None


# --- steps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DestroyComputeInstance:
    gpu: str
    placement: Placement  # of the GPU instance
    compute_id: int
    gi_id: int


@dataclass(frozen=True)
class DestroyGpuInstance:
    gpu: str
    placement: Placement
    gi_id: int


@dataclass(frozen=True)
class SetMigMode:
    gpu: str
    enabled: bool


@dataclass(frozen=True)
class CreateGpuInstance:
    gpu: str
    profile_id: int
    profile: str
    placement: Placement


@dataclass(frozen=True)
class CreateComputeInstance:
    """`profile` None asks for the compute instance that spans the live GPU instance with most SMs. Where
    `profile_id` is None, `compute.arrange` finds it and the placement in the GPU instance once that is alive."""

    gpu: str
    gi_placement: Placement
    profile_id: t.Optional[int]
    profile: t.Optional[str]
    placement: t.Optional[Placement] = None
    start: t.Optional[int] = None  # wished start while the size is unknown
    wished_id: t.Optional[int] = None  # wished profile, see ComputeWish


Step = t.Union[
    StopHolder,
    StartHolder,
    DestroyComputeInstance,
    DestroyGpuInstance,
    SetMigMode,
    ResetGpu,
    ResetSet,
    CreateGpuInstance,
    CreateComputeInstance,
]

Action = t.Dict[str, t.Any]

# --- plans ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GpuPlan:
    """What happens to one GPU and why.

    `steps` never hold StopHolder or StartHolder: those are the node's, see `MigPlan.steps`. `deferred`: a difference
    is known and nothing is done about it now. `replan`: the driver lists no profiles before MIG is on, so after these
    steps the GPU must be read and planned again. `reset_required`, `reboot_required`: what is owed after this run.
    """

    uuid: str
    name: str
    pci: str
    before: GpuLayout
    after: GpuLayout
    steps: t.Tuple[Step, ...] = ()
    actions: t.Tuple[Action, ...] = ()
    refusal: t.Optional[AccelError] = None
    deferred: bool = False
    replan: bool = False
    reset_required: bool = False
    reboot_required: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    @property
    def key(self) -> str:
        """How the difference names this GPU; sorts by PCI address."""
        return f"{self.pci} {self.name} {self.uuid}"


@dataclass(frozen=True)
class MigPlan:
    """The single source of `changed`, `diff`, `actions` and of the steps. Nothing may be applied while `refusal` is
    set: one GPU that must not be touched stops the whole node before anything is."""

    gpus: t.Tuple[GpuPlan, ...] = ()
    steps: t.Tuple[Step, ...] = ()
    actions: t.Tuple[Action, ...] = ()
    refusal: t.Optional[AccelError] = None

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    @property
    def diff(self) -> t.Dict[str, t.Dict[str, t.List[str]]]:
        changed = [gpu for gpu in self.gpus if gpu.changed and self.refusal is None]
        return {
            "before": {gpu.key: gpu.before.lines() for gpu in changed},
            "after": {gpu.key: gpu.after.lines() for gpu in changed},
        }

    def by_uuid(self, uuid: str) -> t.Optional[GpuPlan]:
        return next((gpu for gpu in self.gpus if gpu.uuid == uuid), None)

    def result(self) -> t.Dict[str, t.Any]:
        """Further keys of a module result."""
        return {
            "reset_required": [gpu.uuid for gpu in self.gpus if gpu.reset_required],
            "reboot_required": any(gpu.reboot_required for gpu in self.gpus),
            "deferred": [gpu.uuid for gpu in self.gpus if gpu.deferred],
        }
