# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of a module that only reads. PRIVATE to the collection."""

from __future__ import annotations

import functools
import typing as t

from .._ports import Ports
from .flow import Result, run_flow

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class InfoCore(t.Protocol):
    """A core: usually a Python module. `read` does the I/O; `answer` fills the result first and may then raise."""

    def parse(self, params: t.Mapping[str, t.Any]) -> t.Any: ...
    def read(self, wish: t.Any, ports: Ports) -> t.Any: ...
    def answer(self, wish: t.Any, state: t.Any, result: Result) -> None: ...


def run_info(module: AnsibleModule, core: t.Any) -> None:
    """Ends the module with what the core answers; never changed."""
    run_flow(module, functools.partial(inform, core, module.params))


def inform(core: InfoCore, params: t.Mapping[str, t.Any], ports: Ports, result: Result) -> None:
    """The flow without AnsibleModule."""
    wish = core.parse(params)
    core.answer(wish, core.read(wish, ports), result)
