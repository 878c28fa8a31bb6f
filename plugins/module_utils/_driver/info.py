# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core of driver_info: parse, read, answer. PRIVATE to the collection.

A node without driver, without GPU or with parts that differ is an answer, not an error.
"""

from __future__ import annotations

import typing as t

from .._errors import PackageStateError
from .._packages.probe import manager
from .._ports import Ports
from .answer import answer_node
from .model import Node
from .probe import probe


def parse(params: t.Mapping[str, t.Any]) -> None:
    """Nothing can be wrong in what is asked."""


def read(_wish: None, ports: Ports) -> Node:
    """Raises BindingWantedError only."""
    try:
        with manager(ports) as packages:
            return probe(ports, packages)
    except PackageStateError as error:
        # No manager that is known here, or one that gives no answer: the rest of the node answers all the same.
        return probe(ports, problem=error.message)


def answer(_wish: None, node: Node, result: t.Dict[str, t.Any]) -> None:
    """Fills the result; shape in RETURN of driver_info."""
    result.update(answer_node(node))
