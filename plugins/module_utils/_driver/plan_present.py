# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan where a driver is wished. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._data.driver_system import DKMS_CERTIFICATE, ENROLMENT_PACKAGES, MODPROBE_FILE
from .._errors import BlockedError, BusyError, WishError
from . import plan_files, plan_guard, plan_modules, plan_request, plan_warnings
from .model import Node, Offers, State, Wish
from .plan_choice import Target, choose
from .plan_draft import Draft
from .plan_names import carries, installed_version, is_fabric, kernels
from .plan_request import Packages
from .steps import ChangePackages, PrepareEnrolment, RemoveFile

# What mokutil asked for at the import; apply_enrolment writes it.
PASSWORD_FILE = "/var/lib/accel-gpu/driver/enrolment-password"

After = t.Dict[str, t.Optional[str]]


def plan(draft: Draft, wish: Wish, state: State) -> None:
    """Raises AccelError where the wish is refused."""
    node = state.node
    target = choose(wish, node)
    found = plan_files.repository(wish, node, target)
    draft.facts.update(branch=target.branch, flavour=target.flavour, repository=found.url if found else None)
    blacklist = wish.blacklist_nouveau and not target.layout.brings_blacklist
    if found is not None:
        plan_files.check_signature(wish, node, found)
    packages = _packages(wish, state, target)
    files = plan_files.wanted(wish, state, target, blacklist)
    draft.facts.update(version=packages.version, installed=installed_version(node, target), packages=node.packages)
    if _unsigned(wish, node, target, packages):
        _enrol(draft, wish, node, target, packages)
        return
    change = _allowed(draft, wish, state, target, packages)
    if change is not None:
        plan_guard.check_change(wish, state, change)
    changes = plan_files.changes(node, files)
    _repository(draft, wish, node, changes, change)
    after: After = _after(node, state, change)
    if change is not None:
        differing = {name: version for name, version in after.items() if node.packages.get(name) != version}
        draft.packages(node, change, differing, _why(packages, change))
    if wish.download_only:
        draft.warnings += plan_warnings.life(wish, target.branch)
        return
    there = {name: version for name, version in after.items() if version is not None}
    version = packages.version if draft.upgrade is None else installed_version(node, target)
    _holds(draft, wish, node, target, there, packages.wanted, version)
    _modprobe(draft, node, changes)
    _initramfs(draft, node, version, blacklist, any(step.path == MODPROBE_FILE for step in changes))
    _memory(draft, wish, node, target, version, change, there)
    draft.warnings += plan_warnings.warnings(wish, node, target, packages.version, change is not None)
    draft.record = _record(node, wish, target, there, files, packages)


def _packages(wish: Wish, state: State, target: Target) -> Packages:
    """Where nobody can say what the repository has, only a node that has it all can be decided on."""
    try:
        return plan_request.packages(wish, state.node, target, state.offers or Offers({}))
    except (WishError, BlockedError) as error:
        if state.offers is not None:
            raise
        raise BlockedError(
            f"{wish.prefix}source: which versions there are cannot be said: {state.unreachable or 'nobody asked'}; "
            "give the node a way to the repository, or use a mirror",
            cause=error.message,
        ) from error


# --- Secure Boot ---------------------------------------------------------------------------------------------------


def _unsigned(wish: Wish, node: Node, target: Target, packages: Packages) -> bool:
    """Would the kernel refuse the modules, since firmware does not know the key that DKMS signs with?"""
    boot = node.secure_boot
    if not boot.enabled or boot.dkms_key_enrolled or wish.modules in target.layout.signed or wish.modules != "dkms":
        return False
    return node.loaded is None


