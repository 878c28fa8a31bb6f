# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What repositories offer for a wish, and what the transaction would do. PRIVATE to the collection.

A repository that the node does not have yet is looked at in a temporary folder. No repository is asked where the node
already has what is wished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
import typing as t
import urllib.error
import urllib.request

from ..._data.driver_packages import STREAM_MODULE
from ..._errors import AccelError, RepositoryError
from ..._packages.objects import Source
from ..._packages.probe import Manager, manager
from ..decide import plan_files, plan_guard, plan_names, plan_request
from ..decide.plan_choice import Target, choose
from ..decide.requests import whole_request
from ..model import Change, Node, Offers, State, Wish
from ..steps import ChangePackages, WriteFile

if t.TYPE_CHECKING:
    from ..._ports import Ports

_SECONDS = 20.0
_KEY_BYTES = 1 << 20  # no key is longer


def look(wish: Wish, node: Node, packages: Manager, ports: Ports, always: bool = False) -> State:
    """The state for a decision. What the wish itself makes impossible is left to the decision. `always`: what the index
    of the node says is not to be relied on."""
    bare = State(node)
    try:
        plan_guard.check_node(wish, node)
        if wish.state == "absent":
            return _removal(bare, packages)
        target = choose(wish, node)
    except AccelError:
        return bare
    state = _with_key(wish, bare, target)
    if _has_it_all(wish, node):
        return State(node, Offers({}), (), key=state.key)
    return _offered(wish, state, target, packages, ports, always)


def _has_it_all(wish: Wish, node: Node) -> bool:
    if wish.newest:
        return False
    try:
        return plan_request.request(wish, node, Offers({})) is None
    except AccelError:
        return False


def _offered(wish: Wish, state: State, target: Target, packages: Manager, ports: Ports, always: bool) -> State:
    node = state.node
    try:
        names = plan_names.names(wish, node)
        stale = not packages.fresh(wish.cache_valid_time)
        # In check mode the node's own index stays as it is, and what is said must be what the run will find.
        outdated = ports.check and stale
        sources = _scratch(wish, state, target, always or outdated)
        aside = outdated or bool(sources)
    except AccelError:
        return state  # the decision says why
    try:
        with contextlib.ExitStack() as stack:
            asked = packages
            if aside:
                asked = stack.enter_context(manager(ports, sources, wish.lock_timeout, stale))
            else:
                packages.refresh(wish.cache_valid_time, plan_files.needed(wish, node, target))
            streams = asked.streams(STREAM_MODULE) if target.stream else ()
            offers = Offers(asked.versions(names), streams)
            if target.source == "distribution" and len(offers.versions) < len(names):
                offers = offers._replace(components=asked.components())
            change = plan_request.request(wish, node, offers)
            pins = None if change is None else plan_files.pins(change)
            if pins is not None:
                pinned = (*sources, Source("accel-gpu-pins", ((pins.path, _bytes(pins)),)))
                asked = stack.enter_context(manager(ports, pinned, wish.lock_timeout, aside and stale))
            return _simulated(State(node, offers, key=state.key), change, asked)
    except RepositoryError as error:
        return State(node, None, None, error.message, state.key)


def _simulated(state: State, change: t.Optional[ChangePackages], packages: Manager) -> State:
    if change is None:
        return State(state.node, state.offers, (), key=state.key)
    ours = plan_guard.own_holds(state.node) & state.node.holds
    transaction = packages.simulate(whole_request(change, ours))
    changes = tuple(Change(*one) for one in transaction.changes)
    return State(state.node, state.offers, changes, key=state.key, full=transaction.full)


def _removal(state: State, packages: Manager) -> State:
    """Tools that something else came to need since stay: they are no longer known as ours."""
    change = plan_request.removal(state.node)
    found = _simulated(state, change, packages)
    named = set(change.remove if change else ())
    if not state.node.records.get("tools") or all(one.after or one.name in named for one in found.changes or ()):
        return found
    node = dataclasses.replace(state.node, records={**state.node.records, "tools": []})
    return _simulated(State(node), plan_request.removal(node), packages)


def _scratch(wish: Wish, state: State, target: Target, always: bool) -> t.Tuple[Source, ...]:
    """The repository, where the node does not have it as it is wished, or `always`."""
    files = plan_files.wanted(wish, state, target, blacklist=False).values()
    ours = [step for step in files if step.sort in ("repository", "key")]
    if not ours or not (always or any(state.node.files.get(step.path) != step.content for step in ours)):
        return ()
    return (Source("accel-gpu-driver", tuple((step.path, _bytes(step)) for step in ours)),)


def _bytes(step: WriteFile) -> bytes:
    return step.content.encode("utf-8")


# --- the signing key -----------------------------------------------------------------------------------------------


def _with_key(wish: Wish, state: State, target: Target) -> State:
    """Fetched only where neither the wish nor the node has it."""
    try:
        found = plan_files.repository(wish, state.node, target)
        if found is None or not plan_files.lacks_key(wish, state.node, found):
            return state
        return State(state.node, key=fetch(found.key_url))
    except RepositoryError as error:
        return State(state.node, unreachable=error.message)


def fetch(url: str) -> str:
    """The text at an address, with the proxy of the environment. Raises RepositoryError."""
    try:
        with _opener().open(url, timeout=_SECONDS) as answer:
            return str(answer.read(_KEY_BYTES).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        raise _unread(url, "missing" if error.code == 404 else "denied", f"HTTP status {error.code}") from error
    except (urllib.error.URLError, ssl.SSLError, OSError, ValueError) as error:
        raise _unread(url, "unreachable", str(getattr(error, "reason", error))) from error


def _opener() -> urllib.request.OpenerDirector:
    """What a repository may be read by, and nothing else that urllib knows. Cores know no Ansible, and so not its own
    opener; addresses of files are those of mirrors that are mounted."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.FileHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _unread(url: str, reason: str, detail: str) -> RepositoryError:
    return RepositoryError(f"{url} cannot be read: {detail}", url=url, reason=reason, detail=detail)
