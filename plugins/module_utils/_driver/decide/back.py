# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: the steps from what a node has to what was recorded of it. Pure. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t
from dataclasses import dataclass, field

from ..._data.driver_packages import STREAM_MODULE
from ..model import Parameters
from ..record import CACHE, Recorded
from ..steps import (
    ChangePackages,
    HoldPackages,
    LoadModules,
    RebuildInitramfs,
    RefreshIndex,
    ReloadModules,
    RemoveFile,
    SetUnit,
    Step,
    UnholdPackages,
    WriteFile,
)
from .plan_files import sort_of

# Files whose change makes another index.
_SOURCES = (".list", ".sources", ".repo")
# Files that an initramfs carries along.
_PARAMETERS = "/etc/modprobe.d/"


@dataclass(frozen=True)
class Now:
    """What the node has. `files` are those of the record, `initramfs` kernels whose image may be of the failed change,
    `images` those whose image was built with what is there now, `modules` what is loaded, outermost first with nvidia
    last, `loaded` nvidia's version, `flavour` its kind, `parameters` what the modules show of theirs. `from_cache` are
    packages whose old file is kept, `stops` units that hold devices. `half`: the change was interrupted, so what it was
    to bring may be there in a state that no manager calls installed."""

    packages: t.Mapping[str, str]
    holds: t.FrozenSet[str] = frozenset()
    stream: t.Optional[str] = None
    files: t.Mapping[str, t.Optional[str]] = field(default_factory=dict)
    units: t.Mapping[str, t.Tuple[bool, bool]] = field(default_factory=dict)
    initramfs: t.Tuple[str, ...] = ()
    images: t.Tuple[str, ...] = ()
    modules: t.Tuple[str, ...] = ()
    loaded: t.Optional[str] = None
    flavour: t.Optional[str] = None
    parameters: Parameters = field(default_factory=dict)
    from_cache: t.Tuple[str, ...] = ()
    stops: t.Tuple[str, ...] = ()
    half: bool = False


def steps_back(recorded: Recorded, now: Now, own: t.Optional[t.AbstractSet[str]] = None) -> t.List[Step]:
    """In the order in which steps are walked. Of holds only `own` are ours to release; None: all are, since a change
    that fails meets none of others."""
    if own is not None:
        now = dataclasses.replace(now, holds=now.holds & own)
    change = packages_back(recorded, now)
    files = list(_files(recorded, now))
    modules = list(_modules(recorded, now))
    # Where no driver was before, packages go only when the module that needs them is gone.
    unload = modules if not recorded.modules else []
    return [
        *unload,
        *files,
        *([UnholdPackages(tuple(sorted(now.holds)))] if change and now.holds else []),
        *([change] if change else []),
        *_holds(recorded, now, bool(change)),
        *(RebuildInitramfs(kernel) for kernel in _images(now, [*files, change])),
        *_units(recorded, now),
        *(modules if not unload else ()),
    ]


def touched(recorded: Recorded, now: Now) -> t.List[str]:
    """The packages that another version, or their removal, awaits."""
    moved = {name for name, version in recorded.packages.items() if now.packages.get(name) != version}
    return sorted(moved | (set(now.packages) - set(recorded.packages)))


def packages_back(recorded: Recorded, now: Now) -> t.Optional[ChangePackages]:
    """By name: what has another name since (590 renamed packages) goes, what had one before comes again. What may be
    there half is named too; a manager leaves out what is not there."""
    install = tuple(
        _source(name, version, recorded, now)
        for name, version in sorted(recorded.packages.items())
        if now.packages.get(name) != version
    )
    gone = set(now.packages) - set(recorded.packages)
    remove = tuple(sorted(gone | set(recorded.added if now.half else ())))
    if not install and not remove:
        return None
    stream = None if recorded.stream == now.stream else recorded.stream or STREAM_MODULE
    return ChangePackages(install, remove, downgrade=True, stream=stream, idle=bool(now.modules))


def _source(name: str, version: str, recorded: Recorded, now: Now) -> t.Tuple[str, t.Optional[str]]:
    """The kept file before any repository: an index may name a version that is gone there, or that nobody gives now."""
    if name in now.from_cache:
        return posixpath.join(CACHE, recorded.kept[name]), None
    return name, version


def _files(recorded: Recorded, now: Now) -> t.Iterator[Step]:
    moved = False
    for path, content in sorted(recorded.files.items()):
        if now.files.get(path) == content:
            continue
        moved = moved or path.endswith(_SOURCES)
        sort = sort_of(path)
        yield RemoveFile(path, sort) if content is None else WriteFile(path, content, sort)
    if moved:
        # The old packages' files are kept, so no repository has to answer.
        yield RefreshIndex(0, ())


def _images(now: Now, steps: t.Sequence[t.Optional[Step]]) -> t.List[str]:
    """An image carries modules and their parameters: it goes back together with them."""
    stale = any(
        isinstance(step, ChangePackages)
        or (isinstance(step, (WriteFile, RemoveFile)) and step.path.startswith(_PARAMETERS))
        for step in steps
    )
    return list(dict.fromkeys((*now.initramfs, *(now.images if stale else ()))))


def _holds(recorded: Recorded, now: Now, released: bool) -> t.Iterator[Step]:
    """`released`: all holds of now were taken off for the change of packages."""
    wanted = frozenset(recorded.holds)
    there = frozenset() if released else now.holds
    more = tuple(sorted(there - wanted))
    fewer = tuple(sorted(wanted - there))
    if more:
        yield UnholdPackages(more)
    if fewer:
        yield HoldPackages(fewer)


def _units(recorded: Recorded, now: Now) -> t.Iterator[Step]:
    for name, (enabled, active) in sorted(recorded.units.items()):
        if name in now.units and now.units[name] != (enabled, active):
            yield SetUnit(name, enabled, active)


def _modules(recorded: Recorded, now: Now) -> t.Iterator[Step]:
    inward = tuple(reversed(recorded.modules))
    if now.modules and (not recorded.modules or _other(recorded, now)):
        yield ReloadModules(now.modules, inward, now.stops)
    elif set(recorded.modules) - set(now.modules):
        yield LoadModules(inward)


def _other(recorded: Recorded, now: Now) -> bool:
    """Was what is in memory loaded by the change? Files that are back say nothing of it: one may have gone back before
    the run died, and one that changed while the GPUs were in use was never in force."""
    flavours = {recorded.flavour, now.flavour} - {None}
    if now.loaded != recorded.version or len(flavours) > 1:
        return True
    return any(
        now.parameters.get(module, {}).get(name, value) != value
        for module, shown in recorded.parameters.items()
        for name, value in shown.items()
    )
