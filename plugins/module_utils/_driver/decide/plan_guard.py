# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What forbids a change of packages on a node, and what makes a change one of a loaded driver. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from ..._errors import BlockedError, ForeignManagerError, MissingGpuError, NotRootError
from ..._expected import EXCEPTIONS, EXPECTED
from ..._packages import judge
from ..._packages.objects import Change as PackageChange
from ..._packages.objects import Request, Transaction
from ..model import Change, Node, State, Wish
from ..steps import ChangePackages
from .plan_choice import Target
from .plan_modules import check_wait, in_use
from .plan_names import brings_modules, carries, installed_version, is_kernel, is_pinning

LOCKED = "is locked by"  # as the port to package managers says it


def check_node(wish: Wish, node: Node) -> None:
    """Raises where this node is not ours to change at all."""
    if not node.root:
        raise NotRootError("the driver of a node is there for root alone; set become: true")
    _check_declared(wish, node)
    if node.managers and not wish.takeover:
        names = "; ".join(f"{name}: {evidence}" for name, evidence in node.managers)
        raise ForeignManagerError(
            f"{wish.prefix}takeover=false: the driver of this node belongs to another manager ({names}); declare the "
            f"driver there, or take it out of service, or set accel_gpu_takeover: true ({wish.prefix}takeover) to "
            "act beside it",
            managers=[{"name": name, "evidence": evidence} for name, evidence in node.managers],
        )


def _check_declared(wish: Wish, node: Node) -> None:
    """A GPU that is no longer on the bus; whether the others answer, only a driver tells."""
    count = wish.expected.count if wish.expected else 0
    lacking = count - len(node.gpus) - len(wish.faults)
    if wish.state != "present" or lacking <= 0:
        return
    there = ", ".join(gpu.address for gpu in node.gpus) or "none"
    raise MissingGpuError(
        f"{EXPECTED}.count: {count} GPUs are declared, {len(node.gpus)} found in the PCI tree (there: {there}); "
        f"{lacking} missing: repair the node, or declare an entry in {EXCEPTIONS} with reason and until",
        missing=lacking,
    )


def check_change(wish: Wish, state: State, change: ChangePackages) -> None:
    """Raises where the transaction must not be run as it is."""
    touched = names_of(change, state.changes)
    check_touched(wish, state.node, touched, own_holds(state.node))
    if state.full is not None:
        raise state.full
    goes = Transaction(tuple(PackageChange(*one) for one in state.changes or ()))
    judge.check_removals(Request(remove=change.remove), goes)
    kernels = sorted(name for name in touched if is_kernel(name))
    if kernels and not wish.allow_kernel_change:
        raise BlockedError(
            f"the package transaction would also change the kernel ({', '.join(kernels)}); nothing was changed; "
            f"install what belongs to the running kernel first, or set {wish.prefix}allow_kernel_change: true",
            packages=kernels,
        )


def check_touched(wish: Wish, node: Node, touched: t.Collection[str], own: t.AbstractSet[str]) -> None:
    """Raises where packages cannot change, or where one of `touched` has a hold that is none of `own`."""
    if node.package_problems:
        # Who reads the node has waited for a lock before it came to this.
        locked = any(LOCKED in problem for problem in node.package_problems)
        remedy = (
            f"; waited {wish.lock_timeout:g} s; wait for its end and run again, or give it longer in "
            f"{wish.prefix}lock_timeout"
        )
        raise BlockedError(
            f"packages cannot change on this node: {'; '.join(node.package_problems)}{remedy if locked else ''}",
            problems=list(node.package_problems),
        )
    foreign = sorted((set(touched) & node.holds) - own)
    if foreign:
        many = "are held" if len(foreign) > 1 else "is held"
        raise BlockedError(
            f"{', '.join(foreign)} would change but {many} by somebody else; ask them, or release the hold and run "
            "again",
            packages=foreign,
        )


def names_of(change: ChangePackages, changes: t.Optional[t.Sequence[Change]]) -> t.List[str]:
    """Every package that a transaction touches, as far as it is known."""
    named = [name for name, _version in (*change.first, *change.install)]
    return list(dict.fromkeys((*named, *change.remove, *(one.name for one in changes or ()))))


def builds(node: Node, change: t.Optional[ChangePackages], changes: t.Optional[t.Sequence[Change]]) -> bool:
    """Are the kernel modules of the driver anew on the disk after the transaction? Debian's and Ubuntu's packages of
    headers let dkms build what it knows for their kernel (/etc/kernel/header_postinst.d/dkms); those of rpm do not."""
    if change is None or change.download:
        return False
    gone = {*change.remove, *(one.name for one in changes or () if one.after is None)}
    names = [name for name in names_of(change, changes) if name not in gone]
    if any(brings_modules(name) for name in names):
        return True
    headers = any(name.startswith("linux-headers-") for name in names)
    return headers and any(brings_modules(name) for name in node.packages)


def own_holds(node: Node) -> t.Set[str]:
    return set(node.records.get("holds") or ())


# --- rule 5 --------------------------------------------------------------------------------------------------------


def changes_version(node: Node, target: Target, change: ChangePackages, changes: t.Sequence[Change]) -> bool:
    """Would a package of the driver get another version than that of the loaded module, or make way for another one?"""
    if node.loaded is None:
        return False
    if any(not is_pinning(name) for name in change.remove):
        return True
    pairs = [*change.install, *((one.name, one.after) for one in changes if one.after is not None)]
    for name, version in pairs:
        if is_pinning(name):
            continue
        there = node.packages.get(name)
        if there is not None and there != version:
            return True
        carried = carries(version or "", name, target)
        if carried is not None and carried != node.loaded.version and there is None:
            return True
    return False


def upgrade(node: Node, target: Target, version: t.Optional[str]) -> t.Tuple[str, str]:
    """(from, to) as a report names it, with what differs where the number does not."""
    there = installed_version(node, target) or (node.loaded.version if node.loaded else "")
    wanted = version or ""
    if there != wanted or node.loaded is None:
        return there, wanted
    if node.loaded.open is not None and node.loaded.open != (target.flavour == "open"):
        other = "open" if node.loaded.open else "proprietary"
        return f"{there} ({other})", f"{wanted} ({target.flavour})"
    return f"{there} (as installed)", f"{wanted} (packages of {target.source})"


def hold_back(wish: Wish, node: Node, target: Target, version: t.Optional[str]) -> str:
    """Why a change of the loaded driver has to wait; empty: it has not. Raises BusyError where a wait is not wished."""
    if not wish.change_loaded:
        return "a module is loaded"
    before, after = upgrade(node, target, version)
    check_wait(wish, node, f"the driver cannot change from {before} to {after}")
    return in_use(node)
