# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node's processes as the kernel shows them. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

# docker-<id>.scope, /docker/<id>, libpod-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope
_CONTAINER = re.compile(r"(docker|libpod|cri-containerd|crio|containerd|lxc)[-/.]([0-9a-zA-Z_.-]+?)(?:\.scope)?(?:/|$)")


@dataclass(frozen=True)
class Process:
    """One process. `path` is its directory in /proc; `command` its arguments; both as seen from `root`."""

    pid: int
    path: str
    command: t.Tuple[str, ...]
    cgroup: str

    @property
    def program(self) -> str:
        """The file's name, also where the process wrote a title of its own ("slurmstepd: [123.batch]", "k3s agent")."""
        words = self.command[0].split() if self.command else []
        return os.path.basename(words[0]).rstrip(":") if words else ""

    @property
    def is_contained(self) -> bool:
        return _CONTAINER.search(self.cgroup) is not None

    @property
    def of_kubelet(self) -> bool:
        return "kubepods" in self.cgroup

    @property
    def container(self) -> str:
        """ "docker 0123456789ab", or the cgroup where its form is unknown."""
        match = _CONTAINER.search(self.cgroup)
        return f"{match.group(1)} {match.group(2)[:12]}" if match else (self.cgroup or "unknown")

    def environment(self) -> t.Dict[str, str]:
        words = _read(os.path.join(self.path, "environ")).split("\0")
        return dict(word.split("=", 1) for word in words if "=" in word)


def processes(root: str) -> t.Iterator[Process]:
    """All processes that still exist while they are read; kernel threads have no command."""
    directory = os.path.join(root, "proc")
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in sorted((name for name in names if name.isdigit()), key=int):
        path = os.path.join(directory, name)
        command = tuple(word for word in _read(os.path.join(path, "cmdline")).split("\0") if word)
        if command:
            yield Process(int(name), path, command, _cgroup(_read(os.path.join(path, "cgroup"))))


def _cgroup(text: str) -> str:
    # The longest path says most: with cgroup v1 some controllers stay at the root.
    return max((line.split(":", 2)[-1] for line in text.splitlines()), key=len, default="")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""  # the process ended, or is not ours to read
