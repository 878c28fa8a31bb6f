# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask MPS control daemons for their clients. PRIVATE to the collection.

Source of the commands and variables: NVIDIA's MPS documentation, interface v2 (`get_server_list`, `get_client_list`,
CUDA_MPS_PIPE_DIRECTORY, CUDA_VISIBLE_DEVICES).
"""

from __future__ import annotations

import typing as t

from .objects import Allocation, Owner, Owners, merge, named
from .probe_processes import Process

if t.TYPE_CHECKING:
    from .._ports import Ports

_PROGRAM = "nvidia-cuda-mps-control"
_PIPE = "CUDA_MPS_PIPE_DIRECTORY"
_DEVICES = "CUDA_VISIBLE_DEVICES"
_TIMEOUT = 10.0  # seconds


def probe(ports: Ports, found: t.Sequence[Process]) -> Owners:
    """Every daemon with its clients; a daemon without clients claims nothing. The kubelet's are its own."""
    daemons = [process for process in found if process.program == _PROGRAM and not process.of_kubelet]
    return merge(_ask_daemon(ports, daemon) for daemon in daemons)


def definitions(found: t.Iterable[Process]) -> Owners:
    """The devices of every daemon that runs, with clients or without, those of containers too: the compute mode of
    their GPUs is theirs. No daemon is asked."""
    daemons = [process for process in found if process.program == _PROGRAM]
    return Owners(
        allocations=tuple(
            Allocation(f"MPS daemon (PID {daemon.pid})", device)
            for daemon in daemons
            for device in (_visible(daemon.environment().get(_DEVICES, "")))
        )
    )


def _ask_daemon(ports: Ports, daemon: Process) -> Owners:
    name = f"MPS daemon (PID {daemon.pid})"
    environment = daemon.environment()
    argv = ["env"] + [f"{key}={environment[key]}" for key in (_PIPE,) if key in environment] + [_PROGRAM]
    servers, why = _ask(ports, argv, "get_server_list\n")
    if why:
        return Owners((Owner(name, asked=False, why=why),))
    clients: t.List[int] = []
    for server in _numbers(servers):
        answer, why = _ask(ports, argv, f"get_client_list {server}\n")
        if why:
            return Owners((Owner(name, asked=False, why=why),))
        clients.extend(_numbers(answer))
    devices = _visible(environment.get(_DEVICES, ""))
    claims = (Allocation(f"{name}, client PID {client}", device, client) for client in clients for device in devices)
    return Owners((Owner(name),), tuple(claims))


def _visible(value: str) -> t.List[str]:
    words = [word.strip() for word in value.split(",") if word.strip()]
    # Ordinals follow CUDA_DEVICE_ORDER, which is not the minor number, and CUDA takes the beginning of a UUID: only
    # whole UUIDs tell which GPU.
    return named(words)


def _ask(ports: Ports, argv: t.List[str], command: str) -> t.Tuple[str, str]:
    try:
        code, out, err = ports.run(argv, timeout=_TIMEOUT, stdin=command)
    except OSError as error:
        return "", f"{_PROGRAM}: {error}"
    if code != 0 or any(not line.strip().isdigit() for line in out.splitlines() if line.strip()):
        return "", f"{_PROGRAM} answered {command.strip()!r} with {(err or out).strip()!r}"
    return out, ""


def _numbers(text: str) -> t.List[int]:
    return [int(line) for line in text.split() if line.isdigit()]
