# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One resident, one wish, one report: the flow that boot and console share. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import AccelError, WishError
from .._ports import Ports
from .residents import Resident

VERSION = 1
# Not options of a wish: the agent finds its own pynvml and writes no wish.
_OWN = {"persist": False}

# Exit codes of accel-gpu. Each class of errors has one, so that a script need not read sentences.
OK, ERROR, USAGE, DIFFERS, REFUSED, OWED, WISH, NODE, TIMED_OUT = range(9)
_CODES = {
    "busy": REFUSED,
    "foreign_manager": REFUSED,
    "blocked": REFUSED,
    "locked": REFUSED,
    "wish": WISH,
    "permission": NODE,
    "driver_missing": NODE,
    "driver_mismatch": NODE,
    "binding_missing": NODE,
    "gpu_missing": NODE,
    "nvml": NODE,
    "gpu_lost": NODE,
    "gpu_hung": NODE,
    "session_died": NODE,
}


class Report(t.NamedTuple):
    """`status`: ok (nothing to do) | changed | differs (a plan that was not applied) | owed | refused | failed."""

    resident: str
    status: str
    code: int
    message: str = ""
    changed: bool = False
    actions: t.Sequence[t.Mapping[str, t.Any]] = ()
    diff: t.Mapping[str, t.Mapping[str, t.Any]] = {}
    owed: t.Sequence[t.Mapping[str, t.Any]] = ()

    def document(self) -> t.Dict[str, t.Any]:
        return dict(self._asdict(), actions=list(self.actions), diff=dict(self.diff), owed=list(self.owed))


def run(resident: Resident, options: t.Mapping[str, t.Any], ports: Ports, apply: bool) -> Report:
    """Brings the node to `options` (apply), or tells what that would do. Never raises AccelError."""
    try:
        return _run(resident, {**options, **_OWN}, ports._replace(check=not apply), apply)
    except AccelError as error:
        code = code_of(error)
        status = "refused" if code == REFUSED else "failed"
        return Report(resident.name, status, code, error.message)


def code_of(error: AccelError) -> int:
    """The exit code of an error's class."""
    return _CODES.get(error.kind, ERROR)


def _run(resident: Resident, options: t.Mapping[str, t.Any], ports: Ports, apply: bool) -> Report:
    core = resident.core
    wish = core.parse(options)
    plan = core.plan(wish, core.read(wish, ports))
    if plan.refusal is not None:
        if apply and hasattr(core, "before_refusal"):
            core.before_refusal(plan, ports)  # an interrupted earlier run is finished although this wish is refused
        raise plan.refusal
    result = dict(plan.result())
    if apply and getattr(plan, "acts", plan.changed):
        result.update(core.apply(plan, ports).result())
    owed = tuple(_owed(result))
    differs = plan.changed and not apply
    status = "differs" if differs else "owed" if owed else "changed" if plan.changed else "ok"
    code = DIFFERS if differs else OWED if owed else OK
    return Report(resident.name, status, code, "", plan.changed, plan.actions, plan.diff, owed)


def _owed(result: t.Mapping[str, t.Any]) -> t.Iterator[t.Dict[str, str]]:
    for uuid in result.get("reset_required") or ():
        yield {"state": "reset_required", "object": uuid}
    for uuid in result.get("deferred") or ():
        yield {"state": "deferred", "object": uuid}
    if result.get("reboot_required"):
        yield {"state": "reboot_required", "object": "node"}


def options_of(document: t.Any, resident: Resident, source: str) -> t.Dict[str, t.Any]:
    """A wish file, an exported layout or a bare list of items -> options of the resident's core. Raises WishError."""
    if isinstance(document, list):
        return {resident.document: document}
    if isinstance(document, dict) and document.get("version") == VERSION:
        if isinstance(document.get("options"), dict):
            return dict(document["options"])
        if "options" not in document:
            return {resident.document: document}
    raise WishError(
        f"{source}: is neither a wish file nor a layout of version {VERSION} nor a list of items; "
        f"accel-gpu {resident.name} export shows the form"
    )
