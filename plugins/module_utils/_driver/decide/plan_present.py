# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan where a driver is wished. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._data.driver_system import DKMS_KEY, IMEX, MODPROBE_FILE, SIGNING_KEYS
from ..._errors import BlockedError, WishError
from ..model import Node, Offers, Parameters, State, Wish
from ..steps import ChangePackages, PrepareEnrolment, RefreshIndex, RemoveFile
from . import parameters, plan_files, plan_guard, plan_modules, plan_packages, plan_request, plan_warnings
from .plan_choice import Target, choose
from .plan_draft import Draft
from .plan_names import installed_version, is_built, kernels
from .plan_request import Packages

# Programs of the whole system, or what a machine boots through: nothing that a removal of the driver takes along.
STAYING = frozenset(("openssl", "shim-signed"))
_FABRIC = "the NVLink fabric of this board is reached through it"
_REASONS = {"modprobe": "module parameters and the blacklist of nouveau", "modules": _FABRIC}

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
    change = plan_packages.allowed(draft, wish, state, target, packages)
    if _unsigned(wish, state, target, change):
        if not wish.download_only:
            _enrol(draft, wish, node, target, packages)
            return
        draft.enrolment = f"{_unknown(node)}: {_preparing(wish, node)} prepares its enrolment"
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
    if stays:
        # What waits for its upgrade keeps its holds, also where a name tells the branch and a version does not.
        packages = packages._replace(wanted=(*packages.wanted, *sorted(node.holds & plan_guard.own_holds(node))))
    plan_packages.holds(draft, wish, node, target, there, packages.wanted, version)
    _modprobe(draft, node, changes)
    built = version if plan_guard.builds(node, change, state.changes) else None
    _initramfs(draft, node, built, blacklist, any(step.path == MODPROBE_FILE for step in changes))
    dropped = _dropped(wish, node, target)
    _memory(draft, wish, node, target, built, change, there, dropped)
    plan_warnings.tell(draft, wish, node, target, packages.version, version, built is not None)
    ours = plan_packages.record(node, wish, target, there, files, packages, version)
    draft.record = {
        **plan_packages.with_tools(ours, node, change, state.changes or ()),
        **({"dropped": {"boot": node.boot_id, "values": dropped}} if dropped else {}),
        **({"unloaded": {"boot": node.boot_id, "modules": list(node.unloaded)}} if node.unloaded else {}),
    }


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


def _unsigned(wish: Wish, state: State, target: Target, change: t.Optional[ChangePackages]) -> bool:
    """Would the kernel refuse the modules to come, since firmware does not know the key that DKMS signs with? It knows
    the key of a loaded module that was built here, wherever its certificate lies, but not of one that came signed."""
    node, boot = state.node, state.node.secure_boot
    if not boot.enabled or boot.dkms_key_enrolled or wish.modules in target.layout.signed or wish.modules != "dkms":
        return False
    if node.loaded is None:
        return True
    to_come = [] if change is None else plan_guard.names_of(change, state.changes)
    return any(is_built(name) for name in to_come) and not any(is_built(name) for name in node.packages)


def _certificate(node: Node) -> str:
    return node.secure_boot.dkms_key or SIGNING_KEYS.get(node.distribution.id, DKMS_KEY).certificate


def _unknown(node: Node) -> str:
    return (
        f"Secure Boot is on and firmware does not know the key {_certificate(node)} that DKMS signs the driver's "
        "modules with"
    )


def _preparing(wish: Wish, node: Node) -> str:
    """The run that does it. Packages of a loaded driver change in it as little as others."""
    if node.loaded is None:
        return f"a run without {wish.prefix}download_only"
    return f"a run with {wish.prefix}change_loaded: true on the node, drained,"


