# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring Debian's package nvtop for a test: it is in contrib, which a machine's own package sources may leave out.

Nothing of the machine's own package state is read for long or changed: the package lists go to a folder of the build.
"""

from __future__ import annotations

import shutil
import subprocess
import typing as t
from pathlib import Path

TIMEOUT = 300


class Unavailable(Exception):
    """Why there is no nvtop to test with."""


def program(folder: Path) -> Path:
    """The installed nvtop, or one unpacked below `folder` (downloaded at the first call). Raises Unavailable."""
    installed = shutil.which("nvtop")
    if installed:
        return Path(installed)
    unpacked = folder / "usr" / "bin" / "nvtop"
    if not unpacked.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise Unavailable("nvtop is not installed, and this is not a Debian-family system to take its package from")
        _download(folder)
    return unpacked


def _download(folder: Path) -> None:
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(_contrib_source())
    options = [
        f"Dir::Etc::sourcelist={state}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={state}/lists",
        f"Dir::Cache={state}/cache",
        "Acquire::Languages=none",
    ]
    apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    _run([*apt, "update"], folder)
    _run([*apt, "download", "nvtop"], folder)
    package = next(iter(folder.glob("nvtop_*.deb")), None)
    if package is None:
        raise Unavailable("the package index has no nvtop")
    _run(["dpkg-deb", "-x", str(package), str(folder)], folder)


def _contrib_source() -> str:
    """A sources.list with component contrib of the mirror and release that this machine uses for main."""
    form = "$(REPO_URI) $(RELEASE) $(SIGNED_BY)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Component: main"]
    for line in _run(command, Path.cwd()).splitlines():
        words = line.split()
        if len(words) >= 2 and "security" not in words[0] and "-" not in words[1]:
            signed = f"[signed-by={words[2]}] " if len(words) > 2 and words[2].startswith("/") else ""
            return f"deb {signed}{words[0]} {words[1]} contrib\n"
    raise Unavailable("no Debian release with component main is among this machine's package sources")


def _run(command: t.List[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} did not end within {TIMEOUT} s") from error
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command[-2:])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
