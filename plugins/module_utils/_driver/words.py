# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A step of a driver plan in a sentence. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from . import steps

_WORDS: t.Mapping[type, t.Callable[[t.Any], str]] = {
    steps.WriteFile: lambda step: f"writing {step.path}",
    steps.RemoveFile: lambda step: f"removing {step.path}",
    steps.RefreshIndex: lambda step: "refreshing the package index",
    steps.ChangePackages: lambda step: "downloading packages" if step.download else "changing packages",
    steps.HoldPackages: lambda step: f"holding {', '.join(step.names)}",
    steps.UnholdPackages: lambda step: f"releasing {', '.join(step.names)}",
    steps.DistrustKeys: lambda step: f"no longer trusting key {', '.join(step.fingerprints)}",
    steps.PrepareEnrolment: lambda step: f"preparing the enrolment of {step.certificate}",
    steps.RebuildInitramfs: lambda step: f"rebuilding the initramfs of kernel {step.kernel}",
    steps.SetUnit: lambda step: f"setting {step.name}",
    steps.InsertModules: lambda step: f"loading the kernel modules {', '.join((*step.modules, *step.again))}",
    steps.LoadModules: lambda step: "loading the kernel modules",
    steps.ReloadModules: lambda step: f"{'reloading' if step.load else 'unloading'} the kernel modules",
}


def words(step: steps.Step) -> str:
    return _WORDS[type(step)](step)
