# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measured figures of the collection: bench.py [--runs N] [--check].

Printed, never asserted, but for one: `--check` fails when a no-change site.yml needs more remote tasks a host than
budget.yml allows, because a count does not depend on the machine. Times are medians; compare the ratio with ping.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

from budget import limits, over, remote_tasks
from figures import nvml_calls, planning_seconds

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "lab"
SCENARIO = "bench"
LAB = [sys.executable, str(ROOT / "tests" / "lab" / "lab.py")]
PING = """\
---
- name: Ping
  hosts: gpu_nodes
  gather_facts: false
  tasks:
    - name: Ping
      ansible.builtin.ping:
"""


class Run(t.NamedTuple):
    wall: float
    cpu: float
    lines: t.List[t.Dict[str, t.Any]]


def playbook(path: pathlib.Path, steps: pathlib.Path) -> Run:
    """Run one playbook on the bench's nodes; CPU is the controller's, all its workers counted."""
    shutil.rmtree(steps, ignore_errors=True)
    environment = {
        **os.environ,
        "ACCEL_STEPS_DIR": str(steps),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "steps" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "record",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    command = ["ansible-playbook", "-i", str(INVENTORY), "-e", f"lab_scenario={SCENARIO}", str(path)]
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
        status, usage = os.wait4(process.pid, 0)[1:]
        if status != 0:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read().decode()}")
    wall = time.monotonic() - started
    (record,) = steps.glob("*.jsonl")
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    return Run(wall, usage.ru_utime + usage.ru_stime, lines)


def hosts_of(run: Run) -> t.List[str]:
    return sorted({line["host"] for line in run.lines if line["kind"] == "module"})


def report(name: str, runs: t.List[Run], hosts: int) -> t.Tuple[float, float]:
    wall = statistics.median(run.wall for run in runs) / hosts
    cpu = statistics.median(run.cpu for run in runs) / hosts
    print(f"  {name:<22} {wall:7.2f} s wall   {cpu:7.2f} s controller CPU   a host, median of {len(runs)}")
    return wall, cpu


def measure(count: int) -> t.List[str]:
    """Print everything; answer the breaches of the budget."""
    with tempfile.TemporaryDirectory() as folder:
        ping = pathlib.Path(folder) / "ping.yml"
        ping.write_text(PING)
        steps = pathlib.Path(folder) / "steps"
        site = ROOT / "playbooks" / "site.yml"
        playbook(site, steps)  # brings the nodes to their geometry
        sites, pings = [], []
        for _round in range(count):
            sites.append(playbook(site, steps))
            pings.append(playbook(ping, steps))
    changed = [line for line in sites[0].lines if line["kind"] == "result" and line["changed"]]
    if changed:
        sys.exit(f"this is not a no-change run: {changed[0]['host']}: {changed[0]['task']} changed something")
    hosts = hosts_of(sites[0])
    print(f"no-change site.yml on {len(hosts)} nodes, beside a one-task ping playbook on the same nodes:")
    wall, cpu = report("site.yml", sites, len(hosts))
    wall_ping, cpu_ping = report("ping", pings, len(hosts))
    print(f"  ratio                  {wall / wall_ping:7.2f}          {cpu / cpu_ping:7.2f}")
    counts = remote_tasks(sites[0].lines)
    print("remote tasks a host (hidden calls counted), by role:")
    for host, roles in sorted(counts.items()):
        print(f"  {host:<22} {sum(roles.values())} = " + " + ".join(f"{role} {n}" for role, n in sorted(roles.items())))
    print(f"  budget                 {sum(limits().values())} = " + " + ".join(f"{r} {n}" for r, n in limits().items()))
    return list(over(counts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="fail when budget.yml is exceeded")
    arguments = parser.parse_args()
    os.environ["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(LAB + ["up", "--scenario", SCENARIO, "--inventory", str(INVENTORY)], check=True)
    try:
        breaches = measure(arguments.runs)
    finally:
        subprocess.run(LAB + ["down", "--scenario", SCENARIO], check=True)
    print("module payloads (what travels to a node in one call, as ansible-core packs it):", flush=True)
    subprocess.run([sys.executable, str(pathlib.Path(__file__).parent / "payloads.py")], check=True)
    print("planning, 8 GPUs, mixed changes:")
    print(f"  plan()                 {planning_seconds() * 1000:7.1f} ms, best of 5")
    print("no-change mig_geometry on one node with 8 GPUs:")
    for line in nvml_calls():
        print(f"  {line}")
    subprocess.run([sys.executable, str(pathlib.Path(__file__).parent / "upgrade.py")], check=True)
    for breach in breaches:
        print(f"over budget: {breach}")
    return 1 if breaches and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
