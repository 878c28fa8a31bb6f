# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the declared lists to a NodeWish: shape only, no GPU is looked at. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import WishError
from .._problems import Problems
from .._select import GPU_KINDS, Selection, parse_selector, static_conflicts
from .._shape import boolean, date, integer, keys, mapping, number, sequence, shown, text
from . import document, parted
from .model import ComputeWish, GpuWish, InstanceWish, NodeWish
from .names import compute_slices, parse_name

LAYERS = ("geometry", "geometry_group", "geometry_host")

# No GPU holds as many; a count above it is a slip of the finger, named before it costs time.
MAX_COUNT = 64

_ITEM_KEYS = ("gpus", "except", "mig", "instances", "reason", "until")
_INSTANCE_KEYS = ("profile", "slices", "memory_gib", "attributes", "count", "placement", "compute")
_FORM = 'a profile such as "1g.10gb", "1g.10gb+me" or "1g.24gb-me"'


def parse(
    geometry: t.Any = None,
    geometry_group: t.Any = None,
    geometry_host: t.Any = None,
    mig_parted: t.Any = None,
    mig_parted_label: t.Any = None,
    prefix: str = "",
) -> NodeWish:
    """The wish of one node. Each `geometry*` is a list of items or a layout document (see document.py).

    Raises WishError that names every wrong place, e.g. `geometry[1].instances[0].count`, with `prefix` in front.
    """
    names = [f"{prefix}{name}" for name in LAYERS]
    layers = dict(zip(names, (geometry, geometry_group, geometry_host)))
    if mig_parted is not None or mig_parted_label is not None:
        given = [name for name, value in layers.items() if value]
        if given:
            raise WishError(f"mig_parted and {', '.join(given)} exclude each other; keep one form of the wish")
        return parted.parse(mig_parted, mig_parted_label)
    problems = Problems()
    items: t.List[GpuWish] = []
    for layer, (name, value) in enumerate(layers.items()):
        with problems.caught():
            items.extend(_parse_layer(value, name, layer, problems))
    problems.raise_any()
    return NodeWish("geometry", tuple(items))


def conflicts(wish: NodeWish) -> t.List[str]:
    """Contradictions that are certain without a host, for the controller."""
    return static_conflicts(selections(wish))


def selections(wish: NodeWish) -> t.List[Selection[GpuWish]]:
    """The items of a wish in our own form with their selectors."""
    return [Selection(item.selector, item.layer, item, item.address) for item in wish.gpus if item.selector is not None]


def _parse_layer(value: t.Any, name: str, layer: int, problems: Problems) -> t.List[GpuWish]:
    if value is None:
        return []
    if isinstance(value, dict):
        value = document.items(value, name)
    items = []
    for index, entry in enumerate(sequence(value, name, "a list of items with gpus, mig and instances")):
        with problems.caught():
            items.append(_parse_item(entry, f"{name}[{index}]", layer))
    return items


def _parse_item(value: t.Any, address: str, layer: int) -> GpuWish:
    given = mapping(value, address, "a mapping with gpus, mig and instances")
    keys(given, address, _ITEM_KEYS)
    if "gpus" not in given:
        raise WishError(f"{address}: gpus is missing; give all or a mapping with one of {', '.join(GPU_KINDS)}")
    selector = parse_selector(given["gpus"], f"{address}.gpus", given.get("except"), GPU_KINDS)
    instances = None
    if given.get("instances") is not None:
        instances = _parse_instances(given["instances"], address)
    return GpuWish(
        address=address,
        mig=_parse_mode(given, instances, address),
        instances=instances,
        selector=selector,
        layer=layer,
        reason=None if given.get("reason") is None else text(given["reason"], f"{address}.reason"),
        until=None if given.get("until") is None else date(given["until"], f"{address}.until"),
    )


def _parse_mode(given: t.Mapping[str, t.Any], instances: t.Optional[t.Tuple[t.Any, ...]], address: str) -> bool:
    if given.get("mig") is None:
        if instances is None:
            raise WishError(f"{address}: neither mig nor instances is given; say mig: true, mig: false or instances")
        return True
    mig = boolean(given["mig"], f"{address}.mig")
    if not mig and instances:
        raise WishError(f"{address}: mig is false but instances are given; remove one of them")
    return mig


# --- instances -----------------------------------------------------------------------------------------------------


def _parse_instances(value: t.Any, address: str) -> t.Tuple[InstanceWish, ...]:
    where = f"{address}.instances"
    if isinstance(value, dict):
        return tuple(_parse_short(name, count, address) for name, count in mapping(value, where).items())
    entries = sequence(value, where, "a mapping of profile to count, or a list")
    return tuple(_parse_instance(entry, f"{where}[{number}]") for number, entry in enumerate(entries))


def _parse_short(name: str, count: t.Any, address: str) -> InstanceWish:
    where = f'{address}.instances["{name}"]'
    _check_profile(name, where)
    return InstanceWish(address, profile=name, count=integer(count, where, 1, MAX_COUNT))


