# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python interpreters of nodes really start on this machine.

A version manager's shim may be on PATH and not start; working interpreters then lie in its versions folder. So each
candidate is started. As a command: prints one `VERSION PATH` a line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# sys.executable is the interpreter itself where the candidate was a shim. One of a virtual environment is no machine's:
# .venv may be on PATH, and a shim may lead to it.
PROBE = (
    "import sys, venv, ensurepip; sys.exit('of an environment') if sys.prefix != sys.base_prefix else"
    " print('%d.%d' % sys.version_info[:2], sys.executable)"
)


def wanted_versions() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["tool"]["accel-gpu"]["node-pythons"])


def folders() -> t.Iterator[Path]:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield Path(folder)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    versions = sorted((pyenv / "versions").glob("*/bin"), key=lambda path: natural(path.parent.name), reverse=True)
    yield from versions
    yield from (Path("/usr/local/bin"), Path("/usr/bin"))


def natural(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]


def start(candidate: Path) -> tuple[str, Path] | None:
    """Version and real path of what starts as `candidate`; None if nothing does."""
    try:
        done = subprocess.run([str(candidate), "-c", PROBE], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    version, _blank, executable = done.stdout.strip().partition(" ")
    return version, Path(executable)


def find(version: str) -> Path | None:
    """The first interpreter of this version that starts."""
    for folder in folders():
        for name in (f"python{version}", "python3"):
            started = start(folder / name) if (folder / name).is_file() else None
            if started and started[0] == version:
                return started[1]
    return None


def find_all() -> dict[str, Path]:
    found = {version: find(version) for version in wanted_versions()}
    return {version: path for version, path in found.items() if path is not None}


if __name__ == "__main__":
    sys.stdout.writelines(f"{name} {path}\n" for name, path in find_all().items())
