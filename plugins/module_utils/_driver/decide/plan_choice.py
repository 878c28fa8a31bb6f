# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which driver a wish means on a node: distribution, source, branch and flavour, or why there is none. PRIVATE.

Each function refuses with a WishError that names the option, the object and the remedy.
"""

from __future__ import annotations

import typing as t

from ..._data.driver_branches import BRANCHES, DEFAULT, OPEN_BY_DEFAULT_SINCE
from ..._data.driver_distributions import DISTRIBUTIONS, SUPPORTED, Platform
from ..._data.driver_gpus import DEVICES, GENERATIONS, Generation, generation
from ..._data.driver_packages import LAYOUTS, STREAM_MODULE, STREAMS, Layout
from ..._errors import WishError
from .. import versions
from ..model import Node, PciDevice, Wish

FLAVOURS = ("open", "proprietary")


class Target(t.NamedTuple):
    """What is to be on the node. `source` is "nvidia" (a mirror too) or "distribution", `version` NVIDIA's where the
    wish has one. `address` is the option that named branch or version, for messages."""

    platform: Platform
    layout: Layout
    source: str
    branch: str
    version: t.Optional[str]
    flavour: str
    stream: t.Optional[str]
    address: str


def choose(wish: Wish, node: Node) -> Target:
    platform = platform_of(wish, node)
    source = source_of(wish)
    _check_source(wish, node, platform, source)
    branch = _branch(wish, node, platform, source)
    address = f"{wish.prefix}{'version' if wish.version else 'branch'}"
    layout = _layout(source, platform, branch)
    if layout is None:
        raise _not_offered(wish, node, platform, source, branch, address)
    for gpu in driven(node):
        _check_gpu(wish, platform, gpu, branch, address)
    flavour = _flavour(wish, node, platform, layout, branch)
    stream = None
    if source == "nvidia" and platform.streams:
        stream = f"{STREAM_MODULE}:{STREAMS[wish.modules, flavour].format(branch=branch)}"
    return Target(platform, layout, source, branch, wish.version, flavour, stream, address)


def driven(node: Node) -> t.Tuple[PciDevice, ...]:
    """GPUs for this node's driver; what is bound to vfio-pci belongs to a guest."""
    return tuple(gpu for gpu in node.gpus if gpu.driver != "vfio-pci")


def named(gpu: PciDevice) -> str:
    """A GPU as messages call it."""
    device = DEVICES.get(gpu.device_id)
    name = device.name if device else gpu.device_id
    row = generation_of(gpu)
    return f"GPU {gpu.address} ({name}, {row.title})" if row else f"GPU {gpu.address} ({name})"


def generation_of(gpu: PciDevice) -> t.Optional[Generation]:
    name = generation(gpu.device_id)
    return None if name is None else GENERATIONS[name]


# --- distribution and source ---------------------------------------------------------------------------------------


def platform_of(wish: Wish, node: Node) -> Platform:
    distribution = node.distribution
    releases = DISTRIBUTIONS.get(distribution.id, {})
    platform = releases.get(distribution.version) or releases.get(distribution.version.partition(".")[0])
    if platform is None:
        raise WishError(
            f"{distribution.name} ({distribution.id} {distribution.version}) is not supported; supported are "
            f"{SUPPORTED}",
            distribution=distribution.id,
            version=distribution.version,
        )
    return platform


def source_of(wish: Wish) -> str:
    return "distribution" if wish.source == "distribution" else "nvidia"


def _check_source(wish: Wish, node: Node, platform: Platform, source: str) -> None:
    address = f"{wish.prefix}source"
    if source == "distribution":
        if not platform.own:
            raise WishError(
                f"{address}: {node.distribution.name} has no NVIDIA driver of its own; give nvidia or mirror",
                address=address,
            )
        return
    if node.distribution.arch not in platform.architectures:
        has = ", ".join(platform.architectures)
        raise WishError(
            f"{address}: NVIDIA's repository {platform.directory} has no packages for {node.distribution.arch}, only "
            f"for {has}",
            address=address,
        )


def directory(node: Node, platform: Platform) -> str:
    """Of NVIDIA's repository below the base address."""
    return f"{platform.directory}/{platform.architectures[node.distribution.arch]}"


def _layout(source: str, platform: Platform, branch: str) -> t.Optional[Layout]:
    if source == "distribution" and branch not in platform.own:
        return None
    rows = LAYOUTS[source, platform.layout]
    return next((row for row in rows if row.first <= int(branch) <= row.last), None)


def _not_offered(wish: Wish, node: Node, platform: Platform, source: str, branch: str, address: str) -> WishError:
    if source == "distribution":
        has = _listed(platform.own)
        return WishError(
            f"{address}: {node.distribution.name} has branch {has} of its own, not {branch}; give {has}, or "
            f"{wish.prefix}source: nvidia",
            address=address,
        )
    known = [name for name in BRANCHES if _layout(source, platform, name) is not None]
    return WishError(
        f"{address}: branch {branch} has other package names in NVIDIA's repository than are known here; give one of "
        f"{', '.join(known)}",
        address=address,
    )