def _enrol(draft: Draft, wish: Wish, node: Node, target: Target, packages: Packages) -> None:
    """Only what a person needs to enrol the key; the driver comes after that, so nothing is half installed."""
    boot = node.secure_boot
    certificate = boot.dkms_key or DKMS_CERTIFICATE
    draft.enrolment = (
        f"Secure Boot is on and firmware does not know the key {certificate} that DKMS signs the driver's modules "
        f"with: reboot, choose Enroll MOK at the console, type the password in {PASSWORD_FILE} of this node, and run "
        "again"
    )
    draft.warnings += plan_warnings.life(wish, target.branch)
    if packages.change is not None:
        draft.tracker.act(
            "deferred",
            f"driver {packages.version}",
            "needs the enrolment of a key that a person confirms at the console",
        )
    if boot.dkms_key_pending:
        return
    if boot.dkms_key is None:
        tools = ChangePackages(tuple((name, None) for name in ENROLMENT_PACKAGES))
        draft.refresh(wish.cache_valid_time)
        draft.steps.append(tools)
        draft.tracker.act("install_package", ", ".join(ENROLMENT_PACKAGES), "they make and enrol the key")
    draft.steps.append(PrepareEnrolment(certificate))
    draft.tracker.change(
        "enrolment",
        None,
        certificate,
        action="prepare_enrolment",
        object=certificate,
        reason="firmware does not know it",
    )


# --- packages ------------------------------------------------------------------------------------------------------


def _allowed(draft: Draft, wish: Wish, state: State, target: Target, packages: Packages) -> t.Optional[ChangePackages]:
    """The transaction, without what has to wait for running work (rules 5, 6 and 7)."""
    node, change = state.node, packages.change
    if change is None or wish.download_only:
        return change
    if plan_guard.changes_version(node, target, change, state.changes or ()) and plan_guard.hold_back(
        wish, node, target, packages.version
    ):
        draft.upgrade = plan_guard.upgrade(node, target, packages.version)
        before, after = draft.upgrade
        draft.tracker.keep("driver packages", f"upgrade pending {before} → {after}: a module is loaded")
        return None
    change = _without_fabric(draft, wish, node, change)
    if change is not None and node.daemon_reload_risk and wish.daemon_reload == "auto":
        draft.daemon_reload = node.daemon_reload_risk
        draft.tracker.keep("driver packages", _risk(node))
        return None
    return change


def _risk(node: Node) -> str:
    return f"a daemon-reload would take the GPUs away from {', '.join(node.daemon_reload_risk)}"


def _without_fabric(draft: Draft, wish: Wish, node: Node, change: ChangePackages) -> t.Optional[ChangePackages]:
    fabric = [name for name, _version in change.install if is_fabric(name)]
    if not node.busy or not fabric:
        return change
    names, who = ", ".join(fabric), plan_modules.busy(node)
    if wish.when_busy == "refuse":
        raise BusyError(
            f"{wish.prefix}when_busy=refuse: {names} cannot be installed, the node is busy: {who}; drain it and run "
            "again",
            busy=[one._asdict() for one in node.busy],
        )
    draft.tracker.act("deferred", names, f"the node is busy: {who}")
    rest = tuple(pair for pair in change.install if pair[0] not in fabric)
    return change._replace(install=rest) if rest or change.remove or change.first else None


def _repository(
    draft: Draft, wish: Wish, node: Node, changes: t.Sequence[t.Any], change: t.Optional[ChangePackages]
) -> None:
    moved = [step for step in changes if step.sort in ("repository", "key")]
    for step in moved:
        draft.file(node, step, f"packages come from source {wish.source}")
    if moved or change is not None:
        draft.refresh(0 if moved else wish.cache_valid_time)


def _after(node: Node, state: State, change: t.Optional[ChangePackages]) -> After:
    """NVIDIA's packages when the transaction is done, None for those that go; others only where they change."""
    after: After = dict(node.packages)
    if change is None:
        return after
    for one in state.changes or ():
        after[one.name] = one.after
    for name, version in (*change.first, *change.install):
        after[name] = version or after.get(name) or ""
    after.update(dict.fromkeys(change.remove))
    return after


def _why(packages: Packages, change: ChangePackages) -> str:
    return f"driver {packages.version} is wished" if change.install else "they belong to another driver"


def _holds(
    draft: Draft,
    wish: Wish,
    node: Node,
    target: Target,
    there: t.Mapping[str, str],
    wanted: t.Collection[str],
    version: t.Optional[str],
) -> None:
    """Every package that carries the driver's version, so that library and module cannot part."""
    held = node.holds & plan_guard.own_holds(node)
    if not wish.hold:
        draft.unhold(sorted(held), f"{wish.prefix}hold is false")
        return
    if version is None:
        return
    desired = _held(target, there, wanted, version)
    draft.unhold(sorted(held - set(desired) - set(wanted)), "it is no part of the wished driver")
    draft.hold(
        [name for name in desired if name not in node.holds], "an upgrade of its own would part it from the module"
    )


