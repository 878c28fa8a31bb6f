# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the kubelet what its pods hold. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from .objects import Owner, Owners
from .podresources import LIST, allocations
from .probe_grpc import GrpcError, unary
from .probe_processes import Process

if t.TYPE_CHECKING:
    from .._ports import Ports

ROOT = "/var/lib/kubelet"
SOCKET = "pod-resources/kubelet.sock"
TIMEOUT = 5.0  # seconds
_NAME = "kubelet"
# The kubelet itself, and distributions that have it inside a program of their own.
_PROGRAMS = frozenset(("kubelet", "hyperkube", "k3s", "k3s-server", "k3s-agent", "rke2", "k0s", "kubelite"))
_ROOT_OPTION = "--root-dir"


def probe(ports: Ports, found: t.Sequence[Process] = ()) -> Owners:
    """The kubelet is present where it answers, or where it or one of its pods runs: if that one cannot be asked, it is
    silent. A socket on which nobody listens is left over from an earlier boot: nodes boot before their kubelet does."""
    path = os.path.join(ports.root, _root(found).lstrip("/"), SOCKET)
    try:
        os.stat(path)
        return Owners((Owner(_NAME),), allocations(unary(path, LIST, timeout=TIMEOUT)))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        if not any(process.of_kubelet or process.program in _PROGRAMS for process in found):
            return Owners()
        return _silent(path, error)
    except (OSError, GrpcError, ValueError) as error:
        return _silent(path, error)


def _silent(path: str, error: Exception) -> Owners:
    return Owners((Owner(_NAME, asked=False, why=f"{path}: {error}"),))


def _root(found: t.Sequence[Process]) -> str:
    """The kubelet's own directory, which an option may move."""
    for process in found:
        if process.program not in _PROGRAMS:
            continue
        for word, following in zip(process.command, (*process.command[1:], "")):
            name, unused, value = word.partition("=")
            if name == _ROOT_OPTION:
                return value or following
    return ROOT
