# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one transaction that brings the packages of a node to the wish, with exact versions. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from ..._data.driver_packages import STREAM_MODULE
from ..._errors import BlockedError, WishError
from ..._packages.objects import HOLD_TOOLS
from .. import versions
from ..model import Node, Offers, Wish
from ..steps import ChangePackages
from .plan_choice import Target, choose, most_demanding, named
from .plan_modules import in_use
from .plan_names import Parts, carries, followers, is_fabric, kernels, of_other_source, parts, strays

_SHOWN = 6  # versions that a message lists

Pairs = t.Tuple[t.Tuple[str, t.Optional[str]], ...]


class Packages(t.NamedTuple):
    """`version` is NVIDIA's that the node is to have, `change` what leads there (None: nothing), `wanted` all names.
    `deferred` are packages of the fabric that are no part of the change, since somebody works on the node (rule 6)."""

    version: t.Optional[str]
    change: t.Optional[ChangePackages]
    wanted: t.Tuple[str, ...] = ()
    deferred: t.Tuple[str, ...] = ()


def request(wish: Wish, node: Node, offers: Offers) -> t.Optional[ChangePackages]:
    """What is to be simulated before a decision, None where packages stay as they are.

    Raises WishError or BlockedError where the repository does not have what is needed.
    """
    if wish.state == "absent":
        return removal(node)
    return packages(wish, node, choose(wish, node), offers).change


def removal(node: Node) -> t.Optional[ChangePackages]:
    """Everything that earlier runs put there and that is still there, the enabled stream with it."""
    recorded = node.records.get("packages") or ()
    there = tuple(sorted({*(name for name in recorded if name in node.packages), *_tools(node)}))
    stream = STREAM_MODULE if node.stream and node.records.get("stream") == node.stream else None
    return ChangePackages((), remove=there, stream=stream) if there or stream else None


def _tools(node: Node) -> t.Iterator[str]:
    """Those that nobody else has come to rely on, as far as a hold tells it."""
    foreign = node.holds - set(node.records.get("holds") or ())
    for name in node.records.get("tools") or ():
        locks = name in HOLD_TOOLS and bool(foreign)
        if (name in node.packages or name in node.tools) and name not in foreign and not locks:
            yield name


def packages(wish: Wish, node: Node, target: Target, offers: Offers) -> Packages:
    needed = _offered_parts(parts(wish, node, target), node, target, offers)
    version = _version(wish, node, target, needed, offers)
    first = _pinning(node, needed, offers)
    install: t.List[t.Tuple[str, t.Optional[str]]] = list(_headers(wish, node, needed, offers, version))
    for name in needed.driver:
        package = _package_version(node, target, offers, name, version)
        if node.packages.get(name) != package:
            install.append((name, package))
    for name in followers(node, target, needed):
        # One that the other version does not have is for the package manager to leave or to take away.
        offered = _offered(target, offers, name, version)
        if offered is not None and carries(node.packages[name], name, target) != version:
            install.append((name, offered))
    for name in needed.loose:
        if name not in node.packages:
            install.append((name, _newest(name, offers)))
    install += [(name, _newest(name, offers)) for name in needed.tools]
    wanted = (*needed.driver, *needed.loose, *((needed.pinning,) if needed.pinning else ()))
    other = of_other_source(node, target.platform, target) - set(wanted) - {name for name, _version_ in install}
    left = {name for name in other & set(node.packages) if carries(node.packages[name], name, target) != version}
    remove = tuple(sorted({*strays(node, target.platform, target, wanted), *left}))
    deferred: t.Tuple[str, ...] = ()
    if in_use(node) and not wish.download_only:
        # Before the transaction is simulated, so that what a report tells is what is done.
        deferred = tuple(name for name in (*(name for name, _version_ in install), *remove) if is_fabric(name))
        install = [pair for pair in install if pair[0] not in deferred]
        remove = tuple(name for name in remove if name not in deferred)
    stream = _stream(wish, node, target, any(name in needed.driver for name, _version_ in install))
    if not install and not remove and not first and not stream:
        return Packages(version, None, wanted, deferred)
    change = ChangePackages(
        tuple(install), remove, _goes_down(node, target, version), stream, first, download=wish.download_only
    )
    return Packages(version, change, wanted, deferred)


