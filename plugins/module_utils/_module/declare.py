# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of a module that makes what was declared: parse, read, plan, and outside check mode apply. PRIVATE."""

from __future__ import annotations

import functools
import typing as t

from .._errors import AccelError
from .._ports import Ports
from .flow import Result, run_flow

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Plan(t.Protocol):
    """What is to be done and why. `refusal` is raised in check mode too, in the same words."""

    @property
    def changed(self) -> bool: ...
    @property
    def diff(self) -> t.Mapping[str, t.Any]: ...
    @property
    def actions(self) -> t.Sequence[t.Any]: ...
    @property
    def refusal(self) -> t.Optional[AccelError]: ...
    def result(self) -> Result: ...


class Outcome(t.Protocol):
    """What was done."""

    def result(self) -> Result: ...


class Core(t.Protocol):
    """A core: usually a Python module. `read` and `apply` do the I/O, `parse` and `plan` are pure."""

    def parse(self, params: t.Mapping[str, t.Any]) -> t.Any: ...
    def read(self, wish: t.Any, ports: Ports) -> t.Any: ...
    def plan(self, wish: t.Any, state: t.Any) -> t.Any: ...
    def apply(self, plan: t.Any, ports: Ports) -> t.Any: ...


def run_declare(module: AnsibleModule, core: t.Any) -> None:
    """Ends the module with changed, diff, actions and whatever plan and outcome add."""
    run_flow(module, functools.partial(declare, core, module.params))


def declare(core: Core, params: t.Mapping[str, t.Any], ports: Ports, result: Result) -> None:
    """The flow without AnsibleModule. Raises AccelError; `result` then holds what is known, and the error tells whether
    this call left something changed: a rescue in a playbook may see the error alone."""
    try:
        _declare(core, params, ports, result)
    except AccelError as error:
        error.facts.setdefault("changed", bool(result.get("changed")))
        raise


def _declare(core: Core, params: t.Mapping[str, t.Any], ports: Ports, result: Result) -> None:
    wish = core.parse(params)
    plan: Plan = core.plan(wish, core.read(wish, ports))
    result.update(plan.result(), diff=dict(plan.diff), actions=list(plan.actions))
    if plan.refusal is not None:
        if not ports.check and hasattr(core, "before_refusal"):
            # An interrupted earlier run is settled although this wish is refused; the answer is the result of that.
            settled = dict(core.before_refusal(plan, ports))
            told = (*result.get("warnings", ()), *settled.get("warnings", ()))
            result.update(settled, warnings=list(dict.fromkeys(told)))
        raise plan.refusal
    result["changed"] = plan.changed
    # A plan may act without a change of the node, such as filling a cache; it says so by `acts`.
    if getattr(plan, "acts", plan.changed) and not ports.check:
        _apply(core, plan, ports, result)


def _apply(core: Core, plan: Plan, ports: Ports, result: Result) -> None:
    try:
        outcome: Outcome = core.apply(plan, ports)
    except AccelError as error:
        # A failed step that was taken back leaves the node as it was, unless the core says that a part was done.
        result["changed"] = bool(error.facts.get("changed", not error.facts.get("restored", False)))
        raise
    result.update(outcome.result())
