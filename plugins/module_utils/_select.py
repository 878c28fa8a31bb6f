# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one selector grammar: which GPUs an item of a list means. PRIVATE to the collection.

    gpus: all | {uuid: …} | {pci: …} | {index: …} | {mig: {profile: …, placement: …, gpu: {…}}} | {model: …}
          | {device_id: …}          with `except: [{uuid: …}, …]` beside it or inside the mapping

Every list of wishes exists in three layers (X, X_group, X_host). The most specific selector wins (uuid = pci,
then index, then mig, then model = device_id, then all), then the later layer; a tie inside one layer is an error.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t
from dataclasses import dataclass

from ._errors import AccelError, GpuHungError, GpuLostError, NotRootError, NvmlError, WishError
from ._nvml.objects import Gpu, GpuFailure, GpuInstance
from ._problems import Problems
from ._shape import integer, keys, mapping, sequence, shown, text

GPU_KINDS = ("uuid", "pci", "index", "model", "device_id")
KINDS = ("uuid", "pci", "index", "mig", "model", "device_id")

# These name one GPU, so matching nothing is a mistake; the others describe GPUs, of which a host may have none.
_EXACT = ("uuid", "pci", "index")
_RANK = {"uuid": 5, "pci": 5, "index": 4, "mig": 3, "model": 2, "device_id": 2, "all": 1}

_UUID = re.compile(r"^GPU-[0-9a-f][0-9a-f-]*$", re.IGNORECASE)
_PCI = re.compile(r"^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.([0-7]))?$", re.IGNORECASE)
_DEVICE_ID = re.compile(r"^(?:0x)?([0-9a-f]{4}):(?:0x)?([0-9a-f]{4})$", re.IGNORECASE)


@dataclass(frozen=True)
class Selector:
    """A parsed selector. `value` is the text (`pci` and `device_id` normalised), the index, or None for all and mig.

    For `mig`, `profile` and `placement` name the GPU instance and `gpu` the GPUs it is looked for on.
    """

    kind: str
    value: t.Union[None, str, int] = None
    exclude: t.Tuple[Selector, ...] = ()
    address: str = "gpus"
    profile: t.Optional[str] = None
    placement: t.Optional[int] = None
    gpu: t.Optional[Selector] = None

    @property
    def rank(self) -> int:
        return _RANK[self.kind]

    def __str__(self) -> str:
        if self.kind == "mig":
            return f"mig {self.profile}" + ("" if self.placement is None else f" at {self.placement}")
        return "all" if self.kind == "all" else f"{self.kind} {self.value}"


Item = t.TypeVar("Item")


@dataclass(frozen=True)
class Selection(t.Generic[Item]):
    """One item of a list with its selector. `layer` is 0 for X, 1 for X_group, 2 for X_host."""

    selector: Selector
    layer: int
    item: Item
    address: str


# --- parsing -------------------------------------------------------------------------------------------------------


def normalise_pci(address: str) -> t.Optional[str]:
    """Any common spelling to "0000:3b:00.0" (eight digits of domain where four do not suffice); None if it is none."""
    match = _PCI.match(address.strip())
    if match is None:
        return None
    domain, bus, device, function = (int(part or "0", 16) for part in match.groups())
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function}"


def parse_selector(value: t.Any, address: str, exclude: t.Any = None, kinds: t.Sequence[str] = KINDS) -> Selector:
    """Reads `gpus:` of an item, with the item's own `except`. Raises WishError on wrong shape."""
    wanted = f"all or a mapping with one of {', '.join(kinds)}"
    if value == "all":
        return Selector("all", exclude=_parse_exclude(exclude, _beside(address, "except"), kinds), address=address)
    if isinstance(value, str):
        raise WishError(f"{address}: {shown(value)} is not a selector; give {wanted}", address=address)
    given = mapping(value, address, wanted)
    keys(given, address, tuple(kinds) + ("except",))
    named = [kind for kind in kinds if kind in given]
    if len(named) != 1:
        found = ", ".join(named) or "none"
        raise WishError(f"{address}: {found} given; give exactly one of {', '.join(kinds)}", address=address)
    if "except" in given and exclude is not None:
        raise WishError(f"{address}: except is given here and beside gpus; keep one of them", address=address)
    if "except" in given:
        excluded = _parse_exclude(given["except"], f"{address}.except", kinds)
    else:
        excluded = _parse_exclude(exclude, _beside(address, "except"), kinds)
    return _parse_kind(named[0], given[named[0]], f"{address}.{named[0]}", excluded)


