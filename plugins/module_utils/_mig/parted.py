# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of NVIDIA's mig-parted, `version: v1`, with their own meaning. PRIVATE to the collection.

Source: NVIDIA/mig-parted v0.15, api/spec/v1 and pkg/mig/config. Items of a label are walked in order and a later one
wins where they meet; filters and indexes may match nothing; zero counts are legal beside others. Entries such as
"1c.3g.20gb" are compute instances that share a GPU instance as long as there is room.

One deviation: mig-parted silently takes a filter that it cannot read for "no GPU". Here that is an error.
"""

from __future__ import annotations

import re
import typing as t

from .._errors import WishError
from .._nvml.objects import Gpu
from .._problems import Problems
from .._shape import boolean, integer, keys, mapping, sequence, shown, text
from .model import ComputeWish, GpuWish, InstanceWish, NodeWish, PartedMatch
from .names import ProfileName, parse_name

VERSION = "v1"

# Counts of a label that was not selected may be anything; the selected one is checked against this before it is
# spread out. No GPU holds as many.
MAX_COUNT = 64

_ITEM_KEYS = ("device-filter", "devices", "mig-enabled", "mig-devices")
_FILTER = re.compile(r"^0x([0-9a-f]{4})([0-9a-f]{4})(?::0x([0-9a-f]{4})([0-9a-f]{4}))?$", re.IGNORECASE)


def parse(document: t.Any, label: t.Any) -> NodeWish:
    """The selected label as a wish. The whole document is checked, as mig-parted does. Raises WishError."""
    if document is None:
        raise WishError("mig_parted_label: a label is given without mig_parted; give the document too")
    configs = _parse_document(document)
    if label is None:
        raise WishError(f"mig_parted_label: is missing; the document offers {_labels(configs)}")
    chosen = text(label, "mig_parted_label", "a label of the document")
    if chosen not in configs:
        raise WishError(f'mig_parted_label: "{chosen}" is not in the document; it offers {_labels(configs)}')
    wishes = tuple(_wish(item) for item in configs[chosen])
    return NodeWish("mig_parted", wishes, tuple(_notes(configs[chosen])))


def check(document: t.Any) -> None:
    """Reads a whole document without choosing a label, for the control node. Raises WishError."""
    _parse_document(document)


def matches(item: PartedMatch, gpu: Gpu) -> bool:
    """Whether an item acts on this GPU."""
    if item.indexes is not None and gpu.index not in item.indexes:
        return False
    return not item.filters or any(
        gpu.device_id.lower() == device and subsystem in (None, (gpu.subsystem_id or "").lower())
        for device, subsystem in item.filters
    )


# --- reading -------------------------------------------------------------------------------------------------------


class _Item(t.NamedTuple):
    address: str
    match: PartedMatch
    enabled: bool
    devices: t.Mapping[str, int]


def _labels(configs: t.Mapping[str, t.Any]) -> str:
    return ", ".join(configs)


def _parse_document(document: t.Any) -> t.Dict[str, t.List[_Item]]:
    given = mapping(document, "mig_parted", "a mapping with version and mig-configs")
    if given.get("version") != VERSION:
        raise WishError(f"mig_parted.version: {shown(given.get('version'))} is unknown; this release reads {VERSION}")
    keys(given, "mig_parted", ("version", "mig-configs"))
    configs = mapping(given.get("mig-configs"), "mig_parted.mig-configs", "a mapping of label to list")
    if not configs:
        raise WishError("mig_parted.mig-configs: is empty; give at least one label")
    problems = Problems()
    parsed = {}
    for label, items in configs.items():
        with problems.caught():
            parsed[label] = _parse_label(items, f'mig_parted.mig-configs["{label}"]')
    problems.raise_any()
    return parsed


def _parse_label(items: t.Any, address: str) -> t.List[_Item]:
    entries = sequence(items, address, "a list of items")
    if not entries:
        raise WishError(f"{address}: the list is empty; give at least one item")
    return [_parse_item(entry, f"{address}[{number}]") for number, entry in enumerate(entries)]


def _parse_item(value: t.Any, address: str) -> _Item:
    given = mapping(value, address, "a mapping with devices and mig-enabled")
    keys(given, address, _ITEM_KEYS)
    for key in ("devices", "mig-enabled"):
        if key not in given:
            raise WishError(f"{address}: {key} is missing; it is required")
    enabled = boolean(given["mig-enabled"], f"{address}.mig-enabled")
    match = PartedMatch(
        _parse_filters(given.get("device-filter"), f"{address}.device-filter"),
        _parse_indexes(given["devices"], f"{address}.devices"),
    )
    devices = _parse_devices(given.get("mig-devices"), f"{address}.mig-devices")
    if enabled and given.get("mig-devices") is None:
        raise WishError(f"{address}: mig-devices is missing; with mig-enabled: true give it, {{}} for no instances")
    if not enabled and devices:
        raise WishError(f"{address}: mig-enabled is false but mig-devices are given; remove one of them")
    return _Item(address, match, enabled, devices)


def _parse_filters(value: t.Any, address: str) -> t.Tuple[t.Tuple[str, t.Optional[str]], ...]:
    if value in (None, "", []):
        return ()
    wanted = 'a string or a list of strings such as "0x20B010DE"'
    entries = [value] if isinstance(value, str) else sequence(value, address, wanted)
    return tuple(_parse_filter(entry, address, wanted) for entry in entries)


def _parse_filter(value: t.Any, address: str, wanted: str) -> t.Tuple[str, t.Optional[str]]:
    match = _FILTER.match(text(value, address, wanted))
    if match is None:
        raise WishError(
            f'{address}: {shown(value)} cannot be read; give 0x<device><vendor> such as "0x20B010DE", with '
            ":0x<subdevice><subvendor> where needed (mig-parted would silently match no GPU)"
        )
    device, vendor, subdevice, subvendor = (part and part.lower() for part in match.groups())
    return f"{vendor}:{device}", None if subdevice is None else f"{subvendor}:{subdevice}"


def _parse_indexes(value: t.Any, address: str) -> t.Optional[t.Tuple[int, ...]]:
    if value == "all":
        return None
    entries = sequence(value, address, "the word all, or a list of indexes such as [0, 1]")
    return tuple(integer(entry, f"{address}[{number}]", 0) for number, entry in enumerate(entries))


def _parse_devices(value: t.Any, address: str) -> t.Dict[str, int]:
    if value is None:
        return {}
    given = mapping(value, address, "a mapping of profile to count")
    for profile, count in given.items():
        where = f'{address}["{profile}"]'
        if parse_name(profile) is None:
            raise WishError(f'{where}: {shown(profile)} is not a profile name; give one such as "1g.10gb"')
        integer(count, where, 0)
    if given and not any(given.values()):
        raise WishError(f"{address}: every count is 0; give {{}} for a GPU in MIG mode without instances")
    return dict(given)


# --- meaning -------------------------------------------------------------------------------------------------------


def _wish(item: _Item) -> GpuWish:
    instances = _instances(item) if item.enabled else None
    return GpuWish(item.address, item.enabled, instances, parted=item.match)


def _instances(item: _Item) -> t.Tuple[InstanceWish, ...]:
    """GPU instances of one item; entries with fewer compute slices than their GPU instance share it."""
    address = f"{item.address}.mig-devices"
    whole: t.List[InstanceWish] = []
    parts: t.Dict[str, t.List[ProfileName]] = {}
    for profile, count in item.devices.items():
        name = _named(profile)
        integer(count, f'{address}["{profile}"]', 0, MAX_COUNT)
        if name.spans and count:
            whole.append(InstanceWish(address, profile=name.gpu_instance, count=count))
        elif count:
            parts.setdefault(name.gpu_instance, []).extend([name] * count)
    shared = [
        InstanceWish(address, profile=profile, compute=tuple(ComputeWish(f"{one.compute}c.{profile}") for one in group))
        for profile, names in parts.items()
        for group in _share(names)
    ]
    return tuple(whole + shared)


def _share(names: t.List[ProfileName]) -> t.List[t.List[ProfileName]]:
    """Fills one GPU instance after the other, large compute instances first, each into the first with room."""
    groups: t.List[t.List[ProfileName]] = []
    for name in sorted(names, key=lambda one: -(one.compute or one.slices)):
        for group in groups:
            if sum(one.compute or 0 for one in group) + (name.compute or 0) <= name.slices:
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _named(profile: str) -> ProfileName:
    name = parse_name(profile)
    if name is None:
        raise WishError(f"{shown(profile)} is not a profile name")
    return name


def _notes(items: t.Sequence[_Item]) -> t.Iterator[str]:
    for item in items:
        zero = [profile for profile, count in item.devices.items() if count == 0]
        if zero:
            yield f"{item.address}.mig-devices: counts of 0 ask for nothing: {', '.join(zero)}"
        if any(not _named(profile).spans for profile, count in item.devices.items() if count):
            yield f"{item.address}.mig-devices: compute instances of one profile share a GPU instance while it has room"
