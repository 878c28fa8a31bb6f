# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves the floor and the ceiling of the nodes: unit tests and one module on the oldest and the newest Python.

Uses interpreters that really start here and says which. Each gets a small environment
with pytest alone: without Ansible, as a node is. tests/unit/conftest.py leaves out what needs Ansible.
Stage unit has run the same tests on the control node's Python: only FULL=1 runs them on that version again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import interpreters

ROOT = interpreters.ROOT
BUILD = ROOT / ".build" / "pythons"
# The newest that still run on Python 3.9; newer interpreters take the same, so that all are judged alike.
REQUIREMENTS = ("pytest==8.4.2", "hypothesis==6.141.1", "PyYAML==6.0.3")


def choose(found: dict[str, Path]) -> dict[str, Path]:
    """The oldest and the newest that start; all of them with FULL=1."""
    if os.environ.get("FULL"):
        return found
    ordered = [version for version in interpreters.wanted_versions() if version in found]
    return {version: found[version] for version in dict.fromkeys((ordered[0], ordered[-1]))}


def environment_for(version: str, interpreter: Path) -> Path:
    """Python of a small environment; made again when the interpreter or the requirements change."""
    folder = BUILD / version
    stamp, inputs = folder / "stamp", json.dumps([str(interpreter), REQUIREMENTS])
    python = folder / "bin" / "python"
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == inputs):
        print(f"pythons: making an environment for {version}", flush=True)
        subprocess.run([str(interpreter), "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, *REQUIREMENTS], check=True)
        stamp.write_text(inputs, encoding="utf-8")
    return python


def of_the_control_node(version: str) -> bool:
    return version == ".".join(str(part) for part in sys.version_info[:2])


def unit_tests(version: str, python: Path) -> bool:
    selection = [] if os.environ.get("FULL") else ["-m", "not full"]
    command = [str(python), "-m", "pytest", "-q", *selection, "tests/unit"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "collections"), "PYTHONDONTWRITEBYTECODE": "1"}
    print(f"pythons: unit tests on Python {version}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def module(version: str, interpreter: Path) -> bool:
    """gpu_info through Ansible with that interpreter as the node's, on the simulated library."""
    state = BUILD / f"state-{version}"
    library = ROOT / ".build" / "gpusim"
    node = {**os.environ, "GPUSIM_STATE": str(state), "LD_LIBRARY_PATH": str(library)}
    node["ANSIBLE_LOCALHOST_WARNING"] = node["ANSIBLE_INVENTORY_UNPARSED_WARNING"] = "false"
    simulate = [sys.executable, str(ROOT / "tests/lab/gpusim/cli/gpusim"), "init", "--boards", "a100-80gb"]
    ansible = [str(Path(sys.executable).parent / "ansible"), "localhost", "-i", "localhost,", "-c", "local"]
    ansible += ["-m", "accel.gpu.gpu_info", "-e", f"ansible_python_interpreter={interpreter}"]
    for command in (simulate, ansible):
        done = subprocess.run(command, cwd=ROOT, env=node, check=False, capture_output=True, text=True)
        if done.returncode:
            break
    fine = done.returncode == 0 and "A100-SXM4-80GB" in done.stdout
    if not fine:
        print(done.stdout + done.stderr)
    print(f"pythons: gpu_info on Python {version} {'passed' if fine else 'FAILED'}", flush=True)
    return fine


def main() -> int:
    found = choose(interpreters.find_all())
    print("pythons: on " + ", ".join(f"{version} ({path})" for version, path in found.items()), flush=True)
    wanted = interpreters.wanted_versions()
    for version in (wanted[0], wanted[-1]):
        if version not in found:
            print(f"pythons: no interpreter of {version} starts here; it is not proven by this run", flush=True)
    verdicts = []
    for version, interpreter in found.items():
        if os.environ.get("FULL") or not of_the_control_node(version):
            verdicts.append(unit_tests(version, environment_for(version, interpreter)))
        else:
            print(f"pythons: the unit tests on Python {version} are stage unit", flush=True)
        verdicts.append(module(version, interpreter))
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
