# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with settings as the port would read them, built by hand from the boards of the simulated node."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Gpu, Snapshot
from ansible_collections.accel.gpu.plugins.module_utils._settings import model, plan
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

TODAY = datetime.date(2026, 11, 25)
A, H, B, T = "a100-80gb", "h100-80gb-sxm5", "b200-180gb", "t4"


def settings(key: str) -> t.Dict[str, t.Any]:
    """What a board shows after a boot. Application clocks are gone with Blackwell."""
    row = boards.rows()[key]
    power, clocks = row["power"], row["clocks"]
    old = row["identity"]["architecture"] != "blackwell"
    graphics, memory = (clocks["graphics_app"], clocks["memory"][0]) if old else (None, None)
    app = {"graphics": graphics, "memory": memory}
    return {
        "persistence_mode": False,
        "compute_mode": "default",
        "power_limit": {
            "current": float(power["default_w"]),
            "enforced": float(power["default_w"]),
            "default": float(power["default_w"]),
            "min": float(power["min_w"]),
            "max": float(power["max_w"]),
        },
        "application_clocks": {**app, **{f"default_{name}": clock for name, clock in app.items()}},
        "ecc": {"current": True, "pending": True, "default": True},
        "auto_boost": {"current": None, "default": None},
        "accounting_mode": False,
    }


def gpu(
    key: str, index: int = 0, mig: bool = False, changes: t.Optional[t.Mapping[str, t.Any]] = None, **more: t.Any
) -> Gpu:
    """`changes` are laid over the settings; a mapping changes some keys of a setting only."""
    found = settings(key)
    for name, value in (changes or {}).items():
        found[name] = {**found[name], **value} if isinstance(value, dict) else value
    return boards.gpu(key, mig, index=index, settings=found, **more)


def clocks(key: str, graphics: t.Optional[int] = None) -> model.Clocks:
    """Steps of 15 MHz, as the simulated node has them."""
    row = boards.rows()[key]["clocks"]
    steps = tuple(range(row["graphics_max"], row["graphics_min"] - 1, -15))[::-1]
    return model.Clocks(dict.fromkeys(sorted(row["memory"]), steps), graphics or row["graphics_min"], row["memory"][0])


def node(*gpus: Gpu, **more: t.Any) -> plan.Node:
    """Each GPU with the clocks of its board."""
    made = {one.uuid: clocks(key) for one, key in zip(gpus, map(_key, gpus))}
    fields = {"clocks": made, **more}
    return plan.Node(Snapshot("580.95.05", gpus=tuple(gpus), failures=fields.pop("failures", ())), **fields)


def _key(one: Gpu) -> str:
    return next(key for key, row in boards.rows().items() if row["name"] == one.name)
