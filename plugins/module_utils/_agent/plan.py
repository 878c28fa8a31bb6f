# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the node must look like with or without the agent, and what to do about it. Pure. PRIVATE to the collection."""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t
import zlib
from dataclasses import dataclass, field

from .._diff import Tracker
from .._errors import AccelError, WishError
from .unit import ARCHIVE, BINDING, LAUNCHER, UNIT, UNIT_NAME, launcher_text, unit_text, wanted_links

BACKED_UP = (UNIT, LAUNCHER)  # what a person may have edited; archives can be had again


@dataclass(frozen=True)
class InstallWish:
    """The digests are SHA-256 of what the control node would bring; the payloads are None in the lean call."""

    present: bool
    boot_timeout: int
    boot_failure: str
    reload_allowed: bool
    interpreter: str
    digests: t.Mapping[str, str]  # path -> digest
    payloads: t.Mapping[str, bytes]  # path -> content


@dataclass(frozen=True)
class FoundFile:
    digest: str
    mode: int
    text: t.Optional[str] = None  # of the small files, for the difference


@dataclass(frozen=True)
class InstallState:
    """What `probe.read` found. `unit` holds properties of systemd for the boot unit."""

    files: t.Mapping[str, FoundFile]
    links: t.FrozenSet[str]
    unit: t.Mapping[str, str]
    wishes: t.Tuple[str, ...] = ()
    leftovers: t.Tuple[str, ...] = ()
    at_risk: t.Tuple[str, ...] = ()
    boot: t.Optional[t.Mapping[str, t.Any]] = None


@dataclass(frozen=True)
class TargetFile:
    path: str
    mode: int
    digest: str
    content: t.Optional[bytes] = None  # None: in the payload


@dataclass(frozen=True)
class InstallPlan:
    """`write` and `remove` before `link` and `unlink`, then `reload`, then `start` or `forget` (a failed unit)."""

    changed: bool
    diff: t.Mapping[str, t.Mapping[str, t.Any]]
    actions: t.List[t.Dict[str, t.Any]]
    write: t.Tuple[TargetFile, ...] = ()
    remove: t.Tuple[str, ...] = ()
    link: t.Tuple[str, ...] = ()
    unlink: t.Tuple[str, ...] = ()
    reload: bool = False
    start: bool = False
    forget: bool = False
    missing_payload: t.Tuple[str, ...] = ()
    refusal: t.Optional[AccelError] = None
    facts: t.Mapping[str, t.Any] = field(default_factory=dict)

    def result(self) -> t.Dict[str, t.Any]:
        return dict(self.facts)


def parse(params: t.Mapping[str, t.Any]) -> InstallWish:
    """Options of module node_agent -> wish. Raises WishError."""
    timeout = params["boot_timeout"]
    if timeout < 30:
        raise WishError(
            f"boot_timeout: {timeout} is too short; allowed are 30 seconds and more, one GPU reset takes several",
            option="boot_timeout",
        )
    paths = {ARCHIVE: "archive", BINDING: "binding"}
    payloads = {path: _unpack(name, params[name]) for path, name in paths.items() if params.get(name)}
    return InstallWish(
        present=params["state"] == "present",
        boot_timeout=timeout,
        boot_failure=params["boot_failure"],
        reload_allowed=params["daemon_reload"] == "allowed",
        interpreter=params["interpreter"],
        digests={path: params.get(f"{name}_sha256") or "" for path, name in paths.items()},
        payloads=payloads,
    )


def plan(wish: InstallWish, state: InstallState) -> InstallPlan:
    tracker = Tracker()
    if wish.present and not all(wish.digests.values()):
        raise WishError(
            "archive_sha256, binding_sha256: both are needed with state present and are set by the action plugin; call "
            "accel.gpu.node_agent as a task, not through another plugin"
        )
    targets = _targets(wish) if wish.present else ()
    write = tuple(target for target in targets if _differs(target, state, tracker))
    links = frozenset(wanted_links(wish.boot_failure)) if wish.present else frozenset()
    link, unlink = _links(links, state, tracker)
    remove = () if wish.present else _removals(state, tracker)
    stale = state.unit.get("NeedDaemonReload") == "yes"
    due = stale or bool(link or unlink) or UNIT in remove or any(target.path == UNIT for target in write)
    reload = due and _may_reload(wish, state, tracker)
    start = wish.present and _must_start(state, tracker)
    forget = not wish.present and _must_forget(state, tracker)
    return InstallPlan(
        changed=tracker.changed,
        diff=tracker.diff,
        actions=tracker.actions,
        write=tuple(_with_payload(target, wish) for target in write),
        remove=remove,
        link=link,
        unlink=unlink,
        reload=reload,
        start=start,
        forget=forget,
        missing_payload=tuple(file.path for file in write if file.content is None and file.path not in wish.payloads),
        facts=_facts(wish, state, due and not reload),
    )


def _targets(wish: InstallWish) -> t.Tuple[TargetFile, ...]:
    launcher = launcher_text(wish.interpreter).encode()
    unit = unit_text(wish.boot_timeout, wish.boot_failure).encode()
    return (
        TargetFile(BINDING, 0o644, wish.digests[BINDING]),
        TargetFile(ARCHIVE, 0o644, wish.digests[ARCHIVE]),
        TargetFile(LAUNCHER, 0o755, sha256(launcher), launcher),
        TargetFile(UNIT, 0o644, sha256(unit), unit),
    )