def _beside(address: str, key: str) -> str:
    if address == "gpus":
        return key
    return f"{address[: -len('.gpus')]}.{key}" if address.endswith(".gpus") else f"{address}.{key}"


def _parse_exclude(value: t.Any, address: str, kinds: t.Sequence[str]) -> t.Tuple[Selector, ...]:
    if value is None:
        return ()
    parsed = []
    for number, entry in enumerate(sequence(value, address, "a list of selectors")):
        selector = parse_selector(entry, f"{address}[{number}]", kinds=kinds)
        if selector.kind == "all" or selector.exclude:
            raise WishError(f"{selector.address}: an exception names GPUs plainly; give one of {', '.join(kinds)}")
        parsed.append(selector)
    return tuple(parsed)


def _parse_kind(kind: str, value: t.Any, address: str, exclude: t.Tuple[Selector, ...]) -> Selector:
    if kind == "index":
        return Selector(kind, integer(value, address, 0), exclude, address)
    if kind == "mig":
        return _parse_mig(value, address, exclude)
    given = text(value, address)
    if kind == "uuid" and not _UUID.match(given):
        raise WishError(f"{address}: {shown(given)} is not a GPU UUID; give GPU-… in full or the beginning of it")
    if kind == "pci":
        pci = normalise_pci(given)
        if pci is None:
            raise WishError(f'{address}: {shown(given)} is not a PCI address; give one such as "0000:3b:00.0"')
        given = pci
    if kind == "device_id":
        match = _DEVICE_ID.match(given)
        if match is None:
            raise WishError(f'{address}: {shown(given)} is not a device ID; give vendor:device such as "10de:20b5"')
        given = ":".join(match.groups()).lower()
    return Selector(kind, given, exclude, address)


def _parse_mig(value: t.Any, address: str, exclude: t.Tuple[Selector, ...]) -> Selector:
    given = mapping(value, address, "a mapping with profile, and placement or gpu where needed")
    keys(given, address, ("profile", "placement", "gpu"))
    profile = text(given.get("profile"), f"{address}.profile", 'a profile such as "1g.10gb"')
    placement = given.get("placement")
    if placement is not None:
        placement = integer(placement, f"{address}.placement", 0)
    gpu = None
    if given.get("gpu") is not None:
        gpu = parse_selector(given["gpu"], f"{address}.gpu", kinds=GPU_KINDS)
    return Selector("mig", None, exclude, address, profile, placement, gpu)


# --- matching ------------------------------------------------------------------------------------------------------


def label(gpu: Gpu) -> str:
    """How messages name a GPU."""
    return f"{gpu.uuid}, {gpu.name}"


def match(selector: Selector, gpus: t.Sequence[Gpu], failures: t.Sequence[GpuFailure] = ()) -> t.Tuple[Gpu, ...]:
    """The GPUs that a selector means, `except` taken off.

    Raises WishError where a uuid, PCI address or index matches nothing or a UUID prefix is ambiguous, GpuLostError or
    GpuHungError where it names a GPU that is there but gave no answer.
    """
    found = _match_plain(selector, gpus, failures)
    spared = {gpu.uuid for entry in selector.exclude for gpu in _spared(entry, gpus, failures)}
    return tuple(gpu for gpu in found if gpu.uuid not in spared)


