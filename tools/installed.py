# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo as a user of the archive has it: `accel.gpu.site` of the installed collection, on fresh simulated nodes.

check, run, run, check; the judge of the scenarios then says whether the first check foretold the run and whether the
later steps were quiet. `make package` has installed the archive in .build/package/installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "steps"))
import judge  # noqa: E402  # after its folder is on the path

INSTALLED = ROOT / ".build" / "package" / "installed"
INVENTORY = ROOT / "inventories" / "lab"
SCENARIO = "installed"
STEPS = ROOT / ".build" / "steps" / SCENARIO
BIN = Path(sys.executable).parent


def lab(*words: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "tests" / "lab" / "lab.py"), *words], check=True)


def environment() -> dict[str, str]:
    """Nothing of the checkout but the recorder: its ansible.cfg and its plugins are out of reach."""
    places = [str(INSTALLED), str(ROOT / ".venv" / "collections")]
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(places),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "steps" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "record",
        "ANSIBLE_DIFF_ALWAYS": "true",
        "ANSIBLE_PIPELINING": "true",
        "ACCEL_STEPS_DIR": str(STEPS),
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
    }
    inherited = {name: value for name, value in os.environ.items() if name != "ANSIBLE_CONFIG"}
    return {**inherited, **settings}


def play(*words: str) -> bool:
    started = time.monotonic()
    command = ["ansible-playbook", "accel.gpu.site", "-i", str(INVENTORY), "-e", f"lab_scenario={SCENARIO}", *words]
    done = subprocess.run(command, cwd=INSTALLED, env=environment(), capture_output=True, text=True, check=False)
    what = "check" if words else "run"
    print(f"installed: {what} of accel.gpu.site ended with {done.returncode} after {time.monotonic() - started:.0f} s")
    if done.returncode:
        print(done.stdout[-6000:] + done.stderr[-3000:])
    return done.returncode == 0


def main() -> int:
    if not (INSTALLED / "ansible_collections" / "accel" / "gpu" / "MANIFEST.json").is_file():
        sys.exit("installed: FAILED, no archive is installed; run make package first")
    shutil.rmtree(STEPS, ignore_errors=True)
    lab("down", "--scenario", SCENARIO)
    try:
        lab("up", "--scenario", SCENARIO, "--inventory", str(INVENTORY))
        ended_well = [play("--check"), play(), play(), play("--check")]
    finally:
        lab("down", "--scenario", SCENARIO)
    problems = judge.judge(STEPS, playbook="site")
    for problem in problems:
        print(f"installed: {problem}")
    fine = all(ended_well) and not problems
    print(f"installed: check, run, run, check of the installed collection {'passed' if fine else 'FAILED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
