# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walk the steps of a driver plan through the ports, one after the other. Decides nothing. PRIVATE."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._data.driver_system import OF_DRIVER
from ..._errors import AccelError, ApplyError, BlockedError, BusyError
from ..._holders import apply as holders
from ..._packages.objects import Transaction
from .. import record, refused
from ..decide.requests import requests_of, whole_request
from ..look import probe_modules, probe_use
from ..record import Journal
from ..steps import (
    ChangePackages,
    DistrustKeys,
    HoldPackages,
    InsertModules,
    LoadModules,
    PrepareEnrolment,
    RebuildInitramfs,
    RefreshIndex,
    ReloadModules,
    RemoveFile,
    SetUnit,
    Step,
    UnholdPackages,
    WriteFile,
)
from . import apply_build, apply_enrolment, apply_modules
from .apply_build_log import explained

if t.TYPE_CHECKING:
    from ..._packages.probe import Manager
    from ..._ports import Ports

INITRAMFS_SECONDS = 900.0  # with all modules of a large kernel and slow disks; not a measured figure
UNIT_SECONDS = 90.0  # systemd's own default for starting a service


# What a report tells the seconds of. Modules of DKMS are built by the scripts of their package, told as "build".
PHASES: t.Mapping[type, str] = {
    ChangePackages: "install",
    RebuildInitramfs: "initramfs",
    LoadModules: "reload",
    ReloadModules: "reload",
    SetUnit: "units",
}


class StepError(Exception):
    """`step` failed because of `cause`."""

    def __init__(self, step: Step, cause: AccelError) -> None:
        super().__init__(cause.message)
        self.step = step
        self.cause = cause


class WorkCameError(BusyError):
    """Somebody took the GPUs since the plan was made. facts: why."""


class Walker:
    """Keeps the journal up to date on the way. `told` are sentences for warnings, `reload` says why modules stayed,
    `downloaded` is what was only fetched, `seconds` how long each of PHASES took. `defers`: a reload that has to wait
    for somebody's work is no failure. `journals` False: nothing is written down, for what needs no way back."""

    def __init__(
        self,
        ports: Ports,
        manager: Manager,
        journal: Journal,
        own_holds: t.Collection[str] = (),
        defers: bool = False,
    ) -> None:
        self.ports = ports
        self.manager = manager
        self.journal = journal
        self.journals = True
        self.done: t.List[Step] = []
        self.told: t.List[str] = []
        self.reload: t.List[str] = []
        self.downloaded = Transaction()
        self.seconds: t.Dict[str, float] = {}
        self._own_holds = tuple(own_holds)
        self._defers = defers
        self._away = False  # the modules were taken away for good

    def walk(self, steps: t.Sequence[Step]) -> None:
        """Raises StepError at the first step that fails."""
        self.owe(steps)
        for number, step in enumerate(steps):
            start = time.monotonic()
            try:
                if not self._waits(step, steps[number + 1 :]):
                    self._take(step)
            except AccelError as error:
                raise StepError(step, explained(error, self.ports.files)) from error
            except OSError as error:
                raise StepError(step, AccelError(f"{error.filename or 'a file'}: {error.strerror}")) from error
            finally:
                phase = PHASES.get(type(step))
                if phase:
                    self.seconds[phase] = round(self.seconds.get(phase, 0.0) + time.monotonic() - start, 1)
            self.done.append(step)

    def owe(self, steps: t.Sequence[Step]) -> None:
        """The images that the steps build are none of a known state before that."""
        owed = tuple(step.kernel for step in steps if isinstance(step, RebuildInitramfs))
        self.note(initramfs=tuple(dict.fromkeys((*self.journal.initramfs, *owed))))

    def _waits(self, step: Step, rest: t.Sequence[Step]) -> bool:
        """Whether the step has to wait for somebody who has the GPUs by now. Raises WorkCameError where it cannot."""
        why = probe_use.hindrance(self.ports) if hurts(step, rest) else ""
        if not why:
            return False
        if self._defers and isinstance(step, ReloadModules) and step.load:
            self.reload.append(why)
            return True
        raise WorkCameError(f"{why}, which was not so when the run began; drain the node and run again", why=why)

    def start_left(self) -> None:
        """Units that wait for the last step, because the modules went for good, or that an interrupted run of this boot
        has stopped. Without a module those of the driver are of no use, and another that does not come up is told."""
        if not self.journal.units:
            return
        loaded = self._is_loaded()
        late = holders.start(self.ports, [unit for unit in self.journal.units if loaded or unit not in OF_DRIVER])
        if late and loaded:
            raise ApplyError("; ".join(late.values()))
        self.told += late.values()
        self.note(units=())

    def note(self, **facts: t.Any) -> None:
        """The journal first, then the deed."""
        self.journal = dataclasses.replace(self.journal, **facts)
        if self.journals:
            record.write_journal(self.ports.files, self.journal)

    def _take(self, step: Step) -> None:
        if isinstance(step, WriteFile):
            self.ports.files.write(step.path, step.content.encode("utf-8"), mode=step.mode, backup=True)
            if step.sort == "key":
                self._note_keys(add=self.manager.trust(step.path))
        elif isinstance(step, RemoveFile):
            self.ports.files.remove(step.path)
        elif isinstance(step, (RefreshIndex, ChangePackages, HoldPackages, UnholdPackages, DistrustKeys)):
            self._packages(step)
        elif isinstance(step, PrepareEnrolment):
            self.told.append(apply_enrolment.prepare(self.ports, step.certificate))
        elif isinstance(step, RebuildInitramfs):
            self._rebuild(step.kernel)
        elif isinstance(step, SetUnit):
            set_unit(self.ports, step)
        elif isinstance(step, LoadModules):
            apply_modules.load(self.ports, step)
            self.told += apply_modules.insert_again(self.ports, step.again)
        elif isinstance(step, InsertModules):
            apply_modules.insert(self.ports, step.modules)
            self.told += apply_modules.insert_again(self.ports, step.again)
        else:
            self._reload(step)

    def _packages(
        self, step: t.Union[RefreshIndex, ChangePackages, HoldPackages, UnholdPackages, DistrustKeys]
    ) -> None:
        if isinstance(step, RefreshIndex):
            self.manager.refresh(step.max_age, step.needed)
        elif isinstance(step, HoldPackages):
            self.manager.hold(step.names)
        elif isinstance(step, UnholdPackages):
            self.manager.unhold(step.names)
        elif isinstance(step, DistrustKeys):
            for one in step.fingerprints:
                self.manager.distrust(one)
            self._note_keys(drop=step.fingerprints)
        elif step.download:
            self.downloaded = self.manager.download(whole_request(step, self._own_holds))
        else:
            if self._away and self._is_loaded():
                raise BlockedError(
                    "kernel module nvidia was loaded again after it had been unloaded; end who opens the GPUs, or "
                    "disable it until the driver is gone, and run again"
                )
            self.note(phase=record.PACKAGES)
            began = time.time()
            for request in requests_of(step, self._own_holds):
                self.manager.run(request)
            self.note(phase=record.AFTER)
            self._note_build(apply_build.seconds_since(self.ports, began))

    def _note_build(self, seconds: float) -> None:
        """Out of the time of the packages, whose scripts built."""
        if seconds:
            self.seconds["build"] = round(self.seconds.get("build", 0.0) + seconds, 1)
            self.seconds["install"] = round(self.seconds.get("install", 0.0) - seconds, 1)

    def _note_keys(self, add: t.Collection[str] = (), drop: t.Collection[str] = ()) -> None:
        """Keys that the manager trusts because of us."""
        state = record.read_state(self.ports.files)
        keys = sorted({*state.pop("keys", ()), *add} - {*drop})
        if add or drop:
            record.write_state(self.ports.files, {**state, **({"keys": keys} if keys else {})})

    def _rebuild(self, kernel: str) -> None:
        rebuild(self.ports, kernel)
        self.note(initramfs=tuple(one for one in self.journal.initramfs if one != kernel))

    def _reload(self, step: ReloadModules) -> None:
        left = tuple(unit for unit in self.journal.units if unit not in step.stop)  # by an interrupted run
        self.note(units=(*left, *step.stop))
        why, late = apply_modules.reload(self.ports, step)
        if why:
            refused.remember(self.ports.files, why)
            self.reload += [why.why] if step.load else []
        else:
            refused.forget(self.ports.files)
            self.told += apply_modules.insert_again(self.ports, step.again)
        if late:
            raise ApplyError("; ".join([*([why.why] if why else ()), *late.values()]))
        self._away = not why and not step.load
        self.note(units=(*left, *step.stop) if self._away else left)
        if why and not step.load:
            # What the next steps take away is what the module in memory needs.
            raise BlockedError(f"{why.why}; end who uses it, or reboot the node, and run again")

    def _is_loaded(self) -> bool:
        return probe_modules.probe(self.ports.files).version is not None