def _listed(words: t.Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


# --- branch --------------------------------------------------------------------------------------------------------


def _branch(wish: Wish, node: Node, platform: Platform, source: str) -> str:
    if wish.version is not None:
        return versions.branch(wish.version)
    if wish.branch is not None:
        return wish.branch
    if source == "nvidia":
        return DEFAULT
    fits = (branch for branch in platform.own if all(_spans(wish, platform, gpu, branch) for gpu in driven(node)))
    return next(fits, platform.own[0])


def _spans(wish: Wish, platform: Platform, gpu: PciDevice, branch: str) -> bool:
    try:
        _check_gpu(wish, platform, gpu, branch, "")
    except WishError:
        return False
    return True


def _check_gpu(wish: Wish, platform: Platform, gpu: PciDevice, branch: str, address: str) -> None:
    """Is the branch neither too new nor too old for it?"""
    row, device = generation_of(gpu), DEVICES.get(gpu.device_id)
    if row is None:
        return
    if row.last is not None and int(branch) > row.last:
        raise WishError(
            f"{address}: branch {branch} does not support {named(gpu)}: {row.last} is the last branch for "
            f"{row.title}; give branch {row.last}",
            address=address,
            gpu=gpu.address,
        )
    oldest = device.oldest if device else None
    first = int(versions.branch(oldest)) if oldest else row.first
    if first is not None and int(branch) < first:
        raise WishError(
            f"{address}: branch {branch} does not support {named(gpu)}: it needs driver {oldest or first} or newer; "
            f"{_newer(wish, platform, first)}",
            address=address,
            gpu=gpu.address,
        )
    if oldest and wish.version and versions.older(wish.version, oldest):
        raise WishError(
            f"{address}: driver {wish.version} does not support {named(gpu)}: it needs {oldest} or newer; give such a "
            "version",
            address=address,
            gpu=gpu.address,
        )


def _newer(wish: Wish, platform: Platform, first: int) -> str:
    """The remedy for a branch that is too old, in what the wish's source has."""
    known = min((name for name in BRANCHES if int(name) >= first), key=int)
    if source_of(wish) != "distribution":
        return f"give branch {known} or newer"
    own = [name for name in platform.own if int(name) >= first]
    if own:
        return f"give branch {_listed(own)}"
    has = _listed(platform.own)
    return f"the distribution has {has} alone; give {wish.prefix}source: nvidia and branch {known} or newer"


def most_demanding(node: Node) -> t.Optional[t.Tuple[PciDevice, str]]:
    """The GPU that needs the newest driver of all, and its oldest one; None: no GPU is known to need any."""
    oldest = ((gpu, device.oldest) for gpu in driven(node) for device in [DEVICES.get(gpu.device_id)] if device)
    needs = [(gpu, version) for gpu, version in oldest if version]
    return max(needs, key=lambda one: versions.key(one[1])) if needs else None


# --- flavour -------------------------------------------------------------------------------------------------------


def _flavour(wish: Wish, node: Node, platform: Platform, layout: Layout, branch: str) -> str:
    allowed = _for_gpus(wish, node, branch)
    offered = [name for name in FLAVOURS if (wish.modules, name, wish.profile) in layout.names]
    if wish.modules == "precompiled" and platform.layout == "rhel" and not platform.streams:
        offered = []
    fitting = [name for name in allowed if name in offered]
    if not fitting:
        asked = allowed[0] if wish.flavour == "auto" else wish.flavour
        raise WishError(
            f"{wish.prefix}modules: {wish.modules} modules of the {asked} flavour do not exist for "
            f"{node.distribution.name}: {layout.missing[wish.modules]}; give dkms",
            address=f"{wish.prefix}modules",
        )
    default = "open" if int(branch) >= OPEN_BY_DEFAULT_SINCE else "proprietary"
    return default if default in fitting else fitting[0]


def _for_gpus(wish: Wish, node: Node, branch: str) -> t.Sequence[str]:
    """The flavours that branch, GPUs and wish leave."""
    address = f"{wish.prefix}flavour"
    has = BRANCHES[branch].flavours
    if wish.flavour != "auto" and wish.flavour not in has:
        raise WishError(
            f"{address}: branch {branch} has {_listed(has)} kernel modules only; give {_listed(has)} or auto",
            address=address,
        )
    left = tuple(has)
    sources: t.Dict[t.Tuple[str, ...], PciDevice] = {}
    for gpu in driven(node):
        row = generation_of(gpu)
        if row is None:
            continue
        sources.setdefault(row.flavours, gpu)
        left = tuple(name for name in left if name in row.flavours)
        if wish.flavour != "auto" and wish.flavour not in row.flavours:
            raise WishError(
                f"{address}: {wish.flavour} kernel modules do not support {named(gpu)}; give {_listed(row.flavours)} "
                "or auto",
                address=address,
                gpu=gpu.address,
            )
    if not left:
        pairs = [f"{named(gpu)} needs {_listed(flavours)} kernel modules" for flavours, gpu in sources.items()]
        raise WishError(
            f"the GPUs of this node have no driver in common: {'; '.join(pairs)}, and branch {branch} has "
            f"{_listed(has)} ones; bind the GPUs of one kind to vfio-pci, or take them out",
        )
    return left if wish.flavour == "auto" else (wish.flavour,)
