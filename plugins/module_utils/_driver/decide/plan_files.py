# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a wish puts on a node: repository, its key, modprobe.d, modules-load.d. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from ..._data.driver_distributions import BASE, KEYS, SHA1_REFUSED, SIGNED_BY, SIGNED_BY_FAMILY
from ..._data.driver_packages import PINNED
from ..._data.driver_system import FABRIC_MODULES, MODPROBE_FILE, MODULES_LOAD_FILE, REPOSITORY_NAME
from ..._errors import BlockedError, WishError
from ..._packages.objects import Origin, deb822, yum_repo, zypp_repo
from ..._packages.openpgp import fingerprints
from ..model import Node, State, Wish
from ..steps import ChangePackages, RemoveFile, WriteFile
from .plan_choice import Target, directory

_OURS = "# Managed by accel.gpu (gpu_driver); changes by hand are taken back.\n"

# family -> (definition of the repository, key)
PATHS: t.Dict[str, t.Tuple[str, str]] = {
    "debian": (f"/etc/apt/sources.list.d/{REPOSITORY_NAME}.sources", f"/etc/apt/keyrings/{REPOSITORY_NAME}.asc"),
    "rhel": (f"/etc/yum.repos.d/{REPOSITORY_NAME}.repo", f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{REPOSITORY_NAME}"),
    "suse": (f"/etc/zypp/repos.d/{REPOSITORY_NAME}.repo", f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{REPOSITORY_NAME}"),
}


class Repository(t.NamedTuple):
    """Where packages come from. `key_url` is where its key lies, `fingerprint` the one it must have."""

    url: str
    key_url: str
    fingerprint: str


def repository(wish: Wish, node: Node, target: Target) -> t.Optional[Repository]:
    """None where the distribution's own repositories are the source."""
    if target.source == "distribution":
        return None
    mirror = wish.mirror
    url = f"{mirror.url if mirror else BASE}/{directory(node, target.platform)}/"
    fingerprint = (mirror.fingerprint if mirror else "") or SIGNED_BY.get(
        target.platform.directory, SIGNED_BY_FAMILY[node.distribution.family]
    )
    key = KEYS.get(fingerprint)
    return Repository(url, f"{url}{key.file}" if key else "", fingerprint)


def needed(wish: Wish, node: Node, target: Target) -> t.Optional[t.Tuple[Origin, ...]]:
    """Whose index has to be had for this wish; None: those of all repositories of the node."""
    found = repository(wish, node, target)
    return None if found is None else (Origin(REPOSITORY_NAME, found.url),)


def check_signature(wish: Wish, node: Node, found: Repository) -> None:
    """Does the distribution still accept what this key signs?"""
    key = KEYS.get(found.fingerprint)
    since = SHA1_REFUSED.get((node.distribution.id, node.distribution.version.partition(".")[0]))
    if key is None or not key.sha1 or since is None or wish.today < since:
        return
    address = f"{wish.prefix}{'mirror' if wish.mirror else 'source'}"
    raise WishError(
        f"{address}: {found.url} is signed by key {found.fingerprint}, which is certified with SHA-1, and "
        f"{node.distribution.name} no longer accepts that since {since}; mirror the repository that NVIDIA makes for "
        "this distribution, or sign the mirror with a key of your own and give key and fingerprint",
        address=address,
    )


def wanted(wish: Wish, state: State, target: Target, blacklist: bool) -> t.Dict[str, WriteFile]:
    """Every file that the wish wants, as it is to be. Raises WishError or BlockedError where there is no good key."""
    files: t.List[WriteFile] = []
    found = repository(wish, state.node, target)
    if found is not None:
        check_signature(wish, state.node, found)
        path, key_path = PATHS[state.node.distribution.family]
        files.append(WriteFile(key_path, _key(wish, state, found, key_path), "key"))
        files.append(WriteFile(path, _definition(state.node, found, key_path), "repository"))
    content = modprobe(wish, target, blacklist)
    if content:
        files.append(WriteFile(MODPROBE_FILE, content, "modprobe"))
    if state.node.nvlink5:
        lines = "".join(f"{name}\n" for name in FABRIC_MODULES)
        files.append(WriteFile(MODULES_LOAD_FILE, _OURS + lines, "modules"))
    return {file.path: file for file in files}


def changes(node: Node, files: t.Mapping[str, WriteFile]) -> t.List[t.Union[WriteFile, RemoveFile]]:
    """What differs on the node, files of earlier wishes included."""
    steps: t.List[t.Union[WriteFile, RemoveFile]] = [
        file for path, file in files.items() if node.files.get(path) != file.content
    ]
    return [*steps, *(RemoveFile(path, sort_of(path)) for path in ours(node) if path not in files)]


def ours(node: Node) -> t.List[str]:
    """Files that this core may have written; a snapshot shows those of other roles as well."""
    return sorted(path for path in node.files if sort_of(path) != "other")


def sort_of(path: str) -> str:
    """Of a file that is ours, by where it lies."""
    for definition, key in PATHS.values():
        if path == definition:
            return "repository"
        if path == key:
            return "key"
    return {MODPROBE_FILE: "modprobe", MODULES_LOAD_FILE: "modules"}.get(path, "other")


# --- repository ----------------------------------------------------------------------------------------------------


def _key(wish: Wish, state: State, found: Repository, path: str) -> str:
    """The armored key: the wish's, else the one on the node where it is the right one, else the one fetched. The whole
    file is what apt trusts, so nothing may be in it but the one key."""
    if wish.mirror is not None and wish.mirror.key:
        return wish.mirror.key.rstrip("\n") + "\n"
    there = state.node.files.get(path)
    if there is not None and _fingerprints(there) == {found.fingerprint}:
        return there
    if state.key is None:
        raise BlockedError(
            f"{found.key_url}: the signing key of the repository cannot be read"
            f"{f' ({state.unreachable})' if state.unreachable else ''}; give the node a way to it, or give "
            f"{wish.prefix}mirror with key and fingerprint",
            url=found.key_url,
        )
    there_now = _fingerprints(state.key)
    if found.fingerprint not in there_now:
        has = f"the fingerprint {', '.join(sorted(there_now))}" if there_now else "no OpenPGP key in it"
        raise BlockedError(
            f"{found.key_url}: the key there has {has}, not {found.fingerprint}; do not trust this repository, or "
            f"give the fingerprint of its new key in {wish.prefix}mirror",
            url=found.key_url,
        )
    more = sorted(there_now - {found.fingerprint})
    if more:
        raise BlockedError(
            f"{found.key_url}: beside key {found.fingerprint} there is {', '.join(more)}, which nobody named; do not "
            f"trust this repository, or give the one key that signs it in {wish.prefix}mirror",
            url=found.key_url,
            fingerprints=more,
        )
    return state.key.rstrip("\n") + "\n"


def lacks_key(wish: Wish, node: Node, found: Repository) -> bool:
    """Has the key to be fetched from the repository?"""
    if (wish.mirror is not None and wish.mirror.key) or not found.key_url:
        return False
    there = node.files.get(PATHS[node.distribution.family][1])
    return there is None or _fingerprints(there) != {found.fingerprint}


def _fingerprints(text: str) -> t.Set[str]:
    try:
        return set(fingerprints(text.encode("utf-8")))
    except WishError:
        return set()


def _definition(node: Node, found: Repository, key_path: str) -> str:
    """In the form of the node's package manager. NVIDIA's repositories for apt are flat."""
    family = node.distribution.family
    if family == "debian":
        text = deb822(REPOSITORY_NAME, found.url, "/", (), key_path)
    else:
        render = zypp_repo if family == "suse" else yum_repo
        text = render(REPOSITORY_NAME, found.url, key_path, title="NVIDIA driver")
    return _OURS + text.decode("utf-8")


def pins(change: ChangePackages) -> t.Optional[WriteFile]:
    """What a pinning package will tell apt, for a simulation before it is installed: meta-packages of NVIDIA want a
    version "or newer", so without pins apt would take newer libraries. Above the pin of another branch that is still
    there; real ones have priority 1000."""
    if not change.first:
        return None
    pinned = change.first[0][0].rpartition("-")[2]
    version = f"{pinned}-*" if "." in pinned else f"{pinned}.*"
    return WriteFile(
        f"/etc/apt/preferences.d/{REPOSITORY_NAME}",
        f"Package: {' '.join(PINNED)}\nPin: version {version}\nPin-Priority: 1002\n",
        "preferences",
    )


# --- modprobe.d ----------------------------------------------------------------------------------------------------


def modprobe(wish: Wish, target: Target, blacklist: bool) -> str:
    """Parameters by module, sorted, so that the order of a dictionary changes nothing. Empty: no file is needed."""
    lines: t.List[str] = []
    if blacklist:
        lines += ["blacklist nouveau", "options nouveau modeset=0"]
    names = target.layout.modules.get(target.flavour, {})
    for module, entries in sorted(wish.parameters.items()):
        pairs = " ".join(f"{name}={value}" for name, value in sorted(entries.items()))
        lines.append(f"options {names.get(module, module.replace('_', '-'))} {pairs}")
    return _OURS + "".join(f"{line}\n" for line in lines) if lines else ""
