# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a plan for the driver, in the order in which they are walked. Value objects only. PRIVATE.

Order: files of the repository, index, packages, holds released and set, files of modprobe.d, initramfs, modules, units
(a service of the driver starts with its module only). An enrolment stands alone; a removal takes units and modules
first.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._packages.objects import Origin


class WriteFile(t.NamedTuple):
    """A whole file of ours. `sort` is repository | key | preferences | modprobe | modules | unattended |
    other."""

    path: str
    content: str
    sort: str
    mode: int = 0o644


class RemoveFile(t.NamedTuple):
    path: str
    sort: str


class RefreshIndex(t.NamedTuple):
    """The index of the repositories is older than the cache time, or a repository is new. `needed` are those that must
    answer; None: all."""

    max_age: int
    needed: t.Optional[t.Tuple[Origin, ...]] = None


class ChangePackages(t.NamedTuple):
    """One transaction. `install` has exact versions (None: whatever the distribution has); `stream` is a dnf module
    stream to be enabled first, such as "nvidia-driver:580-open"; "nvidia-driver" alone leaves every stream. `first`
    goes in a transaction of its own before: apt reads the pins of a pinning package when it starts. `download` fetches
    the files and changes nothing else. `idle`: only while nobody has the GPUs, which is asked right before."""

    install: t.Tuple[t.Tuple[str, t.Optional[str]], ...]
    remove: t.Tuple[str, ...] = ()
    downgrade: bool = False
    stream: t.Optional[str] = None
    first: t.Tuple[t.Tuple[str, t.Optional[str]], ...] = ()
    download: bool = False
    idle: bool = False


class HoldPackages(t.NamedTuple):
    names: t.Tuple[str, ...]


class UnholdPackages(t.NamedTuple):
    names: t.Tuple[str, ...]


class DistrustKeys(t.NamedTuple):
    """Signing keys that a run of ours took into the package manager's own keys (rpm has such, apt has none)."""

    fingerprints: t.Tuple[str, ...]


class PrepareEnrolment(t.NamedTuple):
    """Secure Boot: the certificate that DKMS signs with is handed to firmware; a person confirms it at the console."""

    certificate: str


class RebuildInitramfs(t.NamedTuple):
    kernel: str


class SetUnit(t.NamedTuple):
    """`enabled` and `running` None: left as they are."""

    name: str
    enabled: t.Optional[bool] = None
    running: t.Optional[bool] = None


class LoadModules(t.NamedTuple):
    """Nothing of NVIDIA is loaded: load it. `unload` are modules in the way, such as nouveau. `again` are those that an
    interrupted run has unloaded, of other packages too: they come last, where they have a file for this driver."""

    modules: t.Tuple[str, ...]
    unload: t.Tuple[str, ...] = ()
    again: t.Tuple[str, ...] = ()


class InsertModules(t.NamedTuple):
    """Modules of others that a service of the driver needs; what is there already stays as it is. `again` as in
    LoadModules."""

    modules: t.Tuple[str, ...]
    again: t.Tuple[str, ...] = ()


class ReloadModules(t.NamedTuple):
    """Every dependent of nvidia goes, outermost first, then nvidia; all come again in reverse order. If one cannot go,
    none goes. `stop` are units that hold devices and are started again, in the order of stopping; without `load` only
    after the last step, and the driver's own not at all. `again` as in LoadModules."""

    unload: t.Tuple[str, ...]
    load: t.Tuple[str, ...]
    stop: t.Tuple[str, ...] = ()
    again: t.Tuple[str, ...] = ()


Step = t.Union[
    WriteFile,
    RemoveFile,
    RefreshIndex,
    ChangePackages,
    HoldPackages,
    UnholdPackages,
    DistrustKeys,
    PrepareEnrolment,
    RebuildInitramfs,
    SetUnit,
    LoadModules,
    InsertModules,
    ReloadModules,
]


@dataclass(frozen=True)
class Owed:
    """What the node owes after (or without) the steps; read from the node at each run, never `changed` (rule 25).

    `reload` and `reboot` are reasons. `upgrade` is (from, to). `enrolment` is the sentence that tells a person what to
    do at the console. `daemon_reload` names containers that one would hurt. `fabric` says what of the NVLink fabric has
    to wait, `boot` why the next boot would be one without the driver.
    """

    reload: t.Tuple[str, ...] = ()
    reboot: t.Tuple[str, ...] = ()
    upgrade: t.Optional[t.Tuple[str, str]] = None
    enrolment: t.Optional[str] = None
    daemon_reload: t.Tuple[str, ...] = field(default_factory=tuple)
    fabric: t.Tuple[str, ...] = ()
    boot: t.Tuple[str, ...] = ()
