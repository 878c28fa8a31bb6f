# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Power limit, clocks and modes of a GPU across a mode change or reset. PRIVATE to the collection.

They fall back then (live_node rule 14), and where the driver is loaded again. They are written to a file before and
set again after, so that a run that died in between is finished by the next one, unless a wish has decided on them
since. Nothing here makes a change of the geometry fail: what does not come back is told. What MIG mode does not have
waits in the file until MIG is off; after a reboot nothing of it is true any more.
"""

from __future__ import annotations

import typing as t

from .._boot import boot_id
from .._errors import AccelError, GpuHungError, SessionDiedError
from .._nvml.objects import SettingSet
from .._nvml.settings_write import MIG_VALUES, UNREAD
from . import memory
from .live import near
from .model import DEFAULT
from .probe_load import driver_load

if t.TYPE_CHECKING:
    from .._files import Files
    from .._nvml.session import NvmlSession
    from .._ports import Ports

PATH = "/var/lib/accel-gpu/mig/settings.json"
PERSISTENCED = "nvidia-persistenced.service"
# A session that dies is opened again by the next request.
_ATTEMPTS = 2
# Codes of a driver that has no such setting any more.
_NO_MORE = ("NOT_SUPPORTED", "DEPRECATED", "FUNCTION_NOT_FOUND")

Settings = t.Mapping[str, t.Any]
Entries = t.Dict[str, t.Any]


class KeptSettings:
    """What GPUs had before this run touched them.

    `told` are sentences for what was set again, `lost` for what the GPU had and has not any more, `noted` for what is
    no loss or may be none: a value that the hardware rounded, one that waits until MIG is off, settings that nobody
    could read. What is lost stays written down: a way back sets it again, and so does the next run.
    """

    def __init__(self, ports: Ports, session: NvmlSession) -> None:
        self._ports = ports
        self._session = session
        self.told: t.List[str] = []
        self.lost: t.List[str] = []
        self.noted: t.List[str] = []
        self._before: t.Dict[str, Settings] = {}
        self._unread: t.Set[str] = set()
        self._finished = False

    def finish_earlier(self) -> None:
        """Sets what a run that died left unset. Once: a GPU that hangs costs a deadline each time."""
        if self._finished:
            return
        self._finished = True
        self.bring_all_back()

    def owed(self) -> t.List[str]:
        """GPUs of which settings are to be set again: what this run keeps, and what one that died left unset."""
        return [uuid for uuid, entry in self._stored().items() if entry["owed"]]

    def forget_all(self) -> None:
        _write(self._ports.files, {})

    def bring_all_back(self) -> None:
        for uuid in self.owed():
            self.bring_back(uuid)

    def read(self, uuid: str, stopped: t.Container[str] = ()) -> None:
        """Takes down what is set now. To be called before holders are stopped: without persistence mode settings go
        when the last client does. The persistence mode itself is left to its daemon where that is stopped."""
        if uuid in self._before:
            return
        skip = ("persistence_mode",) if PERSISTENCED in stopped else ()
        found = {**self._session.settings(uuid), **self._locked(uuid)}
        entry = self._stored().get(uuid, {"owed": False, "settings": {}})
        before = merged(found, entry["settings"], entry["owed"])
        self._before[uuid] = {name: value for name, value in before.items() if name not in skip}

    def _locked(self, uuid: str) -> Settings:
        """Locked clocks, as they were set last: NVML does not tell them."""
        remembered = memory.read(self._ports.files, driver_load(self._ports.root)).get(uuid, {})
        wished = {name: remembered[name].wished for name in UNREAD if name in remembered}
        return {name: [value["min"], value["max"]] for name, value in wished.items() if value != DEFAULT}

    def try_to_read(self, uuid: str, stopped: t.Container[str] = (), before: str = "the reset") -> bool:
        """As `read`, for a GPU with which something may be wrong: what cannot be read, asked twice, is told, and the
        answer is whether it could. A GPU that hangs raises all the same."""
        if uuid in self._unread:
            return False
        why = ""
        for _attempt in range(_ATTEMPTS):
            try:
                self.read(uuid, stopped)
                return True
            except GpuHungError:
                raise
            except AccelError as error:
                why = error.message
        self._unread.add(uuid)
        self._tell(self.noted, uuid, f"settings could not be read before {before}: {why}")
        return False

    def keep(self, uuid: str) -> None:
        """To be called before the GPU is touched."""
        self.read(uuid)
        self._store(uuid, {"owed": True, "settings": self._before[uuid]})

    def bring_back(self, uuid: str) -> None:
        """Sets again what differs. A GPU that gives no answer keeps its entry for the next run."""
        entry = self._stored().get(uuid)
        if entry is None:
            return
        try:
            done = self._restore_twice(uuid, entry["settings"])
        except AccelError as error:
            self._tell(self.lost, uuid, f"settings could not be set again: {error.message}")
            return
        memory.forget(
            self._ports.files,
            driver_load(self._ports.root),
            uuid,
            [one.name for one in done if one.refused and one.name in UNREAD],
        )
        places = {TOLD: self.told, LOST: self.lost, NOTED: self.noted}
        for one in done:
            self._tell(places[became(one)], uuid, sentence(one))
        lost = {one.name: one.wanted for one in done if became(one) == LOST}
        settings = {**waits(done), **lost}
        self._store(uuid, {"owed": bool(lost), "settings": settings} if settings else None)
        self._before.pop(uuid, None)

    def _restore_twice(self, uuid: str, before: Settings) -> t.Tuple[SettingSet, ...]:
        """What the GPU refuses is asked once more: one refusal of a GPU that was just reset is no reason to lose it."""
        done = self._restore(uuid, before)
        refused = {one.name: one.wanted for one in done if one.refused not in ("", "NOT_SUPPORTED")}
        if not refused:
            return done
        again = {one.name: one for one in self._restore(uuid, refused)}
        # What the second call has nothing to say of differs no more.
        return tuple(
            again.get(one.name, SettingSet(one.name, one.wanted, one.wanted)) if one.name in refused else one
            for one in done
        )

    def _restore(self, uuid: str, before: Settings) -> t.Tuple[SettingSet, ...]:
        for _attempt in range(_ATTEMPTS - 1):
            try:
                return self._session.restore_settings(uuid, before)
            except GpuHungError:
                raise
            except SessionDiedError:
                continue
        return self._session.restore_settings(uuid, before)

    def _tell(self, where: t.List[str], uuid: str, text: str) -> None:
        where.append(f"{uuid}: {text}")
        self._ports.log(where[-1])

    def _stored(self) -> Entries:
        return stored(self._ports.files)

    def _store(self, uuid: str, entry: t.Optional[Settings]) -> None:
        gpus = self._stored()
        gpus.pop(uuid, None)
        if entry is not None:
            gpus[uuid] = entry
        _write(self._ports.files, gpus)


def stored(files: Files) -> Entries:
    """What is kept, by UUID: `settings`, and whether they are `owed` or wait until MIG is off."""
    document = files.read_json(PATH)
    if not isinstance(document, dict) or document.get("boot_id") != boot_id(files):
        return {}
    return dict(document["gpus"])


def drop(files: Files, names: t.Mapping[str, t.Collection[str]]) -> None:
    """A wish has decided on these settings since, by UUID: what is older must not overwrite it."""
    if not names:
        return
    gpus = {}
    for uuid, entry in stored(files).items():
        settings = {name: value for name, value in entry["settings"].items() if name not in names.get(uuid, ())}
        if settings:
            gpus[uuid] = {**entry, "settings": settings}
    _write(files, gpus)


def _write(files: Files, gpus: Entries) -> None:
    if gpus:
        files.write_json(PATH, {"boot_id": boot_id(files), "gpus": gpus}, mode=0o600)
    else:
        files.remove(PATH)


def merged(found: Settings, stored: Settings, owed: bool = False) -> t.Dict[str, t.Any]:
    """What is set, and what waits because MIG mode has only the default of it. What is `owed` was set before a run that
    died took it away, so that what is found is the driver's default. Pure."""
    if owed:
        return {**found, **stored}
    back = {name: value for name, value in stored.items() if found.get(name) in (None, MIG_VALUES.get(name))}
    return {**found, **back}