def _spared(entry: Selector, gpus: t.Sequence[Gpu], failures: t.Sequence[GpuFailure]) -> t.List[Gpu]:
    """An exception may name a GPU without an answer: that one is spared anyhow."""
    there = any(_is_meant(entry, gpu) for gpu in gpus) if entry.kind in _EXACT else True
    if not there and any(may_name_failure(entry, failure, gpus) for failure in failures):
        return []
    return _match_plain(entry, gpus, failures)


def match_instances(selector: Selector, gpus: t.Sequence[Gpu]) -> t.Tuple[t.Tuple[Gpu, GpuInstance], ...]:
    """The live GPU instances that a `mig` selector means, by GPU index and placement."""
    hosts = match(selector.gpu, gpus) if selector.gpu is not None else tuple(gpus)
    spared = {gpu.uuid for entry in selector.exclude for gpu in _match_plain(entry, gpus, ())}
    found = []
    for gpu in sorted(hosts, key=lambda gpu: gpu.index):
        for instance in sorted(gpu.mig.instances, key=lambda instance: instance.placement):
            if gpu.uuid in spared or instance.profile != selector.profile:
                continue
            if selector.placement in (None, instance.placement.start):
                found.append((gpu, instance))
    return tuple(found)


def _match_plain(selector: Selector, gpus: t.Sequence[Gpu], failures: t.Sequence[GpuFailure]) -> t.List[Gpu]:
    if selector.kind == "mig":
        hosts = {gpu.uuid for gpu, instance in match_instances(selector, gpus)}
        return [gpu for gpu in gpus if gpu.uuid in hosts]
    found = [gpu for gpu in gpus if _is_meant(selector, gpu)]
    if selector.kind == "uuid":
        # A full UUID may be the beginning of nothing else, so only a real prefix can be ambiguous.
        full = [gpu for gpu in found if gpu.uuid.lower() == str(selector.value).lower()]
        found = full or found
        if len(found) > 1:
            names = ", ".join(gpu.uuid for gpu in found)
            raise WishError(f"{selector.address}: {selector.value} is ambiguous, it begins {names}; give more digits")
    if not found and selector.kind in _EXACT:
        _raise_unmatched(selector, gpus, failures)
    return found


def _is_meant(selector: Selector, gpu: Gpu) -> bool:
    if selector.kind == "all":
        return True
    if selector.kind == "uuid":
        return gpu.uuid.lower().startswith(str(selector.value).lower())
    if selector.kind == "pci":
        return normalise_pci(gpu.pci) == selector.value
    if selector.kind == "index":
        return gpu.index == selector.value
    if selector.kind == "device_id":
        return gpu.device_id.lower() == selector.value
    return is_model(str(selector.value), gpu.name)


def is_model(pattern: str, name: str) -> bool:
    """A glob over the marketing name, with or without the maker's name in front, in any case of letters."""
    name = name.lower()
    short = name[len("nvidia ") :] if name.startswith("nvidia ") else name
    return any(fnmatch.fnmatchcase(spelling, pattern.lower()) for spelling in (name, short))


def _raise_unmatched(selector: Selector, gpus: t.Sequence[Gpu], failures: t.Sequence[GpuFailure]) -> t.NoReturn:
    for failure in failures:
        if names_failure(selector, failure):
            raise failure_error(failure, f"{selector.address}: {selector} names a GPU that gives no answer")
    for failure in failures:
        if may_name_failure(selector, failure, gpus):
            begin = f"{selector.address}: {selector} matches no GPU that answers, and may be GPU {failure.index}"
            raise failure_error(failure, f"{begin}, which gives no answer")
    there = "; ".join(f"{gpu.index}: {gpu.uuid} {gpu.pci} {gpu.name}" for gpu in gpus) or "no GPU at all"
    raise WishError(
        f"{selector.address}: {selector.value} matches no GPU of this node; it has {there}", address=selector.address
    )


