# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long driver_upgrade.yml takes a node from drained to verified, where the modules need not be built.

    upgrade.py [--hosts N]

Ubuntu's own archive in the lab has precompiled modules. The nodes are as site.yml leaves them.
Printed, never asserted: run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = "bench_upgrade"
LAB = [sys.executable, str(ROOT / "tests" / "lab" / "lab.py")]
OLD, NEW = "580", "595"
PROMISED = 15  # seconds a node
# Everything between the end of the drain and the end of the verification.
PHASES = ("install", "build", "reload", "reapply", "fabric", "verify")


def inventory(hosts: int, folder: pathlib.Path) -> t.Dict[str, t.Any]:
    names = [f"node{number}" for number in range(hosts)]
    return {
        "all": {
            "vars": {
                "ansible_connection": "community.docker.docker",
                "ansible_host": f"accel-{SCENARIO}-{{{{ inventory_hostname }}}}",
                "ansible_python_interpreter": "/usr/bin/python3",
                "lab_image": "driver",
                "lab_os": "ubuntu2404",
                "lab_state": "no_driver",
                "lab_boards": ["a100-80gb"],
                "accel_gpu_expected": {"count": 1},
                "accel_gpu_results": str(folder),
                "gpu_driver_source": "distribution",
                "gpu_driver_modules": "precompiled",
                "gpu_driver_branch": NEW,
                # one after the other: a node's time is not that of its neighbours
                "gpu_driver_upgrade": {"serial": 1},
            },
            "children": {"gpu_nodes": {"hosts": dict.fromkeys(names)}},
        }
    }


def play(*arguments: str) -> None:
    command = ["ansible-playbook", *arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def measure(folder: pathlib.Path, hosts: int) -> t.List[t.Dict[str, t.Any]]:
    """The rows of the upgrade's report."""
    nodes = folder / "inventory.json"
    nodes.write_text(json.dumps(inventory(hosts, folder)))
    subprocess.run([*LAB, "up", "--scenario", SCENARIO, "--inventory", str(nodes)], check=True)
    try:
        play("-i", str(nodes), "-e", f"gpu_driver_branch={OLD}", str(ROOT / "playbooks" / "site.yml"))
        play("-i", str(nodes), "-e", "gpu_driver_upgrade_run=bench", str(ROOT / "playbooks" / "driver_upgrade.yml"))
    finally:
        subprocess.run([*LAB, "down", "--scenario", SCENARIO], check=True)
    return t.cast("list[dict[str, t.Any]]", json.loads((folder / "driver_upgrade" / "bench.json").read_text())["hosts"])


def told(row: t.Mapping[str, t.Any]) -> str:
    """One line about a node."""
    if row["result"] != "done":
        return f"  {row['host']:<8} {row['result']}: {row['why']}"
    parts = {phase: row["seconds"][phase] for phase in PHASES if phase in row["seconds"]}
    words = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in parts.items())
    return f"  {row['host']:<8} {sum(parts.values()):6.1f} s drained to verified ({words}); promised {PROMISED} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(pathlib.Path(folder), arguments.hosts)
    load = os.getloadavg()[0]
    print(f"driver_upgrade.yml, {OLD} to {NEW} with precompiled modules, load of this machine {load:.1f}:")
    for row in rows:
        print(told(row))
    return 0 if all(row["result"] == "done" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
