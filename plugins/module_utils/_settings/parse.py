# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the declared lists to items: shape only, no GPU is looked at. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import WishError
from .._problems import Problems
from .._select import GPU_KINDS, Selection, parse_selector, static_conflicts
from .._shape import boolean, date, integer, keys, mapping, number, sequence, shown, text
from .model import COMPUTE_MODES, DEFAULT, SETTINGS, Item, Value

LAYERS = ("settings", "settings_group", "settings_host")
_ITEM_KEYS = ("gpus", "except", *SETTINGS, "reason", "until")
# No clock of a GPU is as high; more is a slip of the finger or another unit.
_MAX_MHZ = 100_000
# What `state: absent` takes everything back to. ECC is left alone: its change costs a reset.
_OFF: t.Mapping[str, Value] = {
    "persistence_mode": False,
    "power_limit": DEFAULT,
    "compute_mode": DEFAULT,
    "application_clocks": DEFAULT,
    "auto_boost": DEFAULT,
    "locked_clocks": DEFAULT,
    "locked_memory_clocks": DEFAULT,
    "accounting_mode": False,
}


def parse(
    settings: t.Any = None, settings_group: t.Any = None, settings_host: t.Any = None, prefix: str = ""
) -> t.Tuple[Item, ...]:
    """The items of one node. Raises WishError that names every wrong place, e.g. `settings[1].power_limit`, with
    `prefix` in front."""
    problems = Problems()
    items: t.List[Item] = []
    for layer, (name, value) in enumerate(zip(LAYERS, (settings, settings_group, settings_host))):
        with problems.caught():
            items.extend(_parse_layer(value, f"{prefix}{name}", layer, problems))
    problems.raise_any()
    return tuple(items)


def defaults(prefix: str = "") -> t.Tuple[Item, ...]:
    """The wish of `state: absent`: every GPU as the driver would have it."""
    address = f"{prefix}state: absent"
    return (Item(address, parse_selector("all", address), _OFF, lenient=True),)


def selections(items: t.Sequence[Item], setting: str) -> t.List[Selection[Item]]:
    """Who claims one setting. Each setting is ruled by itself: an item wins only in what it names."""
    return [
        Selection(item.selector, item.layer, item, f"{item.address}.{setting}")
        for item in items
        if setting in item.values
    ]


def conflicts(items: t.Sequence[Item]) -> t.List[str]:
    """Contradictions that are certain without a host, for the controller."""
    return [line for setting in SETTINGS for line in static_conflicts(selections(items, setting))]


def _parse_layer(value: t.Any, name: str, layer: int, problems: Problems) -> t.List[Item]:
    if value is None:
        return []
    items = []
    for index, entry in enumerate(sequence(value, name, "a list of items with gpus and settings")):
        with problems.caught():
            items.append(_parse_item(entry, f"{name}[{index}]", layer))
    return items


def _parse_item(value: t.Any, address: str, layer: int) -> Item:
    given = mapping(value, address, "a mapping with gpus and settings")
    keys(given, address, _ITEM_KEYS)
    if "gpus" not in given:
        raise WishError(f"{address}: gpus is missing; give all or a mapping with one of {', '.join(GPU_KINDS)}")
    selector = parse_selector(given["gpus"], f"{address}.gpus", given.get("except"), GPU_KINDS)
    problems = Problems()
    values: t.Dict[str, Value] = {}
    for setting in SETTINGS:
        # An empty value says nothing: templates yield it for what a host does not set.
        if given.get(setting) is not None:
            with problems.caught():
                values[setting] = _PARSERS[setting](given[setting], f"{address}.{setting}")
    problems.raise_any()
    if not values:
        raise WishError(f"{address}: no setting is given; give one or more of {', '.join(SETTINGS)}")
    return Item(
        address,
        selector,
        values,
        layer,
        reason=None if given.get("reason") is None else text(given["reason"], f"{address}.reason"),
        until=None if given.get("until") is None else date(given["until"], f"{address}.until"),
    )


# --- values --------------------------------------------------------------------------------------------------------


def _switch(value: t.Any, address: str) -> bool:
    return boolean(value, address)


def _switch_or_default(value: t.Any, address: str) -> Value:
    if isinstance(value, str):
        return _default(value, address, "true, false or default")
    return boolean(value, address)


def _watts(value: t.Any, address: str) -> Value:
    wanted = "a number of watts, or default"
    if isinstance(value, str):
        return _default(value, address, wanted)
    return number(value, address, wanted)


def _compute_mode(value: t.Any, address: str) -> str:
    given = text(value, address, f"one of {', '.join(COMPUTE_MODES)}")
    if given not in COMPUTE_MODES:
        raise WishError(f"{address}: {shown(given)} is unknown; allowed are {', '.join(COMPUTE_MODES)}")
    return given


def _application_clocks(value: t.Any, address: str) -> Value:
    return _clocks(value, address, ("graphics", "memory"))


def _locked_clocks(value: t.Any, address: str) -> Value:
    given = _clocks(value, address, ("min", "max"))
    if given != DEFAULT and given["min"] > given["max"]:
        raise WishError(f"{address}: min {given['min']} MHz is above max {given['max']} MHz; exchange them")
    return given


def _clocks(value: t.Any, address: str, names: t.Tuple[str, str]) -> Value:
    wanted = f"a mapping with {names[0]} and {names[1]} in MHz, or default"
    if isinstance(value, str):
        return _default(value, address, wanted)
    given = mapping(value, address, wanted)
    keys(given, address, names)
    for name in names:
        if given.get(name) is None:
            raise WishError(f"{address}: {name} is missing; give {wanted}")
    return {name: integer(given[name], f"{address}.{name}", 1, _MAX_MHZ) for name in names}


def _default(value: str, address: str, wanted: str) -> str:
    if value != DEFAULT:
        raise WishError(f"{address}: {shown(value)} is a string; give {wanted}")
    return DEFAULT


_PARSERS: t.Mapping[str, t.Callable[[t.Any, str], Value]] = {
    "persistence_mode": _switch,
    "ecc": _switch_or_default,
    "power_limit": _watts,
    "compute_mode": _compute_mode,
    "application_clocks": _application_clocks,
    "auto_boost": _switch_or_default,
    "locked_clocks": _locked_clocks,
    "locked_memory_clocks": _locked_clocks,
    "accounting_mode": _switch,
}
