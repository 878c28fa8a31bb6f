# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core of driver_info: parse, read, answer. PRIVATE to the collection.

A node without driver, without GPU or with parts that differ is an answer, not an error; so is a plan that would refuse.
"""

from __future__ import annotations

import datetime
import typing as t

from .._errors import AccelError, BindingWantedError, PackageStateError
from .._packages.probe import manager
from .._ports import Ports
from . import core
from .answer import answer_node, answer_plan
from .decide.planned import Asked, Others, Planned
from .look import probe_others
from .look.probe import probe
from .model import Node
from .parse import parse as parse_wish

# In front of the names of options in messages, as the user writes them.
PREFIX = "wish."


class Look(t.NamedTuple):
    """`others` are those whom a reboot would hurt. `plan` is what gpu_driver would do, `refusal` why there is none;
    both None where nothing is wished."""

    node: Node
    others: Others = Others()
    plan: t.Optional[Planned] = None
    refusal: t.Optional[AccelError] = None


def parse(params: t.Mapping[str, t.Any]) -> t.Optional[Asked]:
    """The wish, None where there is none. Raises WishError."""
    wish = params.get("wish")
    if wish is None:
        return None
    return Asked(parse_wish({**wish, "address_prefix": PREFIX}, datetime.date.today()))


def read(asked: t.Optional[Asked], ports: Ports) -> Look:
    """One look. Raises BindingWantedError only."""
    others = probe_others.probe(ports)
    if asked is None:
        return Look(_facts(ports), others)
    try:
        # As in check mode: nothing on the node changes, not even a lock is taken.
        seen = core.read(asked, ports._replace(check=True))
    except BindingWantedError:
        raise
    except AccelError as error:
        return Look(_facts(ports), others, refusal=error)
    plan = core.plan(asked, seen)
    return Look(seen.state.node, others, plan, plan.refusal)


def _facts(ports: Ports) -> Node:
    try:
        with manager(ports) as packages:
            return probe(ports, packages)
    except PackageStateError as error:
        # No manager that is known here, or one that gives no answer: the rest of the node answers all the same.
        return probe(ports, problem=error.message)


def answer(asked: t.Optional[Asked], look: Look, result: t.Dict[str, t.Any]) -> None:
    """Fills the result; shape in RETURN of driver_info."""
    result.update(answer_node(look.node, look.others))
    if asked is not None:
        result["plan"] = answer_plan(look.plan, look.refusal)
