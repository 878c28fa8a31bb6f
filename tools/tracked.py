# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of the tracked files as they lie in the checkout, for tools that must not see anything else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git(*arguments: str, folder: Path = ROOT) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, stdout=subprocess.PIPE).stdout


def names() -> list[str]:
    listed = git("ls-files", "-z").decode().split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def copy_to(folder: Path) -> None:
    """Only what differs is copied, so that caches over the copy keep their worth; .git and tests/output stay."""
    wanted = set(names())
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(wanted):
        source, target = ROOT / name, folder / name
        if target.is_file() and same(source, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and name not in wanted and not name.startswith((".git/", "tests/output/")):
            path.unlink()


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes() and one.stat().st_mode == other.stat().st_mode