def _enrol(draft: Draft, wish: Wish, node: Node, target: Target, packages: Packages) -> None:
    """Only what a person needs to enrol the key; the driver comes after that, so nothing is half installed."""
    boot = node.secure_boot
    key = SIGNING_KEYS.get(node.distribution.id, DKMS_KEY)
    certificate = _certificate(node)
    draft.enrolment = (
        f"{_unknown(node)}: reboot, choose Enroll MOK at the console, type the password in {PASSWORD_FILE} of "
        "this node, and run again"
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
    lacking = [name for name in key.packages if name not in node.packages and name not in node.tools]
    tools = tuple((name, None) for name in lacking)
    if boot.dkms_key is None and tools:
        # They come from the distribution; whether any other repository answers is of no interest.
        draft.refresh(RefreshIndex(wish.cache_valid_time, ()))
        draft.steps.append(ChangePackages(tools))
        draft.tracker.act("install_package", ", ".join(name for name, _version in tools), "they make and enrol the key")
        ours = {*(node.records.get("tools") or ()), *lacking} - STAYING
        draft.record = {**node.records, "tools": sorted(ours)}
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
        draft.file(node, step, "nothing wishes it any more" if gone else _REASONS[step.sort])


def _initramfs(draft: Draft, node: Node, built: t.Optional[str], blacklist: bool, parameters: bool) -> None:
    """Only where the image carries something that is no longer right: a new one carries what its kernel has on disk.
    Whether that is the wished version is for a warning, not for a rebuild at each run. `built` is the version of the
    modules that this run brings, None where it brings none."""
    for kernel in kernels(node):
        image = kernel.initramfs
        if image is None or image.unread:
            continue
        version = built or _nvidia(kernel.modules)
        if image.versions and set(image.versions) != {version}:
            reason = f"it carries NVIDIA modules {', '.join(image.versions)}"
        elif blacklist and image.nouveau:
            reason = "it carries nouveau without the blacklist"
        elif parameters and image.versions:
            reason = "it carries NVIDIA modules and their parameters change"
        else:
            continue
        after = [version] if image.versions and version else []
        draft.initramfs(kernel.release, list(image.versions), after, reason)


def _memory(
    draft: Draft,
    wish: Wish,
    node: Node,
    target: Target,
    built: t.Optional[str],
    change: t.Optional[ChangePackages],
    there: t.Mapping[str, str],
    dropped: Parameters,
) -> None:
    on_disk = built or _nvidia(node.running.modules)
    flavour = target.flavour if draft.upgrade is None else _flavour_on_disk(node, target)
    memory = plan_modules.memory(wish, node, on_disk, flavour, None if change is None else there, dropped)
    if memory.step is not None:
        draft.modules(memory.step, node.loaded.version if node.loaded else None, on_disk, memory.why)
    elif node.loaded is not None and not memory.reload:
        draft.insert_again(node.unloaded, "; ".join(plan_modules.taken_out(node)))
    draft.insert(node.lacking_modules, _FABRIC)
    if plan_modules.imex_waits(node, there):
        draft.wait_for_fabric(IMEX, f"needs {node.imex_lacks} with the addresses of the nodes of its domain")
    loaded = node.loaded is not None or memory.step is not None
    for unit, why in plan_modules.fabric_waits(wish, node, there, loaded, draft.upgrade is None):
        draft.wait_for_fabric(unit, why)
    risky = bool(node.daemon_reload_risk) and wish.daemon_reload == "auto"
    for step, reason in plan_modules.units(wish, node, there, loaded, draft.upgrade is None):
        if risky and step.enabled is not None:
            # systemctl enable reloads systemd by itself
            draft.daemon_reload = node.daemon_reload_risk
            draft.tracker.keep(step.name, plan_packages.risk(node.daemon_reload_risk))
        else:
            draft.unit(node, step, reason)
    draft.reload += memory.reload
    draft.reboot += memory.reboot
    if on_disk is None and node.loaded is None and node.next is not None and _nvidia(node.next.modules):
        draft.reboot.append(
            f"the running kernel {node.running.release} has no NVIDIA module, {node.next.release}, which boots next, "
            "has it"
        )


def _dropped(wish: Wish, node: Node, target: Target) -> Parameters:
    """The file is written anew before the modules are, so what went from it is recorded until they are loaded again."""
    names = {name: module for names in target.layout.modules.values() for module, name in names.items()}
    return parameters.dropped(wish.parameters, parameters.written(node.files.get(MODPROBE_FILE, ""), names), node)


def _nvidia(modules: t.Sequence[t.Any]) -> t.Optional[str]:
    return next((str(module.version) for module in modules if module.name == "nvidia"), None)


def _flavour_on_disk(node: Node, target: Target) -> str:
    """Of the module file, where an upgrade to another flavour is still pending."""
    license_ = next((module.license for module in node.running.modules if module.name == "nvidia"), None)
    return target.flavour if license_ is None else "proprietary" if license_ == "NVIDIA" else "open"
