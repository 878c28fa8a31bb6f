# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the node agent to the node: asks with the digests first, sends the files only where they differ."""

from __future__ import annotations

import base64
import typing as t
import zlib

from ansible.errors import AnsibleActionFail
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.action import ActionBase

from ..plugin_utils._archive import agent_archive, binding_source, digest


class ActionModule(ActionBase):
    """One call where the node is right (and in check mode), two where it needs files."""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        files = {} if arguments.get("state") == "absent" else _files()
        arguments.update({f"{name}_sha256": digest(data) for name, data in files.items()})
        result = self._execute_module(module_name="accel.gpu.node_agent", module_args=arguments, task_vars=task_vars)
        if result.pop("payload_wanted", False):
            arguments.update({name: _packed(data) for name, data in files.items()})
            result = self._execute_module(
                module_name="accel.gpu.node_agent", module_args=arguments, task_vars=task_vars
            )
        return dict(result)


def _files() -> dict[str, bytes]:
    binding = binding_source()
    if binding is None:
        raise AnsibleActionFail(missing_required_lib("nvidia-ml-py", reason="on the control node, for the node agent"))
    return {"archive": agent_archive(), "binding": binding}


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")