def waits(done: t.Iterable[SettingSet]) -> t.Dict[str, t.Any]:
    """What MIG mode refused. Pure."""
    return {one.name: one.wanted for one in done if one.refused == "NOT_SUPPORTED" and one.name in MIG_VALUES}


TOLD, LOST, NOTED = "told", "lost", "noted"


def became(one: SettingSet) -> str:
    """Whether a setting is there again, is lost, or neither. A driver that has no such setting any more has none to
    lose; a power limit is never meant by that, for a rack may hang on it. Pure."""
    if one.refused:
        gone = one.refused in _NO_MORE and one.found is None and one.name != "power_limit"
        return NOTED if gone or waits([one]) else LOST
    if one.found == one.wanted:
        return TOLD
    return NOTED if near(one.wanted, one.found) else LOST


def unset(files: Files) -> t.List[str]:
    """Sentences for what is still to be set again. Raises AccelError where the file is none of ours."""
    return [
        f"{uuid}: {name.replace('_', ' ')} was {value} before and is not set again"
        for uuid, entry in stored(files).items()
        if entry["owed"]
        for name, value in entry["settings"].items()
        if value is not None and name not in MIG_VALUES
    ]


def sentence(one: SettingSet) -> str:
    """What became of a setting. Pure."""
    name = one.name.replace("_", " ")
    if one.refused:
        later = "; it is set again when MIG is off" if waits([one]) else ""
        return f"{name} was {one.wanted} before and the GPU refuses it now ({one.refused}){later}"
    if one.found != one.wanted:
        return f"{name} was {one.wanted} before and the GPU made {one.found} of it"
    return f"{name} is {one.wanted} again"
