# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings resident: the core of module gpu_settings and of the node agent. PRIVATE to the collection.

parse (options to wish) -> read (one snapshot) -> plan (pure) -> apply (verified).
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from .. import _wishes
from .._errors import WishError
from .._expected import parse_exceptions, parse_expected
from .._lock import Lock
from .._ports import Ports
from .._shape import bounded, shown
from . import apply as applying
from . import kept, live, memory, probe
from .decide import WISH_FILE, Plan, State, Wish, decide
from .parse import LAYERS, defaults
from .parse import parse as parse_items
from .plan import Options
from .probe_load import driver_load

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
        lock_timeout=bounded(params.get("lock_timeout"), f"{prefix}lock_timeout", 300, 86400),
        expected=parse_expected(expected, f"{prefix}expected") if expected else None,
        faults=parse_exceptions(params.get("exceptions"), f"{prefix}exceptions"),
        document=_document(params, absent) if params.get("persist") else None,
        removes=bool(params.get("persist")) and (absent or not items),
        forgets=absent,
    )


def _document(params: t.Mapping[str, t.Any], absent: bool) -> t.Dict[str, t.Any]:
    names = [name for name in _LASTING if not (absent and name in LAYERS)]
    state = {"state": "absent"} if absent else {}
    return _wishes.document({**{name: params.get(name) for name in names}, **state})


def read(wish: Wish, ports: Ports) -> State:
    """One snapshot, and under the node's lock whatever the plan needs to know. See `probe.read`."""
    return probe.read(wish, ports)


def plan(wish: Wish, state: State) -> Plan:
    """The plan; wrong wishes and busy GPUs are its `refusal`."""
    return decide(wish, state)


def apply(plan: Plan, ports: Ports) -> Outcome:
    """Makes it so. Raises an AccelError whose facts tell `step`, `changed` and `cause`."""
    # First: a run that dies on the way must not leave the older value to overwrite what it has set.
    kept.drop(ports.files, plan.superseded)
    done = applying.apply(plan, ports) if plan.steps else None
    if plan.write_wish:
        _wishes.write(ports.files, WISH_FILE, plan.wish.document)
    elif plan.remove_wish:
        _wishes.remove(ports.files, WISH_FILE, *([memory.PATH] if plan.wish.forgets else []))
    return Outcome(done)


def release(ports: Ports) -> None:
    """Gives the node's lock back before the process ends."""
    Lock(ports.files).release()


def export(ports: Ports) -> t.Dict[str, t.Any]:
    """A wish that asks for what every GPU of the node has now."""
    with ports.open_nvml() as session:
        snapshot = session.snapshot(("identity", "settings"))
    remembered = memory.read(ports.files, driver_load(ports.root))
    items = [live.item(gpu, remembered.get(gpu.uuid, {})) for gpu in snapshot.gpus]
    return {"version": _wishes.VERSION, "options": {"settings": items}}
