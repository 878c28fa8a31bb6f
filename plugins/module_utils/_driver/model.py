# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Value objects of the driver core: what is wished, and what a node is. PRIVATE to the collection.

The plan reads these objects and nothing else, so it can be tried without a machine.
Versions are NVIDIA's own ("580.126.16") unless a comment says that the package manager's is meant ("580.126.16-1").
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from .._errors import AccelError
from .._expected import Expected, KnownFault

Parameters = t.Mapping[str, t.Mapping[str, str]]  # module -> parameter -> value

# --- the wish ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mirror:
    """A copy of NVIDIA's network repositories: `url` stands for .../compute/cuda/repos, `key` is the armored signing
    key, which must have `fingerprint`. Empty: NVIDIA's own key and fingerprint, from the data."""

    url: str
    key: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class Wish:
    """The options of gpu_driver. `branch` is "580", `version` "580.126.16"; at most one of them, none: the default."""

    state: str = "present"  # present | absent
    source: str = "nvidia"  # distribution | nvidia | mirror
    mirror: t.Optional[Mirror] = None
    branch: t.Optional[str] = None
    version: t.Optional[str] = None
    flavour: str = "auto"  # auto | open | proprietary
    profile: str = "compute"  # compute | full
    modules: str = "dkms"  # dkms | precompiled
    parameters: Parameters = field(default_factory=dict)
    persistenced: bool = True
    hold: bool = True
    blacklist_nouveau: bool = True
    reload: str = "if_needed"  # never | if_needed
    change_loaded: bool = False  # rule 5: change packages although a module is loaded
    allow_kernel_change: bool = False  # the transaction may install, upgrade or remove kernel packages
    when_busy: str = "defer"  # refuse | defer
    takeover: bool = False
    daemon_reload: str = "auto"  # auto | allowed (rule 7)
    newest: bool = False  # a branch means its newest version; else any installed version of the branch will do
    download_only: bool = False  # fetch what the change needs, change nothing else
    keep_geometry: bool = False  # write down the MIG layout, because the caller reboots the node
    run: t.Optional[str] = None  # names the caller's change in what is written down
    restore_runs: t.Optional[t.Tuple[str, ...]] = None  # changes that may be taken back; None: whosever it was
    cache_valid_time: int = 3600  # seconds for which a package index is not fetched again
    lock_timeout: float = 300
    expected: t.Optional[Expected] = None  # what the host declares to have; only its number shows without a driver
    faults: t.Tuple[KnownFault, ...] = ()
    today: datetime.date = datetime.date(1970, 1, 1)
    prefix: str = ""  # what stands before an option in messages: "gpu_driver_" in the role


# --- the node ---------------------------------------------------------------------------------------------------------


class Distribution(t.NamedTuple):
    """From os-release. `version` is VERSION_ID ("12", "24.04", "9.4", "15.6"), `arch` the kernel's (x86_64,
    aarch64)."""

    id: str  # debian, ubuntu, rhel, rocky, almalinux, ol, centos, amzn, sles, ...
    version: str
    family: str  # debian | rhel | suse
    codename: str
    arch: str
    name: str  # PRETTY_NAME


class ModuleFile(t.NamedTuple):
    """A kernel module on disk. `name` is the canonical one: Debian's nvidia-current counts as nvidia. Its companions
    (nvidia-uvm and so on) come from the same build and are not listed. What modprobe would load stands first."""

    name: str
    path: str
    version: str
    license: str  # "NVIDIA" is proprietary, "Dual MIT/GPL" open
    signer: t.Optional[str]


class Initramfs(t.NamedTuple):
    """`versions` are those of NVIDIA modules inside; `nouveau`: it carries that module without our blacklist.
    `unread` says why it could not be looked into. `stamp` tells this file from a later one of the same name."""

    path: str
    versions: t.Tuple[str, ...] = ()
    nouveau: bool = False
    unread: str = ""
    stamp: str = ""


class Kernel(t.NamedTuple):
    release: str
    headers: bool
    modules: t.Tuple[ModuleFile, ...] = ()
    initramfs: t.Optional[Initramfs] = None


class PciDevice(t.NamedTuple):
    """`device_id` is "10de:20b5", `driver` what is bound (nvidia, nouveau, vfio-pci, ...)."""

    address: str
    device_id: str
    subsystem_id: str
    driver: t.Optional[str]


class SecureBoot(t.NamedTuple):
    """`enabled` None: this machine has none (BIOS, container). `enrolled` and `pending` are key subjects or SHA-1s;
    `dkms_key` is the path of the certificate that DKMS signs with where there is one, `dkms_key_enrolled` whether
    firmware knows it."""

    enabled: t.Optional[bool] = None
    enrolled: t.Tuple[str, ...] = ()
    pending: t.Tuple[str, ...] = ()
    dkms_key: t.Optional[str] = None
    dkms_key_enrolled: bool = False
    dkms_key_pending: bool = False  # its enrolment is prepared, a person has not confirmed it yet


class LoadedModule(t.NamedTuple):
    """The NVIDIA kernel module in memory. `dependents` hold it, in the order in which they can go (outermost first)."""

    version: str
    open: t.Optional[bool]
    signer: t.Optional[str] = None
    dependents: t.Tuple[str, ...] = ()


