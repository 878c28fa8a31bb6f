# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests also run on the interpreters of nodes, which have no Ansible: files that import it are left out there."""

from __future__ import annotations

import ast
import importlib.util
import pathlib
import typing as t

import pytest

# What a node's interpreter has not, and the environment of `make env` has.
CONTROL_NODE_ONLY = ("ansible", "pynvml")
ABSENT = tuple(name for name in CONTROL_NODE_ONLY if importlib.util.find_spec(name) is None)
# They look at the checkout, not at what runs on a node: one run of them, on the control node's Python, says it all.
OF_THE_CHECKOUT = ("test_checkout.py", "test_rooms.py", "test_tools.py")
LEFT_OUT: t.List[str] = []


def imported(path: pathlib.Path) -> t.Set[str]:
    """Top-level packages that the file imports, in functions too."""
    names: t.Set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def pytest_ignore_collect(collection_path: pathlib.Path) -> t.Optional[bool]:
    if not ABSENT or collection_path.suffix != ".py":
        return None
    if collection_path.name not in OF_THE_CHECKOUT and not imported(collection_path).intersection(ABSENT):
        return None
    LEFT_OUT.append(collection_path.name)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LEFT_OUT:
        terminalreporter.write_line(f"left out, {', '.join(ABSENT)} not being here: {', '.join(sorted(LEFT_OUT))}")
