# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan while it is made: each step enters together with what a report says of it. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._diff import Tracker
from ..model import Node
from ..steps import (
    ChangePackages,
    DistrustKeys,
    HoldPackages,
    InsertModules,
    LoadModules,
    Owed,
    RebuildInitramfs,
    RefreshIndex,
    ReloadModules,
    RemoveFile,
    SetUnit,
    Step,
    UnholdPackages,
    WriteFile,
)

# How the difference names what is in memory, and the action that may turn out impossible.
MODULES = "kernel modules"
RELOAD = "reload_modules"


@dataclass
class Draft:
    tracker: Tracker
    steps: t.List[Step] = field(default_factory=list)
    warnings: t.List[str] = field(default_factory=list)
    reload: t.List[str] = field(default_factory=list)
    reboot: t.List[str] = field(default_factory=list)
    daemon_reload: t.Tuple[str, ...] = ()
    fabric: t.List[str] = field(default_factory=list)
    boot: t.Tuple[str, ...] = ()
    upgrade: t.Optional[t.Tuple[str, str]] = None
    enrolment: t.Optional[str] = None
    record: t.Optional[t.Mapping[str, t.Any]] = None
    facts: t.Dict[str, t.Any] = field(default_factory=dict)

    def owed(self) -> Owed:
        return Owed(
            tuple(self.reload),
            tuple(self.reboot),
            self.upgrade,
            self.enrolment,
            self.daemon_reload,
            tuple(self.fabric),
            self.boot,
        )

    def wait_for_fabric(self, what: str, why: str) -> None:
        """Something of the NVLink fabric that cannot be done now: left alone, and owed."""
        self.tracker.act("deferred", what, why)
        self.fabric.append(f"{what}: {why}")

    # --- steps ---

    def file(self, node: Node, step: t.Union[WriteFile, RemoveFile], reason: str) -> None:
        self.steps.append(step)
        gone = isinstance(step, RemoveFile)
        self.tracker.change(
            step.path,
            node.files.get(step.path),
            step.content if isinstance(step, WriteFile) else None,
            action="remove_file" if gone else "write_file",
            object=step.path,
            reason=reason,
            sort=step.sort,
        )

    def refresh(self, step: RefreshIndex) -> None:
        self.steps.append(step)

    def packages(self, node: Node, step: ChangePackages, after: t.Mapping[str, t.Optional[str]], reason: str) -> None:
        """`after` are all packages that will differ, those of dependencies too."""
        self.steps.append(step)
        if step.download:
            names = ", ".join(name for name, _version in (*step.first, *step.install))
            self.tracker.act("download", names, reason)
            return
        for name, version in after.items():
            there = node.packages.get(name)
            verb = "remove_package" if version is None else "install_package" if there is None else "change_package"
            known = {} if version is None else {"version": version}
            self.tracker.change(f"package {name}", there, version, action=verb, object=name, reason=reason, **known)
        if step.stream:
            self.stream(node, step.stream, reason)

    def stream(self, node: Node, wanted: str, reason: str) -> None:
        """Of dnf's module; without a colon it is the module alone, of which every stream is left."""
        module, enables, _stream = wanted.partition(":")
        why = "its packages come from this dnf module stream" if enables else reason
        verb = "enable_stream" if enables else "reset_stream"
        after = wanted if enables else None
        self.tracker.change(f"stream of {module}", node.stream, after, action=verb, object=wanted, reason=why)

    def hold(self, names: t.Sequence[str], reason: str) -> None:
        if names:
            self.steps.append(HoldPackages(tuple(names)))
            for name in names:
                self.tracker.change(f"hold {name}", False, True, action="hold", object=name, reason=reason)

    def unhold(self, names: t.Sequence[str], reason: str) -> None:
        if names:
            self.steps.append(UnholdPackages(tuple(names)))
            for name in names:
                self.tracker.change(f"hold {name}", True, False, action="release", object=name, reason=reason)

    def distrust(self, fingerprints: t.Sequence[str], reason: str) -> None:
        if fingerprints:
            self.steps.append(DistrustKeys(tuple(fingerprints)))
            for one in fingerprints:
                self.tracker.change(f"key {one}", True, False, action="distrust_key", object=one, reason=reason)

    def initramfs(self, kernel: str, before: t.Any, after: t.Any, reason: str) -> None:
        self.steps.append(RebuildInitramfs(kernel))
        self.tracker.change(
            f"initramfs {kernel}", before, after, action="rebuild_initramfs", object=kernel, reason=reason
        )

    def unit(self, node: Node, step: SetUnit, reason: str) -> None:
        self.steps.append(step)
        there = node.units.get(step.name)
        before: t.Dict[str, t.Any] = {}
        after: t.Dict[str, t.Any] = {}
        for word, wished, is_ in (
            ("enabled", step.enabled, there.enabled if there else False),
            ("running", step.running, there.active if there else False),
        ):
            if wished is not None:
                before[word], after[word] = is_, wished
        self.tracker.change(step.name, before, after, action="set_unit", object=step.name, reason=reason, **after)

    def modules(self, step: t.Union[LoadModules, ReloadModules], before: t.Any, after: t.Any, reason: str) -> None:
        self.steps.append(step)
        verb = "load_modules" if isinstance(step, LoadModules) else RELOAD if step.load else "unload_modules"
        self.tracker.change(MODULES, before, after, action=verb, object="nvidia", reason=reason)

    def insert(self, names: t.Sequence[str], reason: str) -> None:
        if names:
            self.steps.append(InsertModules(tuple(names)))
            for name in names:
                self._inserted(name, reason)

    def insert_again(self, names: t.Sequence[str], reason: str) -> None:
        if names:
            self.steps.append(InsertModules((), tuple(names)))
            for name in names:
                self._inserted(name, reason)

    def _inserted(self, name: str, reason: str) -> None:
        self.tracker.change(f"kernel module {name}", False, True, action="load_module", object=name, reason=reason)
