# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declared settings of one host against its other variables, before any host is touched. Pure. PRIVATE.

Only what is certain without a GPU is told here; the rest is judged on the node.
"""

from __future__ import annotations

import datetime
import typing as t

from .._errors import WishError
from .._nvml.settings_write import MIG_VALUES
from .._select import GPU_KINDS, KINDS, Selector, parse_selector, same_gpus
from .model import Item
from .parse import LAYERS, conflicts, parse, selections

PREFIX = "gpu_"
_PASSTHROUGH = "gpu_passthrough_devices"
_MPS = "mps_daemons"
_MIG = "mig_geometry"
_LAYERED = ("", "_group", "_host")

Variables = t.Mapping[str, t.Any]


def problems(variables: Variables, today: datetime.date) -> t.Tuple[t.List[str], t.List[str]]:
    """Errors and warnings, each names variable and item."""
    try:
        layers = {name: variables.get(f"{PREFIX}{name}") for name in LAYERS}
        items = parse(**layers, prefix=PREFIX)
    except WishError as error:
        return error.message.splitlines(), []
    errors = [*conflicts(items), *_use(items, variables), *_mps(items, variables), *_mig(items, variables)]
    expired = [item for item in items if item.until is not None and item.until < today]
    warnings = [f"{item.told}: expired on {item.until}; remove or extend it" for item in expired]
    return errors, [*warnings, *_undeclared(items, variables)]


def _undeclared(items: t.Sequence[Item], variables: Variables) -> t.Iterator[str]:
    """A list of all hosts is for those with GPUs; a list of this host or its groups means it."""
    meant = [item for item in items if item.layer]
    if meant and not variables.get("accel_gpu_expected") and variables.get("accel_gpu_use") != "none":
        yield (
            f"{meant[0].address}: settings are wished, but the host declares no GPU and is skipped; "
            "declare its GPUs, as accel_gpu_expected: {count: 8}, or that it has none, as accel_gpu_use: none"
        )


def _use(items: t.Sequence[Item], variables: Variables) -> t.Iterator[str]:
    use = variables.get("accel_gpu_use")
    passed = [selector for selector, _entry in _others(variables, _PASSTHROUGH)] if use == "passthrough" else []
    for item in (item for item in items if item.layer):
        if use == "none":
            yield f"{item.address}: wishes settings, but accel_gpu_use is none; remove the item for this host"
        elif any(same_gpus(item.selector, selector) for selector in passed):
            yield (
                f"{item.address}: wishes settings for GPUs that {_PASSTHROUGH} gives to virtual machines; remove the "
                "item for this host, or give it a selector without these GPUs"
            )


def _mps(items: t.Sequence[Item], variables: Variables) -> t.Iterator[str]:
    served = _others(variables, _MPS)
    for selection in selections(items, "compute_mode"):
        if any(same_gpus(selection.selector, selector) for selector, _entry in served):
            yield (
                f"{selection.address}: the compute mode of these GPUs belongs to MPS, which {_MPS} declares for them; "
                "remove compute_mode from the item"
            )


def _mig(items: t.Sequence[Item], variables: Variables) -> t.Iterator[str]:
    """Certain only where nothing else claims these GPUs."""
    geometry = _others(variables, _MIG)
    if len(geometry) != 1 or geometry[0][1].get("mig") is False:
        return
    for setting, only in MIG_VALUES.items():
        claims = selections(items, setting)
        wished = claims[0].item.values[setting] if len(claims) == 1 else only
        if wished not in (only, "default") and same_gpus(claims[0].selector, geometry[0][0]):
            yield (
                f"{claims[0].address}: {_plain(wished)} cannot be had in MIG mode, which {_MIG} wishes for the same "
                f"GPUs; give {_plain(only)}, or take one of the items away"
            )


def _plain(value: t.Any) -> str:
    return str(value).lower()


def _others(variables: Variables, name: str) -> t.List[t.Tuple[Selector, t.Mapping[str, t.Any]]]:
    """Selectors of another role's lists; what is wrong there is told by that role."""
    found: t.List[t.Tuple[Selector, t.Mapping[str, t.Any]]] = []
    for layer in _LAYERED:
        entries = variables.get(f"{name}{layer}")
        for entry in entries if isinstance(entries, (list, tuple)) else ():
            if isinstance(entry, dict) and "gpus" in entry:
                kinds = KINDS if name == _MPS else GPU_KINDS
                try:
                    found.append((parse_selector(entry["gpus"], name, entry.get("except"), kinds), entry))
                except WishError:
                    continue
    return found
