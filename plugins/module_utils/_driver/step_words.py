# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps in words, for errors and reports. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .steps import (
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


def words(step: Step) -> str:
    """A step in a sentence."""
    if isinstance(step, (WriteFile, RemoveFile)):
        return f"{'writing' if isinstance(step, WriteFile) else 'removing'} {step.path}"
    if isinstance(step, RefreshIndex):
        return "refreshing the package index"
    if isinstance(step, ChangePackages):
        return "downloading packages" if step.download else "changing packages"
    if isinstance(step, (HoldPackages, UnholdPackages)):
        return f"{'holding' if isinstance(step, HoldPackages) else 'releasing'} {', '.join(step.names)}"
    if isinstance(step, DistrustKeys):
        return f"no longer trusting key {', '.join(step.fingerprints)}"
    if isinstance(step, PrepareEnrolment):
        return f"preparing the enrolment of {step.certificate}"
    if isinstance(step, RebuildInitramfs):
        return f"rebuilding the initramfs of kernel {step.kernel}"
    if isinstance(step, SetUnit):
        return f"setting {step.name}"
    return _of_modules(step)


def _of_modules(step: t.Union[LoadModules, InsertModules, ReloadModules]) -> str:
    if isinstance(step, InsertModules):
        return f"loading the kernel modules {', '.join(step.modules)}"
    if isinstance(step, LoadModules):
        return "loading the kernel modules"
    return "reloading the kernel modules" if step.load else "unloading the kernel modules"