def names_failure(selector: Selector, failure: GpuFailure) -> bool:
    """Whether an exact selector names a GPU that is there but gave no answer."""
    if selector.kind == "index":
        return selector.value == failure.index
    if selector.kind == "pci":
        return selector.value == normalise_pci(failure.pci or "")
    return selector.kind == "uuid" and (failure.uuid or "").lower().startswith(str(selector.value).lower())


def may_name_failure(selector: Selector, failure: GpuFailure, gpus: t.Sequence[Gpu]) -> bool:
    """Whether an exact selector names a GPU without an answer, or may do so: a GPU that hangs often tells neither its
    UUID nor its address, and then the selector must not pass for a mistake."""
    if names_failure(selector, failure):
        return True
    unknown = {"uuid": failure.uuid, "pci": failure.pci}.get(selector.kind, "") is None
    return unknown and not any(_is_meant(selector, gpu) for gpu in gpus)


def failure_error(failure: GpuFailure, begin: str) -> AccelError:
    """The error for a GPU without an answer, in the class that says what to do."""
    kind = {"gpu_hung": GpuHungError, "gpu_lost": GpuLostError, "permission": NotRootError}.get(failure.kind, NvmlError)
    return kind(f"{begin}: {failure.message}", gpu=failure.uuid, pci=failure.pci)


# --- who wins ------------------------------------------------------------------------------------------------------


def assign(
    selections: t.Sequence[Selection[Item]], gpus: t.Sequence[Gpu], failures: t.Sequence[GpuFailure] = ()
) -> t.Dict[str, Selection[Item]]:
    """Which item rules each GPU, by UUID; GPUs that no item means are absent.

    Raises WishError with all selectors that match nothing and all ties.
    """
    problems = Problems()
    claims: t.Dict[str, t.List[Selection[Item]]] = {}
    for selection in selections:
        with problems.caught():
            for gpu in match(selection.selector, gpus, failures):
                claims.setdefault(gpu.uuid, []).append(selection)
    winners = {}
    for gpu in gpus:
        if gpu.uuid not in claims:
            continue
        best = max(_strength(claim) for claim in claims[gpu.uuid])
        strongest = [claim for claim in claims[gpu.uuid] if _strength(claim) == best]
        if len(strongest) > 1:
            problems.add(_tie(strongest, label(gpu)))
        winners[gpu.uuid] = strongest[0]
    problems.raise_any()
    return winners


def _strength(selection: Selection[t.Any]) -> t.Tuple[int, int]:
    return selection.selector.rank, selection.layer


def _tie(claims: t.Sequence[Selection[t.Any]], where: str) -> str:
    named = " and ".join(f"{claim.address} (gpus: {claim.selector})" for claim in claims)
    exact = all(claim.selector.kind in _EXACT for claim in claims)
    way_out = "" if exact else ", or name the GPU by uuid, pci or index in the other"
    return f"{named} claim {where} with equal rank; keep one{way_out}"


def static_conflicts(selections: t.Sequence[Selection[t.Any]]) -> t.List[str]:
    """Ties that are certain without looking at a host: for the controller, before the first host is touched."""
    found = []
    for number, one in enumerate(selections):
        for other in selections[number + 1 :]:
            if one.layer == other.layer and same_gpus(one.selector, other.selector):
                found.append(_tie((one, other), "the same GPUs"))
    return found


def same_gpus(one: Selector, other: Selector) -> bool:
    """Whether two selectors mean the same GPUs on any host."""
    if one.kind != other.kind or _plain(one.exclude) != _plain(other.exclude):
        return False
    if one.kind == "uuid":
        short, long = sorted((str(one.value).lower(), str(other.value).lower()), key=len)
        return long.startswith(short)
    return _plain((one,)) == _plain((other,))


def _plain(selectors: t.Sequence[Selector]) -> t.FrozenSet[t.Tuple[t.Any, ...]]:
    """What selectors mean, without where they are written."""
    return frozenset((s.kind, s.value, s.profile, s.placement, s.gpu and _plain((s.gpu,))) for s in selectors)