def _differs(target: TargetFile, state: InstallState, tracker: Tracker) -> bool:
    found = state.files.get(target.path)
    if found is not None and (found.digest, found.mode) == (target.digest, target.mode):
        return False
    if found is None:
        action, reason = "install", "it is not there"
    elif found.digest == target.digest:
        action, reason = "set_mode", f"its mode is {found.mode:04o}, not {target.mode:04o}"
    else:
        action, reason = "replace", "its content is not what this collection brings"
    tracker.change(
        target.path,
        None if found is None else _shown(found.digest, found.mode, found.text),
        _shown(target.digest, target.mode, None if target.content is None else target.content.decode()),
        action=action,
        object=target.path,
        reason=reason,
    )
    return True


def _shown(digest: str, mode: int, text: t.Optional[str]) -> t.Dict[str, t.Any]:
    """One side of the difference: small texts as lines, archives by their digest."""
    content = f"sha256 {digest}" if text is None else text.splitlines()
    return {"mode": f"{mode:04o}", "content": content}


def _links(
    wanted: t.FrozenSet[str], state: InstallState, tracker: Tracker
) -> t.Tuple[t.Tuple[str, ...], t.Tuple[str, ...]]:
    link, unlink = tuple(sorted(wanted - state.links)), tuple(sorted(state.links - wanted))
    before, after = _starters(state.links), _starters(wanted)
    for action, paths, reason in (
        ("enable", link, "started by the target, waited for by the services"),
        ("disable", unlink, "no longer declared"),
    ):
        if paths:
            names = ", ".join(_starters(paths))
            tracker.change(f"{UNIT_NAME} links", before, after, action=action, object=names, reason=reason)
    return link, unlink


def _starters(links: t.Iterable[str]) -> t.List[str]:
    """docker.service.requires/accel-gpu.service -> docker.service.requires"""
    return sorted(link.split("/")[-2] for link in links)


def _removals(state: InstallState, tracker: Tracker) -> t.Tuple[str, ...]:
    for path, found in sorted(state.files.items()):
        before = _shown(found.digest, found.mode, found.text)
        tracker.change(path, before, None, action="remove", object=path, reason="state is absent")
    for path in state.leftovers:
        tracker.change(path, "present", None, action="remove", object=path, reason="state is absent")
    for name in state.wishes:
        tracker.act("left_alone", f"wish of {name}", f"role {name} wrote it; {name}_state: absent removes it")
    return tuple(sorted(state.files)) + state.leftovers


def _may_reload(wish: InstallWish, state: InstallState, tracker: Tracker) -> bool:
    """Rule 7. A reload that an earlier run still owes is a change of its own."""
    if state.at_risk and not wish.reload_allowed:
        tracker.act(
            "deferred",
            "systemctl daemon-reload",
            f"containers {', '.join(name[:12] for name in state.at_risk)} would lose their GPU (legacy hook under the "
            "systemd cgroup driver); accel_gpu_daemon_reload: allowed reloads anyway",
        )
        return False
    tracker.change(
        "systemd manager",
        "older than its unit files",
        "reloaded",
        action="daemon_reload",
        object="systemctl daemon-reload",
        reason=f"{UNIT_NAME} changed",
    )
    return True


def _must_start(state: InstallState, tracker: Tracker) -> bool:
    """Started once while nothing is wished, so that no later restart of Docker starts it and changes GPUs then."""
    found = state.unit.get("ActiveState", "inactive")
    if state.wishes or found not in ("inactive", "failed"):
        return False
    tracker.change(
        f"{UNIT_NAME} state",
        found,
        "active",
        action="start",
        object=UNIT_NAME,
        reason="services that require it must not start it in the middle of work",
    )
    return True


def _must_forget(state: InstallState, tracker: Tracker) -> bool:
    """Without this systemd lists a failed unit that no longer exists."""
    if state.unit.get("ActiveState") != "failed":
        return False
    tracker.change(
        f"{UNIT_NAME} state", "failed", "inactive", action="reset_failed", object=UNIT_NAME, reason="state is absent"
    )
    return True


def _with_payload(target: TargetFile, wish: InstallWish) -> TargetFile:
    if target.content is not None or target.path not in wish.payloads:
        return target
    content = wish.payloads[target.path]
    if sha256(content) != target.digest:
        raise WishError(f"the payload for {target.path} does not have the announced digest {target.digest}; run again")
    return TargetFile(target.path, target.mode, target.digest, content)


def _facts(wish: InstallWish, state: InstallState, reload_owed: bool) -> t.Dict[str, t.Any]:
    """Owed states are read at every run and never count as changed (rule 25)."""
    owed = []
    if state.unit.get("ActiveState") == "failed" and wish.present:
        owed.append({"state": "boot_failed", "object": UNIT_NAME, "reason": _boot_failure(state)})
    return {"daemon_reload_required": reload_owed, "boot": dict(state.boot or {}), "owed": owed}


def _boot_failure(state: InstallState) -> str:
    said = (state.boot or {}).get("message")
    return str(said or f"systemd says {state.unit.get('Result', 'unknown')}") + "; see accel-gpu status"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unpack(option: str, packed: str) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(packed, validate=True))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise WishError(f"{option}: is not base64 of zlib data ({error}); only the action plugin sets it") from error