def hurts(step: Step, rest: t.Sequence[Step] = ()) -> bool:
    """Would the step stop or change something under those who have the GPUs? `rest` are the steps that follow. Pure."""
    if isinstance(step, ChangePackages):
        return step.idle and not step.download
    if isinstance(step, SetUnit):
        return step.running is False and any(isinstance(one, ReloadModules) for one in rest)
    return isinstance(step, ReloadModules)


def rebuild(ports: Ports, kernel: str) -> None:
    """With the tool that the distribution has: update-initramfs on Debian and Ubuntu, dracut on the others."""
    argv = ["update-initramfs", "-u", "-k", kernel]
    if not any(ports.files.exists(f"{folder}/update-initramfs") for folder in ("/usr/sbin", "/sbin")):
        argv = ["dracut", "--force", "--kver", kernel]
    code, out, err = ports.run(argv, timeout=INITRAMFS_SECONDS)
    if code != 0:
        said = " ".join((err or out).split()[-60:]) or "no output"
        raise ApplyError(f"{' '.join(argv)} ended with {code}: {said}", exit_code=code)


def set_unit(ports: Ports, step: SetUnit) -> None:
    """Without a daemon-reload, which `enable` would run by itself: it can take GPUs away from containers (rule 7)."""
    verbs: t.List[t.Tuple[str, ...]] = []
    if step.enabled is not None:
        verbs.append(("--no-reload", "enable" if step.enabled else "disable"))
    if step.running is not None:
        verbs.append(("start" if step.running else "stop",))
    for verb in verbs:
        code, out, err = ports.run(["systemctl", *verb, step.name], timeout=UNIT_SECONDS)
        if code != 0:
            said = " ".join((err or out).split()) or "no output"
            raise ApplyError(f"systemctl {verb[-1]} {step.name} ended with {code}: {said}", exit_code=code)
