# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings pynvml to nodes that have none. PRIVATE to the collection.

The module is called lean first. Only where libnvidia-ml is on the node and no pynvml, it asks for one, and the second
call carries the control node's own pynvml source. The source is located there, never imported. Until the run ends that
node gets it with the first call; it prefers a pynvml of its own anyway.
"""

from __future__ import annotations

import pathlib
import typing as t
import urllib.parse

from ansible import constants
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.action import ActionBase

from ..module_utils._nvml.binding import pack
from ._archive import binding_source


class BringsBinding(ActionBase):
    """Base of the action plugins of all modules with NVML; `module` is the module's full name."""

    module: str
    _supports_async = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        asked_before = self._memory(task_vars or {})
        # The answer of an asynchronous lean call would come to the user, not to us; so the source travels at once.
        if self._task.async_val or asked_before.exists():
            return self._call(task_vars, brought=True)
        result = self._call(task_vars, brought=False)
        if not result.get("binding_wanted"):
            return result
        if binding_source() is not None:
            asked_before.parent.mkdir(exist_ok=True)
            asked_before.touch()
        return self._call(task_vars, brought=True)

    def _memory(self, task_vars: dict[str, t.Any]) -> pathlib.Path:
        """A file that says that this node has asked. It lies in the folder that ansible-core makes for a run and
        removes at its end, because each task is a process of its own and can leave nothing in memory."""
        node = self._task.delegate_to or task_vars.get("inventory_hostname", "")
        return pathlib.Path(constants.DEFAULT_LOCAL_TMP) / "accel_gpu_binding" / urllib.parse.quote(str(node), safe="")

    def _call(self, task_vars: dict[str, t.Any] | None, brought: bool) -> dict[str, t.Any]:
        arguments = dict(self._task.args)
        if brought and not arguments.get("nvml_binding"):
            source = binding_source()
            if source is not None:
                arguments["nvml_binding"] = pack(source.decode("utf-8"))
            elif self._task.async_val:
                # The node may have pynvml itself; if not, the empty option makes the module fail instead of asking.
                arguments["nvml_binding"] = ""
            else:
                return {"failed": True, "changed": False, "msg": self._missing()}
        return dict(
            self._execute_module(
                module_name=self.module,
                module_args=arguments,
                task_vars=task_vars,
                wrap_async=bool(self._task.async_val),
            )
        )

    def _missing(self) -> str:
        name = self.module.rsplit(".", 1)[-1]
        reason = "on the control node, because the managed node has libnvidia-ml but no pynvml"
        return f"{name}: {missing_required_lib('nvidia-ml-py', reason=reason)}"
