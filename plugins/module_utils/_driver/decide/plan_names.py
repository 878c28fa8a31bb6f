# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of packages that a target needs on a node. Pure. PRIVATE to the collection."""

from __future__ import annotations

import collections
import fnmatch
import re
import typing as t

from ..._data.driver_branches import BRANCHES
from ..._data.driver_distributions import Platform
from ..._data.driver_gpus import TRAYS
from ..._data.driver_node import PACKAGES
from ..._data.driver_packages import HEADERS, KERNEL_PACKAGES, LAYOUTS, Layout
from ..._errors import WishError
from .. import versions
from ..model import Kernel, Node, Wish
from .plan_choice import Target, choose

# Packages that bring a kernel module, or are meta-packages for one flavour of it.
_MODULES = re.compile(r"dkms|-kmp-|^kmod-|^nvidia-open$|^cuda-drivers$|^nvidia-headless-|driver-G0\d|^linux-modules-")
DKMS = "dkms"  # comes with the driver by dependency, and is no part of it
# Those of them whose modules are built on the node, if need be by what they depend on.
_BUILT = re.compile(r"dkms|^nvidia-headless-|driver-G0\d(-kmp-default)?$")
_KERNEL = re.compile("|".join(f"(?:{pattern})" for pattern in KERNEL_PACKAGES))


class Parts(t.NamedTuple):
    """`driver` carry the driver's version, `loose` have versions of their own. `kernels` lack headers: the name of
    their package, what its version begins with (None: any), and the kernel's release. `tools` are the package
    manager's, not the driver's: they come along and stay."""

    driver: t.Tuple[str, ...]
    loose: t.Tuple[str, ...] = ()
    pinning: t.Optional[str] = None
    kernels: t.Tuple[t.Tuple[str, t.Optional[str], str], ...] = ()
    tools: t.Tuple[str, ...] = ()

    @property
    def all(self) -> t.Tuple[str, ...]:
        pinning = (self.pinning,) if self.pinning else ()
        headers = (name for name, _version, _kernel in self.kernels)
        return tuple(dict.fromkeys((*pinning, *self.driver, *self.loose, *headers, *self.tools)))


def names(wish: Wish, node: Node) -> t.Tuple[str, ...]:
    """The packages whose versions must be known for a decision. Raises WishError where the wish cannot be met."""
    if wish.state == "absent":
        return ()
    target = choose(wish, node)
    needed = parts(wish, node, target)
    return tuple(dict.fromkeys((*needed.all, *followers(node, target, needed))))


def followers(node: Node, target: Target, needed: Parts) -> t.Tuple[str, ...]:
    """Installed packages that came with the driver by dependency. They are named in the transaction too: apt takes no
    other version of them than its pins say, and library and module must not part."""
    gone = strays(node, target.platform, target, needed.all)
    version = installed_version(node, target)
    return tuple(
        sorted(
            name
            for name, there in node.packages.items()
            if name not in needed.all and name not in gone and version and carries(there, name, target) == version
        )
    )


def installed_version(node: Node, target: Target) -> t.Optional[str]:
    """NVIDIA's version of the packages that are there. Distributions build some helpers from another version, so the
    one that most packages carry counts, of two equals the newer."""
    carried = collections.Counter(filter(None, (carries(one, name, target) for name, one in node.packages.items())))
    return max(carried, key=lambda version: (carried[version], versions.key(version))) if carried else None


def parts(wish: Wish, node: Node, target: Target) -> Parts:
    layout = target.layout
    found = list(layout.names[wish.modules, target.flavour, wish.profile])
    if wish.persistenced and layout.persistenced:
        found.append(layout.persistenced)
    found += companions(wish, node, target)
    found += [name for row in layout.either if set(row) & set(found) for name in row if name not in found]
    filled: t.List[str] = []
    for name in found:
        releases = kernels(node) if "{kernel}" in name else node_kernel(node)
        filled += [name.format(branch=target.branch, kernel=kernel.release) for kernel in releases]
    loose = tuple(name for name in filled if is_loose(name, layout))
    pinning = layout.pinning.format(pin=target.version or target.branch) if layout.pinning else None
    missing = _headers(node) if wish.modules == "dkms" else ()
    tools = node.hold_tools if wish.hold else ()
    return Parts(tuple(name for name in filled if name not in loose), loose, pinning, missing, tools)


def companions(wish: Wish, node: Node, target: Target) -> t.List[str]:
    """Fabric manager and its kin, by what the platform needs (driver reference, section 6)."""
    layout = target.layout
    wanted: t.List[t.Tuple[str, t.Optional[str], str]] = []
    if node.switches or node.nvlink5:
        wanted.append(("a fabric manager", layout.fabric, "it has NVSwitches"))
    if node.nvlink5:
        wanted.append(("nvlsm", layout.nvlsm, "its NVSwitches are of generation 5"))
    if any(gpu.device_id in TRAYS for gpu in node.gpus):
        wanted.append(("imex", layout.imex, "it is a tray of an NVLink rack"))
    for what, name, why in wanted:
        if name is None:
            raise WishError(
                f"{wish.prefix}source: {node.distribution.name} has no package for {what}, which this node needs since "
                f"{why}; give nvidia or mirror",
                address=f"{wish.prefix}source",
            )
    return [name for _what, name, _why in wanted if name]


