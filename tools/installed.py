# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo as a user of the archive has it: `accel.gpu.site` of the installed collection, on fresh simulated nodes.

check, run, run, check; the judge of the scenarios then says whether the first check foretold the run and whether the
later steps were quiet. `make package` has installed the archive in .build/package/installed.

Last comes the oldest ansible-core that meta/runtime.yml allows: it resolves templates in another way than later ones.
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
OLDEST = "2.18"
OLDEST_ENV = ROOT / ".build" / f"ansible-core-{OLDEST}"
# Wishes as people write them, with dates without quotes.
DATED = """
accel_gpu_exceptions: [{gpu: GPU-5c1e, state: missing, reason: away, until: 2100-01-01}]
mig_geometry_host: [{gpus: {model: "*A100*"}, instances: {1g.10gb: 1}, reason: a course, until: 2100-01-01}]
gpu_settings_host: [{gpus: {index: 0}, ecc: true, reason: a course, until: 2100-01-01}]
"""


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


def play(*words: str, playbook: str = "site", variables: dict[str, str] | None = None) -> bool:
    started = time.monotonic()
    command = ["ansible-playbook", f"accel.gpu.{playbook}", "-i", str(INVENTORY), "-e", f"lab_scenario={SCENARIO}"]
    settings = variables or environment()
    done = subprocess.run([*command, *words], cwd=INSTALLED, env=settings, capture_output=True, text=True, check=False)
    what = "check" if "--check" in words else "run"
    seconds = time.monotonic() - started
    print(f"installed: {what} of accel.gpu.{playbook} ended with {done.returncode} after {seconds:.0f} s", flush=True)
    if done.returncode:
        print(done.stdout[-6000:] + done.stderr[-3000:])
    return done.returncode == 0


def oldest() -> bool:
    """The playbooks under the oldest ansible-core; true also where no interpreter here can run it."""
    if sys.version_info >= (3, 14):
        print(f"installed: ansible-core {OLDEST} left out: it does not run on Python 3.14 or newer")
        return True
    if not (OLDEST_ENV / "bin" / "ansible-playbook").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(OLDEST_ENV)], check=True)
        wanted = [f"ansible-core=={OLDEST}.*", "nvidia-ml-py"]
        subprocess.run([str(OLDEST_ENV / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted], check=True)
    settings = {**environment(), "PATH": os.pathsep.join([str(OLDEST_ENV / "bin"), os.environ.get("PATH", os.defpath)])}
    settings.pop("ANSIBLE_CALLBACKS_ENABLED")  # the judge has read its records by now
    dated, results = INSTALLED / "dated.yml", f"accel_gpu_results={INSTALLED / 'results'}"
    dated.write_text(DATED, encoding="utf-8")
    print(f"installed: now under ansible-core {OLDEST}", flush=True)
    return all(
        [
            play("-e", results, playbook="mig_backup", variables=settings),
            play("-e", f"@{dated}", variables=settings),
            play("-e", results, playbook="mig_restore", variables=settings),
            play("--check", variables=settings),
        ]
    )


def main() -> int:
    if not (INSTALLED / "ansible_collections" / "accel" / "gpu" / "MANIFEST.json").is_file():
        sys.exit("installed: FAILED, no archive is installed; run make package first")
    shutil.rmtree(STEPS, ignore_errors=True)
    lab("down", "--scenario", SCENARIO)
    try:
        lab("up", "--scenario", SCENARIO, "--inventory", str(INVENTORY))
        ended_well = [play("--check"), play(), play(), play("--check")]
        problems = judge.judge(STEPS, playbook="site")
        ended_well.append(oldest())
    finally:
        lab("down", "--scenario", SCENARIO)
    for problem in problems:
        print(f"installed: {problem}")
    fine = all(ended_well) and not problems
    print(f"installed: check, run, run, check of the installed collection {'passed' if fine else 'FAILED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
