# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that pass between reading and answering in gpu_info. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from .._expected import Expected, KnownFault
from .._nvml.objects import Snapshot
from .._owners.objects import Allocation, Owners
from .._select import Selector

SUBSETS = ("identity", "mig", "processes", "allocations", "settings", "health")


@dataclass(frozen=True)
class Wish:
    """The options, checked. `nvlinks` is the declared number of active links of each GPU."""

    subsets: t.Tuple[str, ...]
    selector: Selector
    expected: t.Optional[Expected] = None
    nvlinks: t.Optional[int] = None
    faults: t.Tuple[KnownFault, ...] = ()


@dataclass(frozen=True)
class Owner:
    """Whose process it is."""

    user: str
    command: str


@dataclass(frozen=True)
class PciGpu:
    """An NVIDIA GPU in the PCI tree. `kernel_driver` is None where no driver has it."""

    pci: str
    device_id: str
    kernel_driver: t.Optional[str]


@dataclass(frozen=True)
class Driver:
    """state: loaded | missing | not_loaded | mismatch | hung | failed. `message` says what to do, but for loaded."""

    state: str
    version: t.Optional[str] = None
    nvml_version: t.Optional[str] = None
    cuda_version: t.Optional[str] = None
    module_version: t.Optional[str] = None
    message: t.Optional[str] = None


@dataclass(frozen=True)
class State:
    """All that was read. `snapshot` is None where NVML gave none."""

    driver: Driver
    today: datetime.date
    pci_gpus: t.Tuple[PciGpu, ...] = ()
    snapshot: t.Optional[Snapshot] = None
    process_owners: t.Mapping[int, Owner] = field(default_factory=dict)
    owners: t.Optional[Owners] = None
    allocations: t.Mapping[str, t.Tuple[Allocation, ...]] = field(default_factory=dict)

    @property
    def without_mig(self) -> t.FrozenSet[int]:
        """Indexes of GPUs that answer and whose MIG state only root may see: they stand among the failures too."""
        if self.snapshot is None:
            return frozenset()
        failed = {failure.index for failure in self.snapshot.failures}
        return frozenset(gpu.index for gpu in self.snapshot.gpus if gpu.index in failed)
