# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPUs are meant by a selector, those without an answer included. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import GpuHungError, GpuLostError, NotRootError, NvmlError
from .._nvml.objects import GpuFailure, Snapshot
from .._select import Selector, match, may_name_failure, names_failure
from .model import Target


def select(selector: Selector, snapshot: Snapshot) -> t.Tuple[Target, ...]:
    """By PCI address. Raises WishError where an exact selector matches nothing.

    A GPU without an answer is meant by `all`, and by its UUID, PCI address or index; its model is not known.
    """
    silent = [failure for failure in snapshot.failures if _means(selector, failure, snapshot)]
    try:
        answering = match(selector, snapshot.gpus, snapshot.failures)
    except (GpuLostError, GpuHungError, NotRootError, NvmlError):
        # The selector names, or may name, a GPU without an answer.
        answering = ()
        silent = silent or [one for one in snapshot.failures if may_name_failure(selector, one, snapshot.gpus)]
    targets = [Target(gpu.index, gpu.uuid, gpu.pci, gpu.name, gpu) for gpu in answering]
    targets += [_silent(failure) for failure in silent]
    return tuple(sorted(targets, key=lambda target: (target.pci, target.index)))


def _means(selector: Selector, failure: GpuFailure, snapshot: Snapshot) -> bool:
    meant = selector.kind == "all" or names_failure(selector, failure)
    return meant and not any(may_name_failure(entry, failure, snapshot.gpus) for entry in selector.exclude)


def _silent(failure: GpuFailure) -> Target:
    return Target(failure.index, failure.uuid or "", failure.pci or "", "", None, failure.message)