def _stream(wish: Wish, node: Node, target: Target, moves: bool) -> t.Optional[str]:
    """The dnf module stream that is to be enabled: that of the driver which `moves`, or ours that somebody left."""
    left = node.records.get("stream") == target.stream and not wish.download_only
    return target.stream if target.stream != node.stream and (moves or left) else None


def _offered_parts(needed: Parts, node: Node, target: Target, offers: Offers) -> Parts:
    """Without helpers that nobody has, and with one name where there are several for the same thing."""
    layout = target.layout
    there = {name for name in needed.driver if name in node.packages or offers.versions.get(name)}
    without = set(layout.helpers) - there
    for row in layout.either:
        taken = next(
            (name for name in row if name in node.packages), next((name for name in row if name in there), row[0])
        )
        without |= set(row) - {taken}
    return needed._replace(driver=tuple(name for name in needed.driver if name not in without))


# --- which version -------------------------------------------------------------------------------------------------


def _version(wish: Wish, node: Node, target: Target, needed: Parts, offers: Offers) -> str:
    if target.stream and offers.streams:
        _check_stream(wish, target, offers.streams)
    there = {name: _available(node, target, offers, name) for name in needed.driver}
    if target.source == "distribution" and not all((*there.values(), *_loose(node, needed, offers))):
        _check_components(wish, node, target, offers)
    common = set.intersection(*(set(found) for found in there.values())) if there else set()
    if target.version is not None:
        if target.version not in common:
            raise _missing(wish, target, target.version, there, common)
        return target.version
    fitting = sorted((one for one in common if versions.branch(one) == target.branch), key=versions.key)
    if not fitting:
        raise _missing(wish, target, None, there, common)
    fitting = _new_enough(wish, node, target, fitting)
    present = {carries(node.packages[name], name, target) for name in needed.driver if name in node.packages}
    if not wish.newest and len(present) == 1 and present <= set(fitting):
        return str(present.pop())
    return fitting[-1]


def _new_enough(wish: Wish, node: Node, target: Target, fitting: t.Sequence[str]) -> t.List[str]:
    """A branch may begin with versions that do not know a GPU yet."""
    needs = most_demanding(node)
    found = [one for one in fitting if needs is None or not versions.older(one, needs[1])]
    if needs is None or found:
        return found
    gpu, oldest = needs
    raise WishError(
        f"{target.address}: the repository of {_source(wish, target)} has {', '.join(fitting[-_SHOWN:])} of branch "
        f"{target.branch}, and {named(gpu)} needs driver {oldest} or newer; bring the repository up to date, or give a "
        "newer branch or another source",
        address=target.address,
        gpu=gpu.address,
        available=list(reversed(fitting)),
    )


def _available(node: Node, target: Target, offers: Offers, name: str) -> t.Tuple[str, ...]:
    """NVIDIA's versions of a package, installed or offered."""
    seen = (node.packages.get(name), *offers.versions.get(name, ()))
    return tuple(dict.fromkeys(found for one in seen if one for found in [carries(one, name, target)] if found))


def _loose(node: Node, needed: Parts, offers: Offers) -> t.Iterator[t.Sequence[str]]:
    return (offers.versions.get(name, ()) for name in needed.loose if name not in node.packages)


def _check_components(wish: Wish, node: Node, target: Target, offers: Offers) -> None:
    """A package of the distribution's driver is nowhere: has the node the parts of the archive that have it?"""
    named = dict(offers.components)
    lacking = [name for name in target.platform.components if name not in named]
    if not lacking:
        return
    files = sorted({path for name, path in offers.components if name == "main"})
    where = ", ".join(files) or "/etc/apt/sources.list or a file of /etc/apt/sources.list.d"
    raise BlockedError(
        f"{wish.prefix}source: the driver of {node.distribution.name} is in {_all_of(target.platform.components)} of "
        f"its archive, and the package sources of this node lack {_all_of(lacking)}; add "
        f"{'it' if len(lacking) == 1 else 'them'} behind main in {where}, and run again",
        address=f"{wish.prefix}source",
        components=lacking,
        files=files,
    )


