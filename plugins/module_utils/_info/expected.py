# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare what a host declares with what gpu_info found. Pure. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from .._errors import InternalError
from .._expected import missing
from .._nvml.objects import Gpu
from .objects import State, Wish


@dataclass(frozen=True)
class Verdict:
    """`answer` is the result key `expected`; `missing` is the sentence that fails the host."""

    answer: t.Mapping[str, t.Any]
    warnings: t.Tuple[str, ...]
    missing: t.Optional[str]


def judge(wish: Wish, state: State) -> Verdict:
    """A missing GPU fails, everything else that differs is a warning."""
    if wish.expected is None:
        raise InternalError("a host that declares nothing was to be compared with what it declares")
    gpus = state.snapshot.gpus if state.snapshot else ()
    sentence = missing(wish.expected, wish.faults, [(gpu.uuid, gpu.name) for gpu in gpus], _silent(state))
    warnings = _expired(wish, state.today) + _fewer_links(wish, gpus)
    answer = {
        "declared": wish.expected.count,
        "model": wish.expected.model,
        "answering": len(gpus),
        "met": sentence is None,
        "exceptions": [_exception(fault, gpus) for fault in wish.faults],
        "warnings": list(warnings),
    }
    return Verdict(answer, warnings, sentence)


def _silent(state: State) -> t.List[str]:
    """One sentence for everything that should answer and does not."""
    if state.snapshot is None:
        return [state.driver.message or f"the driver is {state.driver.state}"] + _unseen(state)
    return [failure.message for failure in state.snapshot.failures] + _unseen(state)


def _unseen(state: State) -> t.List[str]:
    """GPUs that the PCI tree has and NVML does not name: bound to another driver, or dead."""
    named: t.Set[t.Optional[str]] = set()
    if state.snapshot:
        named |= {gpu.pci for gpu in state.snapshot.gpus}
        named |= {failure.pci for failure in state.snapshot.failures}
    return [
        f"GPU {gpu.pci} ({gpu.device_id}) is in the PCI tree, "
        + (f"bound to {gpu.kernel_driver}" if gpu.kernel_driver else "without a driver")
        for gpu in state.pci_gpus
        if gpu.pci not in named
    ]


def _expired(wish: Wish, today: datetime.date) -> t.Tuple[str, ...]:
    return tuple(
        f"{fault.address}: the exception for {fault.gpu} ({fault.reason}) expired on {fault.until}; repair the GPU or "
        "extend it"
        for fault in wish.faults
        if fault.until < today
    )


def _fewer_links(wish: Wish, gpus: t.Sequence[Gpu]) -> t.Tuple[str, ...]:
    """Needs subset health; without it nothing is compared."""
    found = []
    for gpu in gpus:
        if wish.nvlinks is None or gpu.health is None:
            continue
        active = sum(1 for link in gpu.health["nvlinks"] if link["active"])
        if active < wish.nvlinks:
            found.append(
                f"expected.nvlinks: {wish.nvlinks} are declared, GPU {gpu.pci} ({gpu.uuid}, {gpu.name}) has {active} "
                "active"
            )
    return tuple(found)


def _exception(fault: t.Any, gpus: t.Sequence[Gpu]) -> t.Dict[str, t.Any]:
    return {
        "gpu": fault.gpu,
        "state": fault.state,
        "reason": fault.reason,
        "until": fault.until.isoformat(),
        # An exception for a GPU that is back can be taken out of the inventory.
        "applies": not any(gpu.uuid.lower().startswith(fault.gpu.lower()) for gpu in gpus),
    }