def _held(
    target: Target, there: t.Mapping[str, str], wanted: t.Collection[str], version: t.Optional[str]
) -> t.List[str]:
    return sorted(name for name, is_ in there.items() if name in wanted or carries(is_, name, target) == version)


# --- the rest ------------------------------------------------------------------------------------------------------


def _modprobe(draft: Draft, node: Node, changes: t.Sequence[t.Any]) -> None:
    for step in changes:
        if step.sort in ("repository", "key"):
            continue
        gone = isinstance(step, RemoveFile)
        draft.file(
            node, step, "nothing wishes it any more" if gone else "module parameters and the blacklist of nouveau"
        )


def _initramfs(draft: Draft, node: Node, version: t.Optional[str], blacklist: bool, parameters: bool) -> None:
    """Only where the image carries something that is no longer right."""
    if version is None:
        return
    for kernel in kernels(node):
        image = kernel.initramfs
        if image is None or image.unread:
            continue
        if image.versions and set(image.versions) != {version}:
            reason = f"it carries NVIDIA modules {', '.join(image.versions)}"
        elif blacklist and image.nouveau:
            reason = "it carries nouveau without the blacklist"
        elif parameters and image.versions:
            reason = "it carries NVIDIA modules and their parameters change"
        else:
            continue
        after = [version] if image.versions else []
        draft.initramfs(kernel.release, list(image.versions), after, reason)


def _memory(
    draft: Draft,
    wish: Wish,
    node: Node,
    target: Target,
    version: t.Optional[str],
    change: t.Optional[ChangePackages],
    there: t.Mapping[str, str],
) -> None:
    on_disk = version if change is not None and change.install else _on_disk(node)
    flavour = target.flavour if draft.upgrade is None else _flavour_on_disk(node, target)
    memory = plan_modules.memory(wish, node, on_disk, flavour)
    if memory.step is not None:
        draft.modules(memory.step, node.loaded.version if node.loaded else None, on_disk, memory.why)
    loaded = node.loaded is not None or memory.step is not None
    risky = bool(node.daemon_reload_risk) and wish.daemon_reload == "auto"
    for step, reason in plan_modules.units(wish, node, there, loaded, draft.upgrade is None):
        if risky and step.enabled is not None:
            # systemctl enable reloads systemd by itself
            draft.daemon_reload = node.daemon_reload_risk
            draft.tracker.keep(step.name, _risk(node))
        else:
            draft.unit(node, step, reason)
    draft.reload += memory.reload
    draft.reboot += memory.reboot
    if on_disk is None and node.loaded is None and node.next is not None and _nvidia(node.next.modules):
        draft.reboot.append(
            f"the running kernel {node.running.release} has no NVIDIA module, {node.next.release}, which boots next, "
            "has it"
        )


def _on_disk(node: Node) -> t.Optional[str]:
    return _nvidia(node.running.modules)


def _nvidia(modules: t.Sequence[t.Any]) -> t.Optional[str]:
    return next((str(module.version) for module in modules if module.name == "nvidia"), None)


def _flavour_on_disk(node: Node, target: Target) -> str:
    """Of the module file, where an upgrade to another flavour is still pending."""
    license_ = next((module.license for module in node.running.modules if module.name == "nvidia"), None)
    return target.flavour if license_ is None else "proprietary" if license_ == "NVIDIA" else "open"


def _record(
    node: Node,
    wish: Wish,
    target: Target,
    there: t.Mapping[str, str],
    files: t.Mapping[str, t.Any],
    packages: Packages,
) -> t.Mapping[str, t.Any]:
    """What is ours on the node, so that `absent` takes back that and nothing else."""
    earlier = set(node.records.get("packages") or ())
    mine = {
        name
        for name, version in there.items()
        if name in earlier
        or (
            name not in node.packages
            and (name in packages.wanted or carries(version, name, target) == packages.version)
        )
    }
    held = _held(target, there, packages.wanted, packages.version) if wish.hold and packages.version else []
    ours = plan_guard.own_holds(node)
    return {
        "packages": sorted(mine),
        "holds": sorted(name for name in held if name in ours or name not in node.holds),
        "files": sorted(files),
        "source": wish.source,
        "branch": target.branch,
        "version": packages.version,
        "flavour": target.flavour,
    }
