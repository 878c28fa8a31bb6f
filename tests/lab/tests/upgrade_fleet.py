# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulated nodes under playbook driver_upgrade, with a stand-in for the driver's packages or with real ones."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from labctl.inventory import DEFAULT_DRIVER
from simulated import Node

ROOT = Path(__file__).resolve().parents[3]
OLD, NEW, NEWER, NEWEST = DEFAULT_DRIVER, "590.48.01", "595.71.05", "610.43.02"
# The genuine role on a node whose driver comes from the lab's packages.
MIRROR = {
    "gpu_driver_source": "mirror",
    "gpu_driver_mirror": {
        "url": "http://127.0.0.1:8099/nvidia",
        "key": str(ROOT / "inventories" / "files" / "lab-mirror.asc"),
        "fingerprint": "5CBC8C480E25A83D6FCD3AEFCC9156D6527F1A80",
    },
}
# Else each call that role gpu_driver makes is one of a stand-in of its module, with these of its variables.
STANDIN = {
    "name": "Stand in for the driver's packages",
    "standin_driver": {
        "state": "{{ gpu_driver_state }}",
        "version": "{{ gpu_driver_version }}",
        "download_only": "{{ gpu_driver_download_only }}",
        "change_loaded": "{{ gpu_driver_change_loaded }}",
        "keep_geometry": "{{ __gpu_driver_keep_geometry | default(false) }}",
        "run": "{{ gpu_driver_run | default(omit, true) }}",
        "restore_runs": "{{ gpu_driver_restore_runs | default(omit, true) }}",
    },
    "become": True,
    "register": "__gpu_driver_result",
}
# A site's own scheduler on the control node, in a folder for each node. Beside the reason there may be "work" (who
# still works), "mute" (nothing can be put back), "hook" (a script that runs once the node is drained), "vanish" and
# "leave" (the node is "gone" once it is drained, or serves again).
PROGRAM = """#!/bin/sh
mkdir -p "$1" && cd "$1" || exit 1
case $2 in
status)
    if [ ! -s reason ]; then echo in_service
    elif [ -e work ]; then echo draining; cat reason work
    else echo drained; cat reason
    fi ;;
drain)
    echo "$4" > reason; [ ! -e vanish ] || touch gone
    [ ! -e hook ] || sh ./hook ;;
undrain)
    [ ! -e mute ] || { echo 'the scheduler is away' >&2; exit 1; }
    rm reason; [ ! -e leave ] || touch gone ;;
esac
"""


def reason(run: str, note: str) -> str:
    """As the playbook leaves it in a scheduler."""
    return f"accel.gpu driver_upgrade {run}: {note}"


class Told(t.NamedTuple):
    """What a run of the playbook said and left behind."""

    status: int
    text: str
    report: dict[str, dict[str, t.Any]]

    def results(self) -> dict[str, str]:
        return {host: row["result"] for host, row in self.report.items()}


@dataclasses.dataclass(frozen=True)
class UpgradeNode(Node):
    def driver(self) -> tuple[str, str]:
        """(loaded, library)"""
        library = self.out("basename /usr/lib/*-linux-gnu/libnvidia-ml.so.*.*").partition(".so.")[2]
        return self.out("cat /sys/module/nvidia/version 2>/dev/null || true"), library

    def wrong(self, what: str) -> None:
        """What goes wrong from now on, see the stand-in."""
        self.out(f"mkdir -p /etc/accel-lab; echo '{what}' > /etc/accel-lab/standin; gpusim set 0 lost 0")

    def slurm(self) -> str:
        """As in "IDLE+DRAIN|why"."""
        text = self.out(f"scontrol --oneliner show node {self.host}")
        why = text.partition(" Reason=")[2].partition(" [")[0]
        return f"{text.partition(' State=')[2].split()[0].replace('+NOT_RESPONDING', '')}|{why}"


