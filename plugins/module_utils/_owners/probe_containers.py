# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find containers that have been given NVIDIA devices. Reads only. PRIVATE to the collection.

The kernel is asked, not one engine after the other: a container has a /dev of its own, and whether Docker's hook, a CDI
specification, Podman or LXC put /dev/nvidia<n> there makes no difference. A service with a private mount namespace but
the node's own /dev is no container.
"""

from __future__ import annotations

import os
import re
import typing as t

from .objects import Allocation, Owner, Owners, named
from .probe_processes import Process

if t.TYPE_CHECKING:
    from .._ports import Ports

_NAME = "container engine"
# So many processes are named that cannot be looked at.
_NAMED = 3
_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
_GPU = re.compile(r"^nvidia(\d+)$")
_CAP = re.compile(r"^nvidia-cap(\d+)$")
_MIG_MINOR = re.compile(r"^(gpu\d+/gi\d+(?:/ci\d+)?)/access (\d+)$", re.MULTILINE)


def probe(ports: Ports, found: t.Sequence[Process]) -> Owners:
    """One claim per container and device; the container's first process stands for it."""
    host = _identity(os.path.join(ports.root, "dev"))
    capabilities = _capabilities(ports.root)
    seen: t.Set[str] = set()
    claims: t.List[Allocation] = []
    refused: t.List[str] = []
    for process in found:
        # The first process has the node's own view by definition.
        if process.of_kubelet or process.pid == 1:
            continue
        try:
            namespace = os.readlink(os.path.join(process.path, "ns", "mnt"))
            if namespace in seen:
                continue
            seen.add(namespace)
            device_directory = os.path.join(process.path, "root", "dev")
            identity = _identity(device_directory)
            if identity is None:
                continue
            wanted = _asked_for(process) if identity == host else _devices(device_directory, capabilities)
            owner = f"container {process.container} (PID {process.pid}, {process.program})"
            claims.extend(Allocation(owner, name, process.pid) for name in wanted)
        except PermissionError:
            refused.append(f"PID {process.pid} ({process.program})")
        except OSError:
            continue  # the process ended while it was read
    if refused:
        more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        why = f"{', '.join(refused[:_NAMED])}{more} cannot be looked at with the rights of this user"
        return Owners((Owner(_NAME, asked=False, why=why),), tuple(claims))
    return Owners((Owner(_NAME),) if claims else (), tuple(claims))


def _identity(path: str) -> t.Optional[t.Tuple[int, int]]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _asked_for(process: Process) -> t.List[str]:
    """What a container with the node's own /dev was started for: its engine's variable tells."""
    value = process.environment().get(_VARIABLE, "") if process.is_contained else ""
    words = [word.strip() for word in value.split(",") if word.strip()]
    if not words or words[0] in ("void", "none"):
        return []
    # Numbers are NVML's order, which is not that of /dev/nvidia<n>.
    return named(words)


def _devices(directory: str, capabilities: t.Mapping[int, str]) -> t.List[str]:
    """MIG devices where the container has their capability files, else whole GPUs."""
    caps = [
        capabilities[int(match.group(1))]
        for match in map(_CAP.match, _names(os.path.join(directory, "nvidia-caps")))
        if match and int(match.group(1)) in capabilities
    ]
    computes = [cap for cap in caps if "/ci" in cap]
    parents = {cap.split("/")[0] for cap in computes}
    minors = [int(match.group(1)) for match in map(_GPU.match, _names(directory)) if match]
    return [f"cap:{cap}" for cap in computes] + [f"minor:{minor}" for minor in minors if f"gpu{minor}" not in parents]


def _names(directory: str) -> t.List[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _capabilities(root: str) -> t.Dict[int, str]:
    """Minor number of a capability file → "gpu0/gi1/ci0"."""
    path = os.path.join(root, "proc", "driver", "nvidia-caps", "mig-minors")
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return {int(minor): name for name, minor in _MIG_MINOR.findall(handle.read())}
    except OSError:
        return {}
