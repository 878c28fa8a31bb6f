# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parameters of the kernel modules: what is wished against what the loaded modules show. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from .model import Parameters

# module -> parameter -> (wished, live)
Differences = t.Dict[str, t.Dict[str, t.List[str]]]


def differing(wished: Parameters, live: Parameters) -> Differences:
    """Only of what the kernel shows."""
    found: Differences = {}
    for module, entries in sorted(wished.items()):
        shown = live.get(module, {})
        for name, value in sorted(entries.items()):
            if name in shown and not _same(shown[name], value):
                found.setdefault(module, {})[name] = [value, shown[name]]
    return found


def known(differences: Differences, recorded: t.Any) -> Differences:
    """Those which the driver made itself of a value when it was loaded with it, as an earlier run recorded."""
    before = recorded if isinstance(recorded, dict) else {}
    return _filtered(differences, before, True)


def unknown(differences: Differences, recorded: t.Any) -> Differences:
    """Those which a reload may mend."""
    before = recorded if isinstance(recorded, dict) else {}
    return _filtered(differences, before, False)


def adjusted(differences: Differences) -> t.List[str]:
    """A sentence for each that a reload does not mend."""
    return [
        f"{module} was loaded with {name}={value} and runs with {live}; the driver may have adjusted it: wish what it "
        "makes of it"
        for module, entries in differences.items()
        for name, (value, live) in entries.items()
    ]


def _filtered(differences: Differences, recorded: t.Mapping[str, t.Any], same: bool) -> Differences:
    found = {
        module: {name: pair for name, pair in entries.items() if (recorded.get(module, {}).get(name) == pair) is same}
        for module, entries in differences.items()
    }
    return {module: entries for module, entries in found.items() if entries}


def _same(live: str, wished: str) -> bool:
    """The kernel shows booleans as Y and N."""
    words = {"Y": "1", "N": "0"}
    return words.get(live, live) == words.get(wished, wished)
