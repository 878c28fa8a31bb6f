# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes `.venv` and `.build/nvml/nvml.h`, as pyproject.toml says. Started with the interpreter `.venv` shall have.

A stamp with the hash of everything that decides the outcome makes a second run instant. Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import typing as t
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "stamp"
BUILD = ROOT / ".build"
NVML_HEADER = BUILD / "nvml" / "nvml.h"


class SetUpError(Exception):
    """The environment cannot be made; the message is for the person at the keyboard."""


def main() -> int:
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / "env.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            make(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
        except SetUpError as error:
            print(f"environment: {error}", file=sys.stderr)
            return 1
    return 0


def make(project: dict[str, t.Any]) -> None:
    settings = project["tool"]["accel-gpu"]
    requirements = choose_requirements(project["dependency-groups"])
    wanted = fingerprint(requirements, settings)
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted and NVML_HEADER.is_file():
        link_checkout()
        os.utime(STAMP)
        return
    started = time.monotonic()
    STAMP.unlink(missing_ok=True)
    create_venv()
    step("installing the development tools (about a minute)", started)
    pip("install", "--quiet", *requirements)
    step("taking the collections " + ", ".join(settings["collections"]), started)
    take_collections(settings["collections-package"], settings["collections"])
    step("taking NVIDIA's nvml.h", started)
    take_header(settings["nvml-header-package"])
    link_checkout()
    STAMP.write_text(wanted, encoding="utf-8")
    step("ready in .venv", started)


def step(what: str, started: float) -> None:
    print(f"environment: [{time.monotonic() - started:4.0f} s] {what}", flush=True)


def choose_requirements(groups: dict[str, list[str]]) -> list[str]:
    """The ansible-core that this interpreter can run, then everything else."""
    here = tuple(sys.version_info[:2])
    if here >= (3, 12):
        return groups["core"] + groups["dev"]
    print(
        f"environment: only Python {here[0]}.{here[1]} starts here, so {groups['core-py311'][0]} is"
        f" installed instead of {groups['core'][0]}; Python 3.12 or newer removes this limit",
        flush=True,
    )
    return groups["core-py311"] + groups["dev"]


def fingerprint(requirements: list[str], settings: dict[str, t.Any]) -> str:
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    interpreter = [os.path.realpath(sys.executable), sys.version]
    inputs = json.dumps([requirements, settings, own, interpreter, str(ROOT)])
    return hashlib.sha256(inputs.encode()).hexdigest() + "\n"


def venv_version() -> str:
    """`sys.version` of the interpreter in .venv, empty if there is none that starts."""
    try:
        done = run([str(VENV / "bin" / "python"), "-c", "import sys; print(sys.version)"])
    except (OSError, SetUpError):
        return ""
    return done.strip()


def create_venv() -> None:
    # An environment that others are using right now is not emptied for a changed tool, only for another interpreter.
    moved = (VENV / "root").is_file() and (VENV / "root").read_text(encoding="utf-8") != str(ROOT)
    if venv_version() == sys.version.strip() and not moved:
        return
    print(f"environment: making .venv with {sys.executable} (Python {sys.version.split()[0]})", flush=True)
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    (VENV / "root").write_text(str(ROOT), encoding="utf-8")


def run(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SetUpError(f"{' '.join(command[:6])} … ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def pip(*arguments: str) -> None:
    run([str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments])


def site_packages() -> Path:
    names = {"base": str(VENV), "platbase": str(VENV)}
    return Path(sysconfig.get_path("purelib", "venv", vars=names))


def download(package: str) -> Path:
    """One wheel of `package` in a folder of its own, whatever interpreter that package asks for."""
    folder = BUILD / "download" / re.sub(r"\W+", "-", package)
    shutil.rmtree(folder, ignore_errors=True)
    choice = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.13"]
    pip("download", "--quiet", *choice, "--dest", str(folder), package)
    return next(folder.glob("*.whl"))


def take_collections(package: str, names: list[str]) -> None:
    collections = site_packages() / "ansible_collections"
    missing = [name for name in names if not (collections / name.replace(".", "/") / "MANIFEST.json").is_file()]
    marker = collections / "taken-from"
    if not missing and marker.is_file() and marker.read_text(encoding="utf-8") == package:
        return
    wheel = download(package)
    prefixes = tuple("ansible_collections/" + name.replace(".", "/") + "/" for name in names)
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(prefixes)]
        absent = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in members)]
        if absent:
            raise SetUpError(f"{package} has no {', '.join(absent)}; correct [tool.accel-gpu] in pyproject.toml")
        archive.extractall(site_packages(), members)
    marker.write_text(package, encoding="utf-8")
    shutil.rmtree(wheel.parent)


def take_header(package: str) -> None:
    marker = NVML_HEADER.with_name("taken-from")
    if NVML_HEADER.is_file() and marker.is_file() and marker.read_text(encoding="utf-8") == package:
        return
    wheel = download(package)
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if name.endswith("/nvml.h")]
        if not found:
            raise SetUpError(f"{package} holds no nvml.h; correct [tool.accel-gpu] in pyproject.toml")
        NVML_HEADER.parent.mkdir(parents=True, exist_ok=True)
        NVML_HEADER.write_bytes(archive.read(found[0]))
    marker.write_text(package, encoding="utf-8")
    shutil.rmtree(wheel.parent)


def link_checkout() -> None:
    """The checkout is the collection: through site-packages for Python, through .venv/collections for ansible.cfg."""
    collections = site_packages() / "ansible_collections"
    point(collections / "accel" / "gpu", ROOT)
    # ansible.cfg cannot name site-packages, whose path has the interpreter's version in it.
    point(VENV / "collections" / "ansible_collections", collections)


def point(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and Path(os.readlink(link)) == target:
        return
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(target)


if __name__ == "__main__":
    sys.exit(main())
