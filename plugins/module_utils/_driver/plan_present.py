# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan where a driver is wished. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._data.driver_system import DKMS_KEY, MODPROBE_FILE, SIGNING_KEYS
from .._errors import BlockedError, WishError
from . import plan_files, plan_guard, plan_modules, plan_packages, plan_request, plan_warnings
from .model import Node, Offers, State, Wish
from .plan_choice import Target, choose
from .plan_draft import Draft
from .plan_names import installed_version, kernels
from .plan_request import Packages
from .steps import ChangePackages, PrepareEnrolment, RefreshIndex, RemoveFile

# What mokutil asked for at the import; apply_enrolment writes it.
PASSWORD_FILE = "/var/lib/accel-gpu/driver/enrolment-password"


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
    change = plan_packages.allowed(draft, wish, state, target, packages)
    if change is not None:
        plan_guard.check_change(wish, state, change)
    changes = plan_files.changes(node, files)
    plan_packages.repository(draft, wish, node, target, changes, change)
    after = plan_packages.after_change(node, state, change)
    if change is not None:
        differing = {name: version for name, version in after.items() if node.packages.get(name) != version}
        draft.packages(node, change, differing, plan_packages.why(packages, change))
    if wish.download_only:
        draft.warnings += plan_warnings.life(wish, target.branch)
        return
    there = {name: version for name, version in after.items() if version is not None}
    stays = packages.change is not None and change is None
    version = installed_version(node, target) if stays else packages.version
    plan_packages.holds(draft, wish, node, target, there, packages.wanted, version)
    _modprobe(draft, node, changes)
    _initramfs(draft, node, version, blacklist, any(step.path == MODPROBE_FILE for step in changes))
    _memory(draft, wish, node, target, version, change, there)
    draft.warnings += plan_warnings.warnings(wish, node, target, packages.version, version, change is not None)
    draft.record = plan_packages.record(node, wish, target, there, files, packages, version)


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
    key = SIGNING_KEYS.get(node.distribution.id, DKMS_KEY)
    certificate = boot.dkms_key or key.certificate
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
    tools = tuple((name, None) for name in key.packages if name not in node.packages)
    if boot.dkms_key is None and tools:
        # They come from the distribution; whether any other repository answers is of no interest.
        draft.refresh(RefreshIndex(wish.cache_valid_time, ()))
        draft.steps.append(ChangePackages(tools))
        draft.tracker.act("install_package", ", ".join(name for name, _version in tools), "they make and enrol the key")
    draft.steps.append(PrepareEnrolment(certificate))
    draft.tracker.change(
        "enrolment",
        None,
        certificate,
        action="prepare_enrolment",
        object=certificate,
        reason="firmware does not know it",
    )


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
    memory = plan_modules.memory(wish, node, on_disk, flavour, None if change is None else there)
    if memory.step is not None:
        draft.modules(memory.step, node.loaded.version if node.loaded else None, on_disk, memory.why)
    loaded = node.loaded is not None or memory.step is not None
    risky = bool(node.daemon_reload_risk) and wish.daemon_reload == "auto"
    for step, reason in plan_modules.units(wish, node, there, loaded, draft.upgrade is None):
        if risky and step.enabled is not None:
            # systemctl enable reloads systemd by itself
            draft.daemon_reload = node.daemon_reload_risk
            draft.tracker.keep(step.name, plan_packages.risk(node))
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
