# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sanity, unit tests and the demo under the oldest ansible-core that is admitted and under the newest release.

A part of `make test-full`: the pinned ansible-core of .venv is what everything else runs under. Each gets an
environment of its own in .build/cores, with the checkout linked into it. `make package` has made the installed copy
from which the demo is played.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import installed

ROOT = installed.ROOT
BUILD = ROOT / ".build" / "cores"
SCENARIO = "cores"
# (name, what pip is asked for, words for sanity). Without a version pip takes the newest release that this interpreter
# can run. pep8 of 2.18 forbids bodies such as `...` on the line of their def (E704), as the formatter writes them;
# ansible-test has admitted them since, and the newest judges the same files by pep8.
CORES = (
    ("oldest", f"ansible-core=={installed.OLDEST}.*", ("--skip-test", "pep8")),
    ("newest", "ansible-core", ()),
)
# What the unit tests import, in the versions of the development environment.
TOOLS = ("pytest", "hypothesis", "nvidia-ml-py", "grpcio", "PyYAML", "docker", "requests")


def requirements() -> list[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    return [line for line in groups["dev"] if re.split("[=<>~]", line)[0] in TOOLS]


def environment_for(name: str, core: str) -> Path:
    """The folder of an environment with that ansible-core, made anew each time: `newest` is another one tomorrow."""
    folder = BUILD / name
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, core, *requirements()], check=True)
    places = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(
        subprocess.run([str(python), "-c", places], check=True, capture_output=True, text=True).stdout.strip()
    )
    collections = packages / "ansible_collections"
    # The checkout itself, and the collections that the lab needs from the development environment.
    for source, link in ((ROOT, "accel/gpu"), *((path, path.name) for path in others())):
        (collections / link).parent.mkdir(parents=True, exist_ok=True)
        (collections / link).symlink_to(source)
    (folder / "collections").mkdir()
    (folder / "collections" / "ansible_collections").symlink_to(collections)
    return folder


def others() -> list[Path]:
    found = (ROOT / ".venv" / "collections" / "ansible_collections").resolve().iterdir()
    return sorted(path for path in found if path.is_dir() and path.name != "accel")


def settings_for(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
    collections = str(folder / "collections")
    return {**os.environ, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": collections, "SANITY_BUILD": str(folder / "sanity")}


def version_of(folder: Path) -> str:
    command = [str(folder / "bin" / "ansible"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]


def sanity_and_units(folder: Path, words: tuple[str, ...]) -> list[tuple[str, bool]]:
    """ansible-test names the file of exceptions after its own version; one without such a file has none."""
    python, settings = str(folder / "bin" / "python"), settings_for(folder)
    commands = {
        "sanity": ["tools/sanity.py", *words],
        "unit tests": ["-m", "pytest", "-q", "tests/unit"],
        # Templates of the rolling upgrade without a node: what one version makes of a fact, another does not.
        "rolling upgrade": ["-m", "pytest", "-q", "tests/lab/tests/test_upgrade_report.py"],
    }
    return [
        (what, subprocess.run([python, *command], cwd=ROOT, env=settings, check=False).returncode == 0)
        for what, command in commands.items()
    ]


def demo(name: str, folder: Path) -> bool:
    """check, run, run, check on fresh nodes, judged as the scenarios are."""
    steps = BUILD / f"steps-{name}"
    shutil.rmtree(steps, ignore_errors=True)
    variables = {
        **installed.environment(),
        "PATH": settings_for(folder)["PATH"],
        "ACCEL_STEPS_DIR": str(steps),
    }
    installed.lab("down", "--scenario", SCENARIO)
    try:
        installed.lab("up", "--scenario", SCENARIO, "--inventory", str(installed.INVENTORY))
        words = ("-e", f"lab_scenario={SCENARIO}")
        ended_well = [
            installed.play(*words, *check, variables=variables) for check in (("--check",), (), (), ("--check",))
        ]
        problems = installed.judge.judge(steps, playbook="site")
    finally:
        installed.lab("down", "--scenario", SCENARIO)
    for problem in problems:
        print(f"cores: {problem}")
    return all(ended_well) and not problems


def main() -> int:
    verdicts = []
    for name, core, words in CORES:
        if name == "oldest" and sys.version_info >= (3, 14):
            print(f"cores: {core} left out, it does not run on Python 3.14 or newer", flush=True)
            continue
        folder = environment_for(name, core)
        version = version_of(folder)
        print(f"cores: {name} is {version}", flush=True)
        for what, fine in [*sanity_and_units(folder, words), ("demo", demo(name, folder))]:
            print(f"cores: {what} under {version} {'passed' if fine else 'FAILED'}", flush=True)
            verdicts.append(fine)
    return 0 if verdicts and all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
