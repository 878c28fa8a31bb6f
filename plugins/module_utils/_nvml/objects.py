# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Value objects that the NVML port hands out. PRIVATE to the collection.

Sizes are MiB, temperatures degrees Celsius, power watts, clocks MHz. `None` means that the GPU or driver does not
offer the value (NVML NOT_SUPPORTED), never zero. All objects are immutable and made of plain values, so they can
cross a pipe (pickle) and become JSON (`dataclasses.asdict`).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Placement:
    """Memory slots `start` .. `start + size - 1` of a GPU (or compute slots of a GPU instance)."""

    start: int
    size: int

    @property
    def slots(self) -> range:
        return range(self.start, self.start + self.size)

    def overlaps(self, other: Placement) -> bool:
        return self.start < other.start + other.size and other.start < self.start + self.size

    def __str__(self) -> str:
        return f"{self.start}:{self.size}"


@dataclass(frozen=True)
class GpuInstanceProfile:
    """One row of `nvidia-smi mig -lgip`, read live.

    `id` is what every NVML call but ProfileInfo takes, `enum` what ProfileInfo takes. `instance_count` is the
    driver's own figure and wrong on A30, so plans use `placements` and the engine figures.
    """

    id: int
    enum: int
    name: str  # "1g.10gb+me", without the word MIG
    slices: int
    memory_mib: int
    sms: int
    instance_count: int
    copy_engines: int
    decoders: int
    encoders: int
    jpegs: int
    ofas: int
    placements: t.Tuple[Placement, ...]


@dataclass(frozen=True)
class ComputeInstanceProfile:
    """One compute instance profile of a live GPU instance. `name` is "1c.3g.40gb", or "3g.40gb" when it spans it."""

    id: int
    enum: int
    name: str
    slices: int
    sms: int
    instance_count: int
    placements: t.Tuple[Placement, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process that NVML names. kind: compute | graphics | mps."""

    pid: int
    kind: str
    name: t.Optional[str] = None
    memory_mib: t.Optional[int] = None
    gpu_instance_id: t.Optional[int] = None
    compute_instance_id: t.Optional[int] = None


@dataclass(frozen=True)
class ComputeInstance:
    """`uuid` is the MIG UUID of this device."""

    id: int
    profile_id: int
    profile: str
    placement: t.Optional[Placement]
    uuid: t.Optional[str]
    processes: t.Tuple[Process, ...] = ()


@dataclass(frozen=True)
class GpuInstance:
    id: int
    profile_id: int
    profile: str
    placement: Placement
    compute_instances: t.Tuple[ComputeInstance, ...] = ()
    compute_profiles: t.Tuple[ComputeInstanceProfile, ...] = ()


@dataclass(frozen=True)
class MigState:
    """`current` and `pending` are None where the board has no MIG. Profiles may be empty while MIG is off (driver 535
    and older list none then)."""

    current: t.Optional[bool] = None
    pending: t.Optional[bool] = None
    max_devices: int = 0
    profiles: t.Tuple[GpuInstanceProfile, ...] = ()
    instances: t.Tuple[GpuInstance, ...] = ()

    @property
    def capable(self) -> bool:
        return self.current is not None


@dataclass(frozen=True)
class Gpu:
    """One physical GPU. `pci` is domain:bus:device.function in lower case with a four-digit domain where it fits."""

    uuid: str
    index: int
    name: str
    pci: str
    device_id: str  # "10de:20b5"
    subsystem_id: t.Optional[str] = None
    minor: t.Optional[int] = None
    serial: t.Optional[str] = None
    numa_node: t.Optional[int] = None
    architecture: t.Optional[str] = None  # "ampere", "hopper", ...
    compute_capability: t.Optional[str] = None  # "8.0"
    memory_mib: t.Optional[int] = None
    memory_used_mib: t.Optional[int] = None
    virtualization: t.Optional[str] = None  # none | passthrough | vgpu | host_vgpu | host_vsga
    vbios: t.Optional[str] = None
    part_number: t.Optional[str] = None
    mig: MigState = field(default_factory=MigState)
    processes: t.Tuple[Process, ...] = ()
    # False where NVML refused to list processes: then the GPU counts as busy, whatever `processes` holds.
    processes_complete: bool = True
    # Subsets that only gpu_info shows: plain JSON values, fixed top-level keys (see doc fragment `gpu_info`).
    settings: t.Optional[t.Mapping[str, t.Any]] = None
    health: t.Optional[t.Mapping[str, t.Any]] = None
    # Calls that failed on this GPU without hiding the rest: {"call": ..., "code_name": ..., "message": ...}
    failures: t.Tuple[t.Mapping[str, t.Any], ...] = ()


@dataclass(frozen=True)
class SettingSet:
    """A setting that was set again after a reset. `found` is what the GPU tells then, `refused` NVML's name of the
    refusal or ""."""

    name: str
    wanted: t.Any
    found: t.Any
    refused: str = ""


@dataclass(frozen=True)
class GpuFailure:
    """A GPU that gave no handle or identity. kind: gpu_lost | gpu_hung | nvml."""

    index: int
    kind: str
    message: str
    pci: t.Optional[str] = None
    uuid: t.Optional[str] = None


@dataclass(frozen=True)
class Snapshot:
    """What one NVML session saw. `cuda_version` is "13.0"."""

    driver_version: str
    nvml_version: t.Optional[str] = None
    cuda_version: t.Optional[str] = None
    gpus: t.Tuple[Gpu, ...] = ()
    failures: t.Tuple[GpuFailure, ...] = ()

    def by_uuid(self, uuid: str) -> t.Optional[Gpu]:
        return next((gpu for gpu in self.gpus if gpu.uuid == uuid), None)
