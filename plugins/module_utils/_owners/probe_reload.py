# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Would `systemctl daemon-reload` hurt a running container? (rule 7) PRIVATE to the collection.

Containers that got their GPU through NVIDIA's legacy hook under the systemd cgroup driver lose it at a reload: the hook
adds device rules behind the runtime's back and systemd restores its own list. The OCI bundle of every running container
tells both: `hooks` name the hook, `linux.cgroupsPath` has the form slice:prefix:name under the systemd driver.
"""

from __future__ import annotations

import glob
import json
import os
import typing as t

# Where containerd (also Docker's own), CRI-O and podman keep the bundles of what runs now.
BUNDLES = (
    "run/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    "run/docker/containerd/daemon/io.containerd.runtime.v2.task/*/*/config.json",
    "run/containers/storage/*-containers/*/userdata/config.json",
)
LEGACY_HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-toolkit")


def containers_at_risk(root: str = "/") -> t.Tuple[str, ...]:
    """Ids of running containers that a daemon-reload would take the GPU from, sorted."""
    found = set()
    for pattern in BUNDLES:
        for path in glob.glob(os.path.join(root, pattern)):
            if at_risk(_bundle(path)):
                found.add(_container_id(path))
    return tuple(sorted(found))


def at_risk(bundle: t.Mapping[str, t.Any]) -> bool:
    """Judge one OCI runtime configuration."""
    hooks = bundle.get("hooks") or {}
    named = [hook.get("path", "") for kind in ("prestart", "createRuntime") for hook in hooks.get(kind) or ()]
    legacy = any(os.path.basename(path) in LEGACY_HOOKS for path in named)
    cgroup = (bundle.get("linux") or {}).get("cgroupsPath") or ""
    return legacy and cgroup.count(":") == 2


def _bundle(path: str) -> t.Mapping[str, t.Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}  # the container ended between the listing and the look
    return found if isinstance(found, dict) else {}


def _container_id(path: str) -> str:
    folder = os.path.dirname(path)
    return os.path.basename(os.path.dirname(folder) if folder.endswith("/userdata") else folder)
