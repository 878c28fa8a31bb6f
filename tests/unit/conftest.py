# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests also run on the interpreters of nodes, which have no Ansible: what needs it is left out, and said."""

from __future__ import annotations

import ast
import functools
import importlib.util
import pathlib
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLLECTION = "ansible_collections.accel.gpu."
# What a node's interpreter has not, and the environment of `make env` has.
CONTROL_NODE_ONLY = ("ansible", "pynvml")
ABSENT = frozenset(name for name in CONTROL_NODE_ONLY if importlib.util.find_spec(name) is None)
# They look at the checkout, not at what runs on a node: one run of them, on the control node's Python, says it all.
OF_THE_CHECKOUT = ("test_checkout.py", "test_rooms.py", "test_tools.py")
LEFT_OUT: t.List[str] = []


def absolute(node: ast.ImportFrom, path: pathlib.Path) -> str:
    """The full name of what is imported from, relative imports resolved."""
    if not node.level:
        return node.module or ""
    folder = path.parents[node.level - 1].relative_to(ROOT)
    return COLLECTION + ".".join((*folder.parts, *([node.module] if node.module else [])))


def module_level(path: pathlib.Path) -> t.Iterator[str]:
    """Full names that importing the file imports; what stands in functions may never run."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, path)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@functools.cache
def needs(path: pathlib.Path) -> t.FrozenSet[str]:
    """Top-level packages that the file needs, through other files of the collection too."""
    found: t.Set[str] = set()
    for name in module_level(path):
        if not name.startswith(COLLECTION):
            found.add(name.split(".")[0])
            continue
        inner = ROOT.joinpath(*name[len(COLLECTION) :].split(".")).with_suffix(".py")
        if inner.is_file() and inner != path:
            found.update(needs(inner))
    return frozenset(found)


def pytest_ignore_collect(collection_path: pathlib.Path) -> t.Optional[bool]:
    if not ABSENT or collection_path.suffix != ".py":
        return None
    if collection_path.name not in OF_THE_CHECKOUT and not needs(collection_path) & ABSENT:
        return None
    LEFT_OUT.append(collection_path.name)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LEFT_OUT:
        absent = ", ".join(sorted(ABSENT))
        terminalreporter.write_line(f"left out, {absent} not being here: {', '.join(sorted(LEFT_OUT))}")
