# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings resident: the core of module gpu_settings and of the node agent. PRIVATE to the collection.

parse (options to wish) -> read (one snapshot) -> plan (pure) -> apply (verified).
"""

from __future__ import annotations

import datetime
import posixpath
import typing as t
from dataclasses import dataclass

from .._errors import WishError
from .._expected import parse_exceptions, parse_expected
from .._lock import Lock
from .._ports import Ports
from .._shape import number, shown
from . import apply as applying
from . import live, memory, probe
from .decide import WISH_FILE, WISH_MODE, Plan, State, Wish, decide
from .parse import LAYERS, defaults
from .parse import parse as parse_items
from .plan import Options
from .probe_load import driver_load

WISH_VERSION = 1
# What the node agent needs to bring the settings back; all else belongs to one run.
_LASTING = (*LAYERS, "when_busy", "takeover")
_CHOICES = {"state": ("present", "absent"), "when_busy": ("refuse", "defer")}


@dataclass(frozen=True)
class Outcome:
    """What was done; `result` is laid over the plan's."""

    done: t.Optional[applying.Done]

    def result(self) -> t.Dict[str, t.Any]:
        if self.done is None:
            return {}
        gpus = self.done.snapshot.gpus
        return {
            "gpus": [live.summary(gpu, self.done.memory.get(gpu.uuid, {})) for gpu in gpus],
            "rounded": list(self.done.notes),
        }


def parse(params: t.Mapping[str, t.Any]) -> Wish:
    """The options as a wish; those that are not given have the module's defaults. Raises WishError."""
    for name, allowed in _CHOICES.items():
        if params.get(name) not in (None, *allowed):
            raise WishError(f"{name}: {shown(params[name])} is unknown; allowed is {', '.join(allowed)}")
    prefix = str(params.get("address_prefix") or "")
    absent = params.get("state") == "absent"
    # Suboptions that were not given are None.
    expected = {key: value for key, value in (params.get("expected") or {}).items() if value is not None}
    layers = {name: params.get(name) for name in LAYERS}
    items = defaults(prefix) if absent else parse_items(**layers, prefix=prefix)
    return Wish(
        items,
        Options(params.get("when_busy") or "refuse", datetime.date.today()),
        takeover=bool(params.get("takeover")),
        lock_timeout=_seconds(params.get("lock_timeout"), f"{prefix}lock_timeout"),
        expected=parse_expected(expected, f"{prefix}expected") if expected else None,
        faults=parse_exceptions(params.get("exceptions"), f"{prefix}exceptions"),
        document=_document(params, absent) if params.get("persist") else None,
        removes=bool(params.get("persist")) and (absent or not items),
        forgets=absent,
    )


def _seconds(value: t.Any, name: str) -> float:
    if value is None:
        return 300.0
    if value == 0 and not isinstance(value, bool):
        return 0.0
    given = number(value, name, "a number from 0 to 86400")
    if given > 86400:
        raise WishError(f"{name}: {shown(value)} is out of range; allowed is 0 to 86400")
    return given


def _document(params: t.Mapping[str, t.Any], absent: bool) -> t.Dict[str, t.Any]:
    names = [name for name in _LASTING if not (absent and name in LAYERS)]
    options = {name: params[name] for name in names if params.get(name) not in (None, [], {})}
    if absent:
        options["state"] = "absent"
    return {"version": WISH_VERSION, "options": options}


def read(wish: Wish, ports: Ports) -> State:
    """One snapshot, and under the node's lock whatever the plan needs to know. See `probe.read`."""
    return probe.read(wish, ports)


def plan(wish: Wish, state: State) -> Plan:
    """The plan; wrong wishes and busy GPUs are its `refusal`."""
    return decide(wish, state)


def apply(plan: Plan, ports: Ports) -> Outcome:
    """Makes it so. Raises an AccelError whose facts tell `step`, `changed` and `cause`."""
    done = applying.apply(plan, ports) if plan.steps else None
    if plan.write_wish:
        ports.files.write_json(WISH_FILE, plan.wish.document, mode=WISH_MODE)
    elif plan.remove_wish:
        _remove(ports, [WISH_FILE, *([memory.PATH] if plan.wish.forgets else [])])
    return Outcome(done)


def _remove(ports: Ports, paths: t.Sequence[str]) -> None:
    """What a wish with `persist` left on the node."""
    for path in paths:
        ports.files.remove(path)
        ports.files.prune(posixpath.dirname(path), top=posixpath.dirname(posixpath.dirname(path)))


def release(ports: Ports) -> None:
    """Gives the node's lock back before the process ends."""
    Lock(ports.files).release()


def export(ports: Ports) -> t.Dict[str, t.Any]:
    """A wish that asks for what every GPU of the node has now."""
    with ports.open_nvml() as session:
        snapshot = session.snapshot(("identity", "settings"))
    remembered = memory.read(ports.files, driver_load(ports.root))
    items = [live.item(gpu, remembered.get(gpu.uuid, {})) for gpu in snapshot.gpus]
    return {"version": WISH_VERSION, "options": {"settings": items}}
