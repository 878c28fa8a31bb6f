# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which package manager the node has, and one interface to all. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import PackageStateError
from .._ports import Ports
from .apply_apt import Apt
from .apply_scratch import Scratch, closing_on_error
from .objects import Package, Request, Source, Transaction


class Manager(t.Protocol):
    """A context manager; `close` removes the temporary folder of scratch repositories, if there is one."""

    kind: str  # apt, dnf or zypper

    def installed(self, patterns: t.Sequence[str]) -> t.Tuple[Package, ...]: ...
    def problems(self) -> t.Tuple[str, ...]: ...
    def holds(self) -> t.FrozenSet[str]: ...
    def versions(self, names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]: ...
    def simulate(self, request: Request) -> Transaction: ...
    def owner(self, path: str) -> t.Optional[str]: ...
    def needs_for_holds(self) -> t.Tuple[str, ...]: ...
    def download(self, request: Request) -> Transaction: ...
    def run(self, request: Request) -> Transaction: ...
    def hold(self, names: t.Sequence[str]) -> None: ...
    def unhold(self, names: t.Sequence[str]) -> None: ...
    def refresh(self, max_age: int, needed: t.Optional[t.Sequence[str]] = None) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self: _M) -> _M: ...
    def __exit__(self, *exception: object) -> None: ...


_M = t.TypeVar("_M")
# (program that only nodes of the family have, class); the first that is there. A node may have dpkg and rpm as tools
# beside its own manager, so what is looked for is the manager.
_MANAGERS: t.Tuple[t.Tuple[str, t.Type[Apt]], ...] = (("/usr/bin/apt-get", Apt),)


def kind(ports: Ports) -> t.Optional[str]:
    """apt, dnf or zypper; None if the node has none of them."""
    found = _found(ports)
    return found.kind if found else None


def manager(ports: Ports, scratch: t.Sequence[Source] = (), lock_timeout: float = 60.0) -> Manager:
    """The node's package manager. With `scratch` it sees these repositories too, in a temporary folder, and answers
    questions only; nothing else on the node changes."""
    found = _found(ports)
    if found is None:
        raise PackageStateError(
            "the node has none of apt-get, dnf and zypper; its distribution is not supported", problems=[]
        )
    folder = Scratch(ports.files) if scratch else None
    with closing_on_error(folder):
        return found(ports, folder, scratch, lock_timeout)


def _found(ports: Ports) -> t.Optional[t.Type[Apt]]:
    return next((one for program, one in _MANAGERS if ports.files.exists(program)), None)