def idle(*nodes: UpgradeNode) -> None:
    """Waits until Slurm gives each of them work."""
    for node in nodes:
        deadline = time.monotonic() + 20
        while node.slurm() != "IDLE|" and time.monotonic() < deadline:
            time.sleep(0.2)
        assert node.slurm() == "IDLE|"


class Fleet:
    """The nodes, and the playbook on some of them. `own` are further variables by host; "" means all."""

    def __init__(self, folder: Path, scenario: str, standin: bool = True) -> None:
        self.folder = folder
        self.scenario = scenario
        role = folder / "roles" / "standin_driver"
        shutil.copytree(ROOT / "roles" / "gpu_driver", role, ignore=shutil.ignore_patterns("meta"))
        (role / "tasks" / "driver.yml").write_text(json.dumps([STANDIN]))
        self.program = folder / "program"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        self.role = {"__upgrade_role": "standin_driver"} if standin else MIRROR
        self.own: dict[str, dict[str, t.Any]] = {}

    def node(self, host: str) -> UpgradeNode:
        return UpgradeNode(host, scenario=self.scenario)

    def site_scheduler(self, host: str) -> dict[str, t.Any]:
        """Variables that let the site's own program drain the host; its folder is `kept(host)`."""
        return {
            "accel_gpu_scheduler": "command",
            "accel_gpu_drain_command": [str(self.program), str(self.kept(host))],
            "accel_gpu_drain_host": "localhost",
            "accel_gpu_drain_become": False,
        }

    def kept(self, host: str) -> Path:
        folder = self.folder / "scheduler" / host
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def reason(self, host: str) -> str:
        """Why the site's own scheduler gives the host no work, empty where it does."""
        file = self.kept(host) / "reason"
        return file.read_text().strip() if file.exists() else ""

    def variables(self, host: str) -> dict[str, t.Any]:
        return {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self.node(host).name,
            "ansible_python_interpreter": "/usr/bin/python3",
            "accel_gpu_expected": {"count": 1},
            **self.role,
            **self.own.get("", {}),
            **self.own.get(host, {}),
        }

    def start(self, hosts: str, run: str, *flags: str, version: str = NEW, **rolling: t.Any) -> subprocess.Popen[str]:
        """In a session of its own, see `kill`."""
        rolling = {"drain_poll": 1, "drain_timeout": 40, **rolling}
        known = {
            host: {"gpu_driver_version": version, **self.variables(host), "gpu_driver_upgrade": rolling}
            for host in hosts.split()
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"children": {"gpu_nodes": {"hosts": known}}}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(self.folder / "roles"),
            "ANSIBLE_LIBRARY": str(ROOT / "tests" / "lab" / "standin"),
            "ANSIBLE_NOCOLOR": "1",
            "PWD": str(self.folder),
        }
        env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
        playbook = str(ROOT / "playbooks" / "driver_upgrade.yml")
        argv = [program, "-i", str(inventory), playbook, "-e", f"gpu_driver_upgrade_run={run}", *flags]
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def upgrade(self, hosts: str, run: str, *flags: str, version: str = NEW, **rolling: t.Any) -> Told:
        with self.start(hosts, run, *flags, version=version, **rolling) as playbook:
            try:
                text = playbook.communicate(timeout=900)[0]
            except BaseException:
                kill(playbook)
                raise
        return Told(playbook.returncode, text, self.report(run))

    def report(self, run: str) -> dict[str, dict[str, t.Any]]:
        kept = self.folder / "results" / "driver_upgrade" / f"{run}.json"
        rows = json.loads(kept.read_text())["hosts"] if kept.exists() else []
        return {row["host"]: row for row in rows}


def kill(playbook: subprocess.Popen[str]) -> None:
    """As where the control node dies: the playbook and all that it started here."""
    os.killpg(playbook.pid, signal.SIGKILL)
    playbook.communicate()


def wait_for(condition: t.Callable[[], bool], what: str, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.2)