def flavour(is_open: t.Optional[bool]) -> t.Optional[str]:
    """As the wish calls it; None where the module does not tell."""
    return None if is_open is None else "open" if is_open else "proprietary"


class Unit(t.NamedTuple):
    """A systemd unit that the driver's packages bring or that holds devices. `static`: others start it, so it can be
    neither enabled nor disabled (Ubuntu's persistenced, which udev starts)."""

    name: str
    enabled: bool
    active: bool
    failed: bool = False
    static: bool = False


# A process that keeps device nodes open: its name, its unit where that may be stopped, its PID.
Holder = t.Tuple[str, t.Optional[str], int]


class Busy(t.NamedTuple):
    """Who works on a GPU of the node, in a sentence; `process` False is an allocation without one."""

    gpu: str
    who: str
    process: bool


@dataclass(frozen=True)
class Node:
    """One snapshot. `packages` and `offers` hold the package manager's versions."""

    distribution: Distribution
    running: Kernel
    next: t.Optional[Kernel] = None  # the kernel that boots next, where it is another one
    gpus: t.Tuple[PciDevice, ...] = ()
    switches: t.Tuple[PciDevice, ...] = ()
    nvlink5: bool = False  # NVSwitches of generation 4 behind ConnectX bridges: nvlsm is needed (driver.md 6)
    lacking_modules: t.Tuple[str, ...] = ()  # of FABRIC_MODULES those that are needed and not in memory
    imex_lacks: str = ""  # the file of addresses without which imex does not start; "" where it is there or not needed
    secure_boot: SecureBoot = SecureBoot()
    loaded: t.Optional[LoadedModule] = None
    nouveau_loaded: bool = False
    library: t.Optional[str] = None  # version of libnvidia-ml on disk
    packages: t.Mapping[str, str] = field(default_factory=dict)  # name -> version, NVIDIA's alone
    tools: t.Mapping[str, str] = field(default_factory=dict)  # of others: what runs installed, what enrols a key
    holds: t.FrozenSet[str] = frozenset()
    hold_tools: t.Tuple[str, ...] = ()  # packages that are missing and without which a hold has no effect
    stream: t.Optional[str] = None  # the driver's dnf module stream that is enabled: "nvidia-driver:580-open"
    package_problems: t.Tuple[str, ...] = ()
    units: t.Mapping[str, Unit] = field(default_factory=dict)
    fabric_state: t.Optional[str] = None  # "completed", "in_progress", ...; None where there is no fabric
    managers: t.Tuple[t.Tuple[str, str], ...] = ()  # rule 3: (name, evidence)
    busy: t.Tuple[Busy, ...] = ()
    holders: t.Tuple[Holder, ...] = ()  # processes with devices open
    reboot_pending: t.Tuple[str, ...] = ()  # reasons of the whole node, which need not be the driver's
    reboot_packages: t.Tuple[str, ...] = ()  # that asked for it, as far as they left their names
    daemon_reload_risk: t.Tuple[str, ...] = ()  # containers that a daemon-reload would hurt (rule 7)
    files: t.Mapping[str, str] = field(default_factory=dict)  # our own files (repository, modprobe.d, ...) as they are
    records: t.Mapping[str, t.Any] = field(default_factory=dict)  # what earlier runs wrote down (state.json)
    root: bool = True
    next_from: str = ""  # what says which kernel boots next: a file of the boot loader, or "highest version in /boot"
    nouveau_holders: t.Tuple[str, ...] = ()  # modules that use nouveau, outermost first
    nouveau_blacklists: t.Tuple[str, ...] = ()  # files of others that blacklist nouveau
    boot_id: str = ""
    live_parameters: Parameters = field(default_factory=dict)  # of the loaded modules, as far as the kernel shows them
    nvml: str = ""  # "" where the driver answered or nobody asked, else why it did not
    nvml_state: str = ""  # answers | missing | not_loaded | mismatch | hung | failed; "" where nobody asked
    unloaded: t.Tuple[str, ...] = ()  # what an interrupted run of this boot took out of memory, in the order of loading
    refused: str = ""  # why a reload of the modules was refused in this boot and would be again


class Offers(t.NamedTuple):
    """What the package manager could install now, by name, newest first; `streams` are dnf module streams.
    `components` are (component, file that names it) of apt's repositories, asked where a package is in none of them."""

    versions: t.Mapping[str, t.Tuple[str, ...]]
    streams: t.Tuple[str, ...] = ()
    components: t.Tuple[t.Tuple[str, str], ...] = ()


class Change(t.NamedTuple):
    """What happens to one package: `before` is None for an installation, `after` for a removal. `beside`: it is
    installed beside other versions of itself, which stay, as kernels and their headers are."""

    name: str
    before: t.Optional[str]
    after: t.Optional[str]
    beside: bool = False


@dataclass(frozen=True)
class State:
    """All that a decision needs. `offers` None: the package manager could not be asked, `unreachable` says why.
    `changes` are those of the simulated transaction of plan_request.request; None: nothing was simulated.
    `key` is the armored signing key as it was fetched from the repository, where the wish has none. `full` is why the
    transaction does not fit on the disk."""

    node: Node
    offers: t.Optional[Offers] = None
    changes: t.Optional[t.Tuple[Change, ...]] = None
    unreachable: str = ""
    key: t.Optional[str] = None
    full: t.Optional[AccelError] = None