def _all_of(words: t.Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _missing(
    wish: Wish,
    target: Target,
    version: t.Optional[str],
    there: t.Mapping[str, t.Sequence[str]],
    common: t.Collection[str],
) -> WishError:
    asked = f"driver {version}" if version else f"a driver of branch {target.branch}"
    absent = [name for name, found in there.items() if not found]
    facts = {"address": target.address, "available": sorted(common, key=versions.key, reverse=True)}
    if absent:
        return WishError(
            f"{target.address}: the repository of {_source(wish, target)} has no package {', '.join(absent)}, so it "
            f"cannot give {asked}; check the repository, or give another branch or source",
            **facts,
        )
    if not common:
        each = "; ".join(f"{name} {', '.join(found[:_SHOWN])}" for name, found in there.items())
        return WishError(
            f"{target.address}: {asked} is not in the repository of {_source(wish, target)}, and no other version is "
            f"there for all packages: {each}; repair the mirror, or give another branch or source",
            **facts,
        )
    shown = ", ".join(facts["available"][:_SHOWN])
    more = f" and {len(common) - _SHOWN} older ones" if len(common) > _SHOWN else ""
    return WishError(
        f"{target.address}: {asked} is not in the repository of {_source(wish, target)}; it has {shown}{more}", **facts
    )


def _source(wish: Wish, target: Target) -> str:
    if wish.source == "mirror" and wish.mirror is not None:
        return wish.mirror.url
    return f"NVIDIA ({target.platform.directory})" if target.source == "nvidia" else "the distribution"


def _check_stream(wish: Wish, target: Target, streams: t.Sequence[str]) -> None:
    wanted = str(target.stream).partition(":")[2]
    if wanted not in streams and target.stream not in streams:
        raise WishError(
            f"{target.address}: the repository of {_source(wish, target)} has no dnf module stream {target.stream}; it "
            f"has {', '.join(streams)}",
            address=target.address,
            available=list(streams),
        )


def _package_version(node: Node, target: Target, offers: Offers, name: str, version: str) -> str:
    """The package manager's version; an installed one that carries it stays, whatever its revision."""
    there = node.packages.get(name)
    if there is not None and carries(there, name, target) == version:
        return there
    return str(_offered(target, offers, name, version))


def _offered(target: Target, offers: Offers, name: str, version: str) -> t.Optional[str]:
    return next((one for one in offers.versions.get(name, ()) if carries(one, name, target) == version), None)


def _goes_down(node: Node, target: Target, version: str) -> bool:
    carried = (carries(there, name, target) for name, there in node.packages.items())
    return any(one is not None and versions.older(version, one) for one in carried)


# --- what goes with it ---------------------------------------------------------------------------------------------


def _newest(name: str, offers: Offers) -> t.Optional[str]:
    offered = offers.versions.get(name, ())
    if not offered:
        raise BlockedError(
            f"package {name} is in no repository of this node, and this node needs it; add the repository that has it"
        )
    return offered[0]


def _pinning(node: Node, needed: Parts, offers: Offers) -> Pairs:
    """Repositories of NVIDIA have it; a mirror of the driver's packages alone may not, and holds pin as well."""
    name = needed.pinning
    if name is None or name in node.packages or not offers.versions.get(name):
        return ()
    return ((name, offers.versions[name][0]),)


def _headers(
    wish: Wish, node: Node, needed: Parts, offers: Offers, version: str
) -> t.Iterator[t.Tuple[str, t.Optional[str]]]:
    """Not for a kernel that has the module of this version already."""
    built = {kernel.release for kernel in kernels(node) for one in kernel.modules if one.version == version}
    for name, begins, kernel in needed.kernels:
        if kernel in built:
            continue
        fitting = [one for one in offers.versions.get(name, ()) if begins is None or _begins(one, begins)]
        if not fitting:
            package = name if begins is None else f"{name} {begins}"
            raise BlockedError(
                f"{wish.prefix}modules: dkms cannot build for kernel {kernel}: its headers are not installed, and "
                f"package {package} is in no repository of this node; add the repository that has it, or boot a "
                "kernel whose headers are there",
                address=f"{wish.prefix}modules",
                package=package,
                kernel=kernel,
            )
        yield name, fitting[0]


def _begins(version: str, begins: str) -> bool:
    """Without the epoch; SUSE's packages may have one more number for their rebuild."""
    plain = version.rpartition(":")[2]
    return plain == begins or plain.startswith(f"{begins}.")
