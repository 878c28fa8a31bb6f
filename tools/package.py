# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds the collection from the tracked files, installs the archive in an empty place and loads it from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import tracked

BUILD = tracked.ROOT / ".build" / "package"
SOURCE = BUILD / "source"
INSTALLED = BUILD / "installed"
COLLECTION = INSTALLED / "ansible_collections" / "accel" / "gpu"
# Of an archive: it must be small, and hold nothing that was built or belongs to a developer's machine.
UNWANTED = (".build", ".venv", ".git/", "__pycache__", ".pyc", "results/", ".tar.gz")


def main() -> int:
    tracked.copy_to(SOURCE)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    run("ansible-galaxy", "collection", "build", "--force", "--output-path", str(BUILD), str(SOURCE))
    archive = next(BUILD.glob("accel-gpu-*.tar.gz"))
    run("ansible-galaxy", "collection", "install", "--force", "--no-deps", "-p", str(INSTALLED), str(archive))
    verdicts = [judge_archive(archive), judge_documentation(), judge_playbooks()]
    return 0 if all(verdicts) else 1


def run(*command: str) -> str:
    """The output of one of the environment's commands, with the installed copy as its only place for collections."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED), "ANSIBLE_LOCALHOST_WARNING": "false"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    environment.pop("ANSIBLE_CONFIG", None)
    done = subprocess.run(command, cwd=BUILD, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}package: {' '.join(command)} FAILED")
    return done.stdout


def verdict(what: str, problems: list[str]) -> bool:
    for problem in problems:
        print(f"package: {problem}")
    print(f"package: {what} {'FAILED' if problems else 'passed'}", flush=True)
    return not problems


def judge_archive(archive: Path) -> bool:
    with tarfile.open(archive) as content:
        names = content.getnames()
    problems = [f"{name} is in the archive" for name in names if any(part in f"{name}/" for part in UNWANTED)]
    for name in ("plugins/module_utils/_errors.py", "meta/runtime.yml", "LICENSE", "README.md", "CHANGELOG.md"):
        if name not in names:
            problems.append(f"{name} is missing in the archive")
    return verdict(f"build of {archive.name} ({archive.stat().st_size // 1024} KiB, {len(names)} entries)", problems)


def judge_documentation() -> bool:
    """ansible-doc loads each plugin; its path must be that of the installed copy."""
    modules = sorted(path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py"))
    problems = [] if modules else ["no module was installed"]
    for name in modules:
        text = run("ansible-doc", "--type", "module", f"accel.gpu.{name}")
        if str(COLLECTION) not in text:
            problems.append(f"accel.gpu.{name} was not loaded from the installed copy")
    return verdict(f"loading of {len(modules)} modules from the installed copy", problems)


def judge_playbooks() -> bool:
    names = sorted(path.stem for path in (COLLECTION / "playbooks").glob("*.yml"))
    for name in names:
        run("ansible-playbook", "--syntax-check", "-i", "localhost,", f"accel.gpu.{name}")
    problems = [] if "site" in names else ["the playbook accel.gpu.site was not installed"]
    return verdict(f"syntax of {len(names)} playbooks by their full names", problems)


if __name__ == "__main__":
    sys.exit(main())
