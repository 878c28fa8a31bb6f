# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which package manager the node has, and one interface to all. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .._errors import PackageStateError
from .._ports import Ports
from .apply_apt import Apt
from .apply_dnf import Dnf
from .apply_scratch import Scratch, closing_on_error
from .apply_zypper import Zypper
from .objects import Origin, Package, Request, Source, Transaction


class Manager(t.Protocol):
    """A context manager; `close` removes the temporary folder of scratch repositories, if there is one."""

    kind: str  # apt, dnf or zypper

    def installed(self, patterns: t.Sequence[str]) -> t.Tuple[Package, ...]: ...
    def problems(self) -> t.Tuple[str, ...]: ...
    def holds(self) -> t.FrozenSet[str]: ...
    def versions(self, names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]: ...
    def streams(self, module: str) -> t.Tuple[str, ...]: ...
    def stream(self, module: str) -> t.Optional[str]: ...
    def components(self) -> t.Tuple[t.Tuple[str, str], ...]: ...
    def simulate(self, request: Request) -> Transaction: ...
    def owner(self, path: str) -> t.Optional[str]: ...
    def needs_for_holds(self) -> t.Tuple[str, ...]: ...
    def download(self, request: Request) -> Transaction: ...
    def run(self, request: Request) -> Transaction: ...
    def hold(self, names: t.Sequence[str]) -> None: ...
    def unhold(self, names: t.Sequence[str]) -> None: ...
    def fresh(self, max_age: int) -> bool: ...
    def refresh(self, max_age: int, needed: t.Optional[t.Sequence[Origin]] = None) -> bool: ...
    def trust(self, key_path: str) -> t.Tuple[str, ...]: ...
    def distrust(self, fingerprint: str) -> None: ...
    def close(self) -> None: ...
    def __enter__(self: _M) -> _M: ...
    def __exit__(self, *exception: object) -> None: ...


_M = t.TypeVar("_M")
_FAMILY = re.compile(r"^ID(?:_LIKE)?=[\"']?([^\"'\n]*)", re.MULTILINE)
_Class = t.Union[t.Type[Apt], t.Type[Dnf], t.Type[Zypper]]
# (words of ID or ID_LIKE in os-release, class, its program); a node may have the others as tools beside its own.
_MANAGERS: t.Tuple[t.Tuple[t.FrozenSet[str], _Class, str], ...] = (
    (frozenset(("debian", "ubuntu")), Apt, "/usr/bin/apt-get"),
    (frozenset(("rhel", "fedora", "centos")), Dnf, "/usr/bin/dnf"),
    (frozenset(("suse", "sles", "opensuse")), Zypper, "/usr/bin/zypper"),
)


def kind(ports: Ports) -> t.Optional[str]:
    """apt, dnf or zypper; None if the node has none of them."""
    found = _found(ports)
    return found.kind if found else None


def manager(ports: Ports, scratch: t.Sequence[Source] = (), lock_timeout: float = 60.0, anew: bool = False) -> Manager:
    """The node's package manager. With `scratch` it sees these repositories too, in a temporary folder, and answers
    questions only; nothing else on the node changes. So it is with `anew`, which fetches the index of all others too:
    that of the node is too old to be relied on."""
    found = _found(ports)
    if found is None:
        raise PackageStateError(
            "the node is of no family with apt-get, dnf or zypper (by its /etc/os-release); it is not supported",
            problems=[],
        )
    folder = Scratch(ports.files) if scratch or anew else None
    with closing_on_error(folder):
        return found(ports, folder, scratch, lock_timeout, anew)


def _found(ports: Ports) -> t.Optional[_Class]:
    text = ports.files.read_text("/etc/os-release") or ports.files.read_text("/usr/lib/os-release") or ""
    words = {word for line in _FAMILY.findall(text) for word in line.split()}
    for family, one, program in _MANAGERS:
        if words & family and ports.files.exists(program):
            return one
    return None
