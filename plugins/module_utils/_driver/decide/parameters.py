# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parameters of the kernel modules: what is wished against what the loaded modules show. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from ..model import Node, Parameters

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


def dropped(wished: Parameters, written: Parameters, node: Node) -> t.Dict[str, t.Dict[str, str]]:
    """What nothing wishes any more and the loaded modules still run with: module -> parameter -> live value. `written`
    stands in our file, and earlier runs recorded what they took out of it; that is void in another boot."""
    if node.loaded is None:
        return {}
    recorded = node.records.get("dropped") or {}
    before = recorded.get("values", {}) if recorded.get("boot") == node.boot_id else {}
    made = node.records.get("adjusted") or {}
    found: t.Dict[str, t.Dict[str, str]] = {}
    for module, live in node.live_parameters.items():
        for name, value in live.items():
            was = written.get(module, {}).get(name)
            ours = was is not None and (_same(value, was) or made.get(module, {}).get(name) == [was, value])
            if name not in wished.get(module, {}) and (ours or before.get(module, {}).get(name) == value):
                found.setdefault(module, {})[name] = value
    return found


def written(content: str, names: t.Mapping[str, str]) -> Parameters:
    """Those in a file of modprobe.d; `names` are the modules by what this node's driver calls them there."""
    found: t.Dict[str, t.Dict[str, str]] = {}
    for line in content.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "options":
            module = names.get(words[1], words[1].replace("-", "_"))
            pairs = (pair.partition("=") for pair in words[2:])
            found.setdefault(module, {}).update({name: value for name, _equals, value in pairs})
    return found


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
