# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has before a change of its driver is written down, so that there is a way back. PRIVATE."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ..._data.driver_system import MODPROBE_FILE
from ..._errors import AccelError
from .. import record
from ..record import Recorded
from ..steps import ChangePackages, HoldPackages, RebuildInitramfs, RemoveFile, SetUnit, UnholdPackages, WriteFile
from . import apply_keep

if t.TYPE_CHECKING:
    from ..._ports import Ports
    from .apply import Change
    from .apply_walk import Walker


def merged(earlier: Recorded, later: Recorded) -> Recorded:
    """What the earlier one says counts; of what it does not name the later one tells. Pure."""
    known = {*earlier.packages, *earlier.added}
    more = {name: version for name, version in later.packages.items() if name not in known}
    return dataclasses.replace(
        earlier,
        packages={**more, **earlier.packages},
        added=tuple(sorted({*earlier.added, *(name for name in later.added if name not in known)})),
        holds=tuple(sorted({*earlier.holds, *(name for name in later.holds if name in more)})),
        files={**later.files, **earlier.files},
        units={**later.units, **earlier.units},
        # Whoever goes on with a change makes it his.
        run=later.run,
        initramfs=_union(earlier.initramfs, later.initramfs),
    )


def recorded_of(change: Change, ports: Ports) -> Recorded:
    """What is there now, as far as the steps would change it: packages that have nothing to do with the driver, and
    those of the driver's neighbours, may change later and are none of the way back."""
    node, changes = change.node, change.transaction.changes
    named = {name for step in change.of(HoldPackages, UnholdPackages) for name in step.names}
    paths = [step.path for step in change.of(WriteFile, RemoveFile)]
    units = [node.units[step.name] for step in change.of(SetUnit) if step.name in node.units]
    return Recorded(
        since=record.now(),
        version=node.loaded.version if node.loaded else node.library,
        flavour=change.flavour,
        packages={one.name: one.before for one in changes if one.before is not None},
        # To remove a package by its name takes all its versions along, those too that were there before.
        added=tuple(sorted({one.name for one in changes if one.before is None and not one.beside})),
        holds=tuple(sorted(node.holds & (named | {one.name for one in changes}))),
        stream=node.stream,
        files={path: ports.files.read_text(path) for path in paths},
        units={unit.name: (unit.enabled, unit.active) for unit in units},
        state=record.read_state(ports.files),
        modules=(*node.loaded.dependents, "nvidia") if node.loaded else (),
        run=change.run,
        initramfs=_union([step.kernel for step in change.of(RebuildInitramfs)]),
        parameters=_parameters(change) if MODPROBE_FILE in paths else {},
    )


def _parameters(change: Change) -> t.Dict[str, t.Dict[str, str]]:
    """As the loaded modules show those that the new file has, or has no more."""
    dropped = (change.state or {}).get("dropped", {}).get("values", {})
    found: t.Dict[str, t.Dict[str, str]] = {}
    for module, shown in change.node.live_parameters.items():
        for name in sorted({*change.parameters.get(module, ()), *dropped.get(module, ())} & set(shown)):
            found.setdefault(module, {})[name] = shown[name]
    return found


def remember(change: Change, walker: Walker) -> None:
    """The way back, before the first package changes: the old packages' files, and the record that names them. Without
    such a change the record stays that of the last one; an image that is built now carries what that one brought."""
    if change.of(ChangePackages):
        _remember(change, walker)
    elif change.remembers:
        _remember_images(walker)


def _remember(change: Change, walker: Walker) -> None:
    ports, manager = walker.ports, walker.manager
    before = walker.journal.before
    going = [one for one in manager.installed(sorted(before.packages)) if before.packages[one.name] == one.version]
    kept = {**before.kept, **apply_keep.keep(ports, manager.kind, going)}
    before = dataclasses.replace(before, kept=kept)
    walker.note(before=before)
    if change.remembers:
        record.write_record(ports.files, before)
        apply_keep.prune(ports, list(kept.values()))
    lacking = sorted(set(before.packages) - set(kept))
    if lacking:
        walker.told.append(
            f"the files of the installed {', '.join(lacking)} could not be had; the way back to them exists only as "
            "long as a repository has these versions"
        )


def _remember_images(walker: Walker) -> None:
    files = walker.ports.files
    with contextlib.suppress(AccelError):  # one that cannot be read is no way back; who wants it is told so
        kept = record.read_record(files)
        if kept is not None and set(walker.journal.before.initramfs) - set(kept.initramfs):
            images = _union(kept.initramfs, walker.journal.before.initramfs)
            record.write_record(files, dataclasses.replace(kept, initramfs=images))


def _union(*kernels: t.Sequence[str]) -> t.Tuple[str, ...]:
    return tuple(dict.fromkeys(kernel for some in kernels for kernel in some))
