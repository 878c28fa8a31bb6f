# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node had before a change of its driver, and the journal of a change that is under way. PRIVATE.

The record is the way back: it stays when the change is done, so that `state: restored` can put everything back by name
and version (the names differ across 590). The journal is there only during a change. Packages and files outlive a boot,
so does the journal; what it says of running units is void in the next one.
"""

from __future__ import annotations

import dataclasses
import datetime
import posixpath
import typing as t
from dataclasses import dataclass, field

from .._errors import AccelError, NotRootError
from .._files import Files
from .._packages.apply_base import STAMP
from .model import Parameters

FOLDER = "/var/lib/accel-gpu/driver"
RECORD = f"{FOLDER}/record.json"
JOURNAL = f"{FOLDER}/journal.json"
STATE = f"{FOLDER}/state.json"
CACHE = f"{FOLDER}/cache"
VERSION = 1

# Where a change was when it was interrupted.
BEFORE, PACKAGES, AFTER = "before", "packages", "after"

Contents = t.Mapping[str, t.Optional[str]]  # path -> content, None where there was no such file


@dataclass(frozen=True)
class Recorded:
    """`version` is NVIDIA's, `flavour` open | proprietary. `packages` are those that the change replaces or removes,
    `added` those that it brings newly, what comes with the driver included. `state` is what was ours, see
    `read_state`. `files` are ours, `units` tell (enabled, active). `kept` are the old packages' files in CACHE by
    package; without one there is no sure way back. `modules` were loaded, outermost first with nvidia last. `run` is
    the caller's change in which all this was written down, None where it gave no name. `initramfs` are kernels whose
    image the change builds anew, so that it carries what is no longer there once packages or parameters are back.
    `parameters` are those that the change sets or drops, as the loaded modules showed them."""

    since: str
    version: t.Optional[str] = None
    flavour: t.Optional[str] = None
    packages: t.Mapping[str, str] = field(default_factory=dict)
    added: t.Tuple[str, ...] = ()
    holds: t.Tuple[str, ...] = ()
    stream: t.Optional[str] = None
    files: Contents = field(default_factory=dict)
    units: t.Mapping[str, t.Tuple[bool, bool]] = field(default_factory=dict)
    kept: t.Mapping[str, str] = field(default_factory=dict)
    state: t.Mapping[str, t.Any] = field(default_factory=dict)
    modules: t.Tuple[str, ...] = ()
    run: t.Optional[str] = None
    initramfs: t.Tuple[str, ...] = ()
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class Journal:
    """`initramfs` are kernels whose image is not known to be right yet, `units` those to be started again, in the order
    of stopping. `back`: the change is itself a way back, so `before` is what it wants to leave behind."""

    boot_id: str
    phase: str
    before: Recorded
    initramfs: t.Tuple[str, ...] = ()
    units: t.Tuple[str, ...] = ()
    back: bool = False

    @property
    def since(self) -> str:
        return self.before.since


def way_back(journal: t.Optional[Journal], recorded: t.Optional[Recorded]) -> t.Optional[Recorded]:
    """What was there before the last change: that one may have been interrupted. Pure."""
    return journal.before if journal is not None and not journal.back else recorded


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_record(files: Files) -> t.Optional[Recorded]:
    document = _read(files, RECORD)
    return None if document is None else _understood(RECORD, document, lambda: _recorded(document))


def read_journal(files: Files) -> t.Optional[Journal]:
    document = _read(files, JOURNAL)
    return None if document is None else _understood(JOURNAL, document, lambda: _journal(document))


def write_record(files: Files, recorded: Recorded) -> None:
    _write(files, RECORD, dataclasses.asdict(recorded))


def write_journal(files: Files, journal: Journal) -> None:
    _write(files, JOURNAL, dataclasses.asdict(journal))


def remove_journal(files: Files) -> None:
    files.remove(JOURNAL)


def read_state(files: Files) -> t.Dict[str, t.Any]:
    """What is ours on the node (packages, holds, files), as the plan wants it remembered."""
    found = files.read_json(STATE)
    return found if isinstance(found, dict) else {}


def write_state(files: Files, state: t.Mapping[str, t.Any]) -> None:
    if state:
        files.write_json(STATE, dict(state))
    else:
        files.remove(STATE)


def united(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """What holds while a change is under way: of lists all that was ours or will be. Pure."""
    lists = {key: value for key, value in before.items() if isinstance(value, list)}
    return {**before, **after, **{key: sorted({*value, *after.get(key, ())}) for key, value in lists.items()}}


def forget(files: Files) -> None:
    """All that earlier runs wrote down: nothing of ours is on the node any more. Without our repository it is of no use
    to know when its index was fetched."""
    files.remove(STAMP)
    for name in files.names(CACHE):
        files.remove(f"{CACHE}/{name}")
    for name in files.names(FOLDER):
        if name != posixpath.basename(CACHE):
            files.remove(f"{FOLDER}/{name}")
    files.prune(CACHE, top=posixpath.dirname(FOLDER))


def _write(files: Files, path: str, document: t.Mapping[str, t.Any]) -> None:
    # Repository files may carry a password.
    files.write_json(path, {"version": VERSION, "is": document}, mode=0o600)


def _read(files: Files, path: str) -> t.Any:
    try:
        return files.read_json(path)
    except PermissionError as error:
        raise NotRootError(f"{path} is there for root alone; set become: true", path=path) from error


Understood = t.TypeVar("Understood")


def _understood(path: str, document: t.Any, make: t.Callable[[], Understood]) -> Understood:
    try:
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}, this collection knows {VERSION}")
        return make()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "compare the installed packages with the wish by hand, then remove the file"
        raise AccelError(f"{path} was not written by accel.gpu ({error!r}); {remedy}", path=path) from error


def _recorded(document: t.Any) -> Recorded:
    return _from(document["is"])


def _journal(document: t.Any) -> Journal:
    entry = document["is"]
    return Journal(
        entry["boot_id"],
        entry["phase"],
        _from(entry["before"]),
        tuple(entry["initramfs"]),
        tuple(entry["units"]),
        bool(entry.get("back", False)),
    )


def _from(entry: t.Mapping[str, t.Any]) -> Recorded:
    return Recorded(
        entry["since"],
        entry["version"],
        entry["flavour"],
        dict(entry["packages"]),
        tuple(entry["added"]),
        tuple(entry["holds"]),
        entry["stream"],
        dict(entry["files"]),
        {name: (bool(enabled), bool(active)) for name, (enabled, active) in entry["units"].items()},
        dict(entry["kept"]),
        dict(entry["state"]),
        tuple(entry["modules"]),
        entry.get("run"),
        tuple(entry.get("initramfs", ())),
        {module: dict(shown) for module, shown in entry.get("parameters", {}).items()},
    )