def _parse_instance(value: t.Any, address: str) -> InstanceWish:
    given = mapping(value, address, "a mapping with profile, or with slices and memory_gib")
    keys(given, address, _INSTANCE_KEYS)
    wish = InstanceWish(
        address,
        compute=_parse_compute(given.get("compute"), f"{address}.compute"),
        count=integer(given.get("count", 1), f"{address}.count", 1, MAX_COUNT),
        placement=None if given.get("placement") is None else integer(given["placement"], f"{address}.placement", 0),
        **_parse_kind(given, address),
    )
    if wish.placement is not None and wish.count > 1:
        raise WishError(
            f"{address}: count is {wish.count} with placement {wish.placement}, but a placement holds one instance; "
            "give one entry for each placement"
        )
    if wish.profile is not None:
        name = parse_name(wish.profile)
        check_compute(wish, name.slices if name else 0)
    return wish


def _parse_kind(given: t.Mapping[str, t.Any], address: str) -> t.Dict[str, t.Any]:
    """Which GPU instance profile is meant: `profile`, or the figures where names drift."""
    figures = [key for key in ("slices", "memory_gib", "attributes") if given.get(key) is not None]
    if given.get("profile") is not None:
        if figures:
            raise WishError(f"{address}: profile and {', '.join(figures)} exclude each other; keep one form")
        profile = text(given["profile"], f"{address}.profile", _FORM)
        _check_profile(profile, f"{address}.profile")
        return {"profile": profile}
    if given.get("slices") is None:
        raise WishError(f"{address}: neither profile nor slices is given; give one of them")
    memory = given.get("memory_gib")
    return {
        "slices": integer(given["slices"], f"{address}.slices", 1, MAX_COUNT),
        "memory_gib": None if memory is None else number(memory, f"{address}.memory_gib", "a number of GiB above 0"),
        "attributes": _parse_attributes(given.get("attributes"), f"{address}.attributes"),
    }


def _parse_attributes(value: t.Any, address: str) -> t.Tuple[str, ...]:
    """["me"], ["+me"] and ["-me"]: without a sign, + is meant."""
    if value is None:
        return ()
    given = [text(entry, f"{address}[{n}]") for n, entry in enumerate(sequence(value, address, 'a list like ["+me"]'))]
    signed = tuple(sorted(entry if entry[0] in "+-" else f"+{entry}" for entry in given))
    if parse_name(f"1g.1gb{''.join(signed)}") is None:
        raise WishError(f'{address}: {shown(given)} are no attributes; give a list like ["+me"] or ["-me"], one sign')
    return signed


def _check_profile(text_: str, address: str) -> None:
    name = parse_name(text_)
    if name is None:
        raise WishError(f"{address}: {shown(text_)} is not a profile name; give {_FORM}")
    if name.compute is not None:
        raise WishError(
            f"{address}: {shown(text_)} names a compute instance; give profile: {name.gpu_instance} with "
            f"compute: [{text_}]"
        )


def _parse_compute(value: t.Any, address: str) -> t.Optional[t.Tuple[ComputeWish, ...]]:
    if value is None:
        return None
    wishes = []
    for index, entry in enumerate(sequence(value, address, 'a list such as ["1c.3g.40gb", "2c.3g.40gb"]')):
        where = f"{address}[{index}]"
        if isinstance(entry, dict):
            keys(mapping(entry, where), where, ("profile", "placement", "profile_id"))
            profile = text(entry.get("profile"), f"{where}.profile", 'a profile such as "1c.3g.40gb"')
            start, wished_id = (
                None if entry.get(key) is None else integer(entry[key], f"{where}.{key}", 0)
                for key in ("placement", "profile_id")
            )
            wishes.append(ComputeWish(profile, start, wished_id))
        else:
            wishes.append(ComputeWish(text(entry, where, 'a profile such as "1c.3g.40gb"')))
    return tuple(wishes)


def check_compute(wish: InstanceWish, slices: int, gpu: str = "") -> None:
    """Compute instances must be of their GPU instance and find room in its `slices`. Raises WishError.

    `gpu` is what a message says behind the address.
    """
    taken = 0
    for index, entry in enumerate(wish.compute or ()):
        where = f"{wish.address}.compute[{index}]{gpu}"
        wanted = compute_slices(entry.profile, slices)
        name = parse_name(entry.profile)
        if wanted is None:
            raise WishError(f'{where}: {shown(entry.profile)} is no compute instance; give one such as "1c.3g.40gb"')
        host = parse_name(wish.profile or "")
        foreign = name is not None and (name.slices != slices or (host and host.gigabytes != name.gigabytes))
        if foreign or wanted > slices:
            raise WishError(
                f"{where}: {entry.profile} is no compute instance of {wish.profile or f'a {slices}g GPU instance'}; "
                f"give 1c to {slices}c"
            )
        taken += wanted
    if taken > slices:
        asked = " + ".join(entry.profile for entry in wish.compute or ())
        raise WishError(
            f"{wish.address}.compute{gpu}: {asked} take {taken} compute slices, the GPU instance has {slices}; "
            "remove some"
        )
