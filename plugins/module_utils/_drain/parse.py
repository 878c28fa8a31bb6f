# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of gpu_drain as a wish. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._problems import Problems
from .._shape import shown
from .model import RUN, Wish

_LONGEST = 30 * 86400


def parse(params: t.Mapping[str, t.Any]) -> Wish:
    """Raises WishError that names every wrong option."""
    problems = Problems()
    run, note, command = params["run"], params["note"], tuple(params.get("command") or ())
    purpose, other = params.get("purpose") or "", params.get("adopt_run") or ""
    _whose(problems, run, purpose, other, params["adopt"])
    if not params["node"].strip() or len(params["node"].split()) != 1:
        problems.add(f"node: {shown(params['node'])} is not the name of a node; give the one that the scheduler knows")
    if not note.strip() or "\n" in note:
        problems.add(f"note: {shown(note)} is not one line of text; give the reason for the drain in a few words")
    if params["provider"] == "command" and not command:
        problems.add("command is missing; give the program, and its first arguments, that provider command starts")
    if params["provider"] != "command" and command:
        problems.add(f"command is for provider command only, and provider is {params['provider']}; remove one of them")
    for name, least in (("timeout", 0.0), ("poll", 0.1)):
        if not least <= params[name] <= _LONGEST:
            problems.add(f"{name}: {params[name]:g} is out of range; give {least:g} to {_LONGEST} seconds")
    problems.raise_any()
    return Wish(
        state=params["state"],
        provider=params["provider"],
        node=params["node"].strip(),
        run=run,
        note=note.strip(),
        purpose=purpose,
        adopt=params["adopt"],
        timeout=params["timeout"],
        poll=params["poll"],
        keep=params["on_timeout"] == "keep",
        command=command,
        adopt_run=other,
    )


def _whose(problems: Problems, run: str, purpose: str, other: str, adopt: bool) -> None:
    """Whose drains are ours."""
    for name, value, what in (
        ("run", run, "the id of a run"),
        ("purpose", purpose or "x", "a purpose"),
        ("adopt_run", other or "x", "the id of a run"),
    ):
        if not RUN.fullmatch(value):
            problems.add(
                f"{name}: {shown(value)} cannot be {what}; give 1 to 64 letters, digits, dots, underscores and hyphens"
            )
    for name, given in (("adopt: true", adopt), ("adopt_run", other)):
        if given and not purpose:
            problems.add(f"{name} needs purpose, because only a drain with the same purpose is adopted; give it too")
