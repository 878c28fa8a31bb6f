# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module's documentation promises, read without importing it: the interpreters of nodes have no Ansible."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import yaml

MODULES = pathlib.Path(__file__).resolve().parents[3] / "plugins" / "modules"


def returned(module: str) -> t.Dict[str, t.Any]:
    """RETURN of a module as a mapping."""
    for node in ast.parse((MODULES / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "RETURN":
            documented: t.Dict[str, t.Any] = yaml.safe_load(ast.literal_eval(node.value))
            return documented
    raise LookupError(f"{module} documents no RETURN")
