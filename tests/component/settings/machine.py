# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated node as the settings resident sees it."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import declare
from ansible_collections.accel.gpu.plugins.module_utils._settings import resident
from ansible_collections.accel.gpu.tests.component.mig.node import Json, Node

A100, H100, B200, T4 = "a100-80gb", "h100-80gb-sxm5", "b200-180gb", "t4"
LOCK = {"min": 1200, "max": 1305}
LOCKS = (
    "locked_gpu_clock_min",
    "locked_gpu_clock_max",
    "locked_memory_clock_min",
    "locked_memory_clock_max",
)


class Machine(Node):
    """`Node` with the settings resident in place of the MIG resident."""

    def copy(self, folder: Path) -> Machine:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Machine(folder, deadline=self.deadline)

    def apply(self, params: t.Mapping[str, t.Any], check: bool = False) -> t.Dict[str, Json]:
        result: t.Dict[str, Json] = {"changed": False}
        ports = self.ports(check)
        with self.seen():
            try:
                declare(t.cast(t.Any, resident), params, ports, result)
            except AccelError as error:
                result.update(failed=True, msg=error.message, error={**error.facts, "kind": error.kind})
            finally:
                resident.release(ports)
        return result

    def settle(self, *items: Json, **options: t.Any) -> t.Dict[str, Json]:
        """`apply` that must succeed."""
        result = self.apply({"settings": list(items), **options})
        assert not result.get("failed"), result.get("msg")
        return result

    def quiet(self, *items: Json, **options: t.Any) -> t.Dict[str, Json]:
        """`settle` that must find nothing to do."""
        result = self.settle(*items, **options)
        assert not result["changed"], [one for one in result["actions"] if one["action"] != "keep"]
        return result

    def found(self, index: int = 0) -> t.Dict[str, Json]:
        """The settings as the simulator itself shows them, those of locks among them."""
        return dict(self.sim.gpu(index)["settings"])

    def pair(self, *names: str, index: int = 0) -> t.Tuple[Json, ...]:
        found = self.found(index)
        return tuple(found[name] for name in names)


def done(result: t.Mapping[str, Json], action: str = "set_setting") -> t.List[str]:
    """Settings of the actions of one kind, in their order."""
    return [one["setting"] for one in result["actions"] if one["action"] == action and "setting" in one]


def every(**item: t.Any) -> t.Dict[str, Json]:
    return {"gpus": "all", **item}
