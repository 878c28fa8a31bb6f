# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings pynvml to nodes that have none. PRIVATE to the collection.

The module is called lean first. Only where libnvidia-ml is on the node and no pynvml, it asks for one, and the second
call carries the control node's own pynvml source. The source is located there, never imported.
"""

from __future__ import annotations

import typing as t

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
        if self._task.async_val:
            # The answer of a lean call would come to the user, not to us; so the source travels at once.
            return self._call(task_vars, brought=True)
        result = self._call(task_vars, brought=False)
        if not result.get("binding_wanted"):
            return result
        return self._call(task_vars, brought=True)

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