def is_loose(name: str, layout: Layout) -> bool:
    return any(name == own or (own.endswith("-") and name.startswith(own)) for own in layout.own_version)


def node_kernel(node: Node) -> t.Tuple[Kernel, ...]:
    return (node.running,)


def kernels(node: Node) -> t.Tuple[Kernel, ...]:
    """The running kernel, and the one that boots next where it is another."""
    if node.next is None or node.next.release == node.running.release:
        return (node.running,)
    return (node.running, node.next)


def _headers(node: Node) -> t.Tuple[t.Tuple[str, t.Optional[str], str], ...]:
    """Kernels for which nothing can be built. Of rpm the version is the release without architecture and flavour."""
    how = HEADERS[node.distribution.family]
    found = []
    for kernel in kernels(node):
        if kernel.headers:
            continue
        release = kernel.release
        plain = re.sub(r"(\.(x86_64|aarch64))?(\+\w+)?$|-[a-z]\w*$", "", release)
        pattern = next((name for mark, name in how.variants if mark in release), how.name)
        flavour = release.rpartition("-")[2]
        name = pattern.format(kernel=release, flavour=flavour)
        found.append((name, plain if how.by_version else None, release))
    return tuple(found)


# --- names that are not wanted -------------------------------------------------------------------------------------


def strays(node: Node, platform: Platform, target: Target, wanted: t.Collection[str]) -> t.Tuple[str, ...]:
    """Installed packages of another flavour, branch or source, which cannot stay beside the target. Libraries that have
    one name everywhere are none: they get the target's version."""
    keep = {*wanted, *_of_target(target, node)}
    others = {*target.layout.rivals, *(name for name in _table(node, platform) if _MODULES.search(name))}
    return tuple(
        sorted(name for name in node.packages if name not in keep and (name in others or _of_another(name, target)))
    )


def of_other_source(node: Node, platform: Platform, target: Target) -> t.FrozenSet[str]:
    """Names that another source has for its driver. Some of them (libnvidia-ml1) come with this source's too."""
    return _table(node, platform, without=target.source)


def _of_target(target: Target, node: Node) -> t.Set[str]:
    """Names of the same driver in any profile: one profile's packages come by dependency in another."""
    return {
        name.format(branch=target.branch, kernel=node.running.release)
        for (_modules, flavour, _profile), names_ in target.layout.names.items()
        if flavour == target.flavour
        for name in names_
    }


def _table(node: Node, platform: Platform, without: str = "") -> t.FrozenSet[str]:
    """Every name of the driver's packages on this kind of distribution, by any branch and flavour."""
    return frozenset(
        name.format(branch=branch, kernel=node.running.release)
        for (source, layout), rows in LAYOUTS.items()
        if layout == platform.layout and source != without
        for row in rows
        for branch in BRANCHES
        if row.first <= int(branch) <= row.last
        for names_ in row.names.values()
        for name in names_
    )


def _of_another(name: str, target: Target) -> bool:
    """Does the name itself say another branch, another source, or SUSE's other generation of drivers?"""
    if is_pinning(name):
        return name.rpartition("-")[2] not in (target.branch, target.version)
    said = re.search(r"(?:^|-)(\d{3})(?=-|$)", name)
    if said and said.group(1) in BRANCHES:
        if said.group(1) != target.branch or not _suffixed(target):
            return True
        # Ubuntu's own packages are the -server ones; the fabric manager's and imex have one name for both.
        return not is_fabric(name) and ("-server" in name) != (target.source == "distribution")
    generation = re.search(r"-(G0\d)(?=-|$)", name)
    if generation:
        return not any(f"-{generation.group(1)}" in mine for row in target.layout.names.values() for mine in row)
    return False


def _suffixed(target: Target) -> bool:
    return any("{branch}" in name for row in target.layout.names.values() for name in row)


def listed(name: str) -> bool:
    """Does a snapshot list it among the driver's packages?"""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in PACKAGES)


def is_fabric(name: str) -> bool:
    """Fabric manager, nvlsm or imex: rule 6 keeps them as they are on a busy node."""
    return name.startswith(("nvidia-fabricmanager", "nvidia-fabric-manager", "nvidia-imex")) or name == "nvlsm"


def is_pinning(name: str) -> bool:
    """It holds a file of apt's preferences and nothing of the driver."""
    return "-driver-pinning-" in name


def is_kernel(name: str) -> bool:
    """Is it a kernel or a part of one, by data?"""
    return _KERNEL.fullmatch(name) is not None


def brings_modules(name: str) -> bool:
    """Does a package bring kernel modules of the driver, or build them by its scripts? dkms alone builds none."""
    none = name == "dkms" or "-no-dkms-" in name or is_kernel(name)
    return not none and _MODULES.search(name) is not None


def is_built(name: str) -> bool:
    """Does it bring modules that are built on the node, and so signed by its own key?"""
    return brings_modules(name) and _BUILT.search(name) is not None


def carries(version: str, name: str, target: Target) -> t.Optional[str]:
    """The driver's version that a package carries, None where it has its own."""
    return None if is_loose(name, target.layout) else versions.nvidia(version)
