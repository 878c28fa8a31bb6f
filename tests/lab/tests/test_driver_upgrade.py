# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbook driver_upgrade on simulated nodes with a real Slurm. The driver's packages are a stand-in here."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import DEFAULT_DRIVER, NodeSpec
from simulated import Node

SCENARIO = f"upgradetest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SLURM = ("munge.service", "real-slurmctld.service", "real-slurmd.service")
SPECS = (
    NodeSpec("good", ("a100-80gb",), units=SLURM),
    NodeSpec("sick", ("a100-80gb",), units=SLURM),
    NodeSpec("taken", ("a30-24gb",), units=SLURM),
    NodeSpec("busy", ("a30-24gb",)),
)
ROOT = Path(__file__).resolve().parents[3]
OLD, NEW, NEWER, NEWEST = DEFAULT_DRIVER, "590.48.01", "595.71.05", "610.43.02"
# What role gpu_driver is: one call of its module, with these of its variables.
STANDIN = {
    "name": "Stand in for the driver's packages",
    "standin_driver": {
        "state": "{{ gpu_driver_state | default('present') }}",
        "version": "{{ gpu_driver_version }}",
        "download_only": "{{ gpu_driver_download_only | default(false) }}",
        "change_loaded": "{{ gpu_driver_change_loaded | default(false) }}",
    },
    "become": True,
    "register": "__gpu_driver_result",
}
# A site's own scheduler on the control node, in a file. With "vanish" beside it a drained node is "gone", with "leave"
# one that serves again.
PROGRAM = """#!/bin/sh
cd "$1" || exit 1
case $2 in
status) if [ -s reason ]; then echo drained; cat reason; else echo in_service; fi ;;
drain) echo "$4" > reason; [ ! -e vanish ] || touch gone ;;
undrain) rm reason; [ ! -e leave ] || touch gone ;;
esac
"""
MIG = {"mig_geometry": [{"gpus": "all", "instances": {"1g.10gb": 7}}]}


class Told(t.NamedTuple):
    """What a run of the playbook said and left behind."""

    status: int
    text: str
    report: dict[str, dict[str, t.Any]]

    def results(self) -> dict[str, str]:
        return {host: row["result"] for host, row in self.report.items()}


@dataclasses.dataclass(frozen=True)
class UpgradeNode(Node):
    @property
    def name(self) -> str:
        return nodes.container_name(SCENARIO, self.host)

    def driver(self) -> tuple[str, str]:
        """(loaded, library)"""
        library = self.out("basename /usr/lib/*-linux-gnu/libnvidia-ml.so.*.*").partition(".so.")[2]
        return self.out("cat /sys/module/nvidia/version"), library

    def wrong(self, what: str) -> None:
        self.out(f"mkdir -p /etc/accel-lab; echo '{what}' > /etc/accel-lab/standin; gpusim set 0 lost 0")

    def slurm(self) -> str:
        """As in "IDLE+DRAIN|why"."""
        text = self.out(f"scontrol --oneliner show node {self.host}")
        reason = text.partition(" Reason=")[2].partition(" [")[0]
        return f"{text.partition(' State=')[2].split()[0].replace('+NOT_RESPONDING', '')}|{reason}"


class Fleet:
    """The nodes, and the playbook on some of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tasks = folder / "roles" / "standin_driver" / "tasks"
        tasks.mkdir(parents=True)
        (tasks / "main.yml").write_text(json.dumps([STANDIN]))
        self.own: dict[str, t.Any] = {}
        self.good, self.sick, self.taken, self.busy = (UpgradeNode(spec.host) for spec in SPECS)

    def variables(self, host: str) -> dict[str, t.Any]:
        node = UpgradeNode(host)
        scheduler = "none" if host == "busy" else "slurm"
        return {
            "ansible_connection": "community.docker.docker",
            "ansible_host": node.name,
            "ansible_python_interpreter": "/usr/bin/python3",
            "accel_gpu_expected": {"count": 1},
            "accel_gpu_scheduler": scheduler,
            "__upgrade_role": "standin_driver",
            **(MIG if host == "good" else {}),
            **self.own,
        }

    def upgrade(self, hosts: str, run: str, *flags: str, version: str = NEW, **rolling: t.Any) -> Told:
        rolling = {"drain_poll": 1, "drain_timeout": 40, **rolling}
        known = {
            host: {**self.variables(host), "gpu_driver_version": version, "gpu_driver_upgrade": rolling}
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
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
        kept = self.folder / "results" / "driver_upgrade" / f"{run}.json"
        rows = json.loads(kept.read_text())["hosts"] if kept.exists() else []
        return Told(done.returncode, done.stdout + done.stderr, {row["host"]: row for row in rows})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    nodes.up(SCENARIO, SPECS, image.ensure())
    yield Fleet(tmp_path_factory.mktemp("fleet"))
    nodes.down(SCENARIO)


def idle(node: UpgradeNode) -> None:
    deadline = time.monotonic() + 20
    while node.slurm() != "IDLE|" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert node.slurm() == "IDLE|"


@pytest.mark.full
def test_check_mode_foretells_and_touches_nothing(fleet: Fleet) -> None:
    idle(fleet.good)
    told = fleet.upgrade("good busy", "foretold", "--check")
    assert told.status == 0, told.text
    assert "planned" in told.text
    assert (fleet.good.driver(), fleet.busy.driver()) == ((OLD, OLD), (OLD, OLD))
    assert fleet.good.slurm() == "IDLE|"
    assert told.report == {}


@pytest.mark.full
def test_each_node_comes_out_as_it_should(fleet: Fleet) -> None:
    for node in (fleet.good, fleet.sick, fleet.taken):
        idle(node)
    fleet.sick.wrong("dead")
    fleet.taken.out("scontrol update NodeName=taken State=DRAIN Reason='bad dimm'")
    work = fleet.busy.out("gpusim occupy 0 --spawn | tee /tmp/work").split()[-1]
    fleet.good.out("cd /tmp && sbatch --output /dev/null --wrap 'exec sleep 8'")
    told = fleet.upgrade("good sick taken busy", "first", serial="100%", max_failures=1)
    assert told.status == 2, told.text
    assert told.results() == {
        "good": "done",
        "sick": "failed_restored",
        "taken": "foreign_drain",
        "busy": "busy",
    }, told.text
    assert "1 of 4 hosts failed: sick" in told.text
    # The job ended by itself before the driver changed, and the node serves again with its geometry.
    assert "JobState=COMPLETED" in fleet.good.out("scontrol --oneliner show job")
    assert told.report["good"]["seconds"]["drain"] > 1
    assert (fleet.good.driver(), fleet.good.slurm()) == ((NEW, NEW), "IDLE|")
    assert [one["profile"] for one in fleet.good.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    # What failed has its old driver and stays out of service.
    assert fleet.sick.driver() == (OLD, OLD)
    assert fleet.sick.slurm() == "IDLE+DRAIN|accel.gpu driver_upgrade first: upgrade failed, the old driver is back"
    assert (told.report["sick"]["drained"], told.report["sick"]["from"], told.report["sick"]["to"]) == (True, OLD, NEW)
    assert (fleet.taken.driver(), fleet.taken.slurm()) == ((OLD, OLD), "IDLE+DRAIN|bad dimm")
    assert told.report["taken"]["why"] == "drained: bad dimm"
    assert fleet.busy.driver() == (OLD, OLD)
    assert fleet.busy.out(f"ps -o pid= -p {work}").split() == [work]


@pytest.mark.full
def test_a_run_after_it_goes_on_where_it_stopped(fleet: Fleet) -> None:
    fleet.sick.wrong("")
    fleet.busy.out("gpusim release 0 --pid $(cat /tmp/work)")
    told = fleet.upgrade("good sick taken busy", "second", serial="100%")
    assert told.results() == {"good": "already", "sick": "done", "taken": "foreign_drain", "busy": "done"}, told.text
    assert told.status == 0
    assert (fleet.sick.driver(), fleet.sick.slurm()) == ((NEW, NEW), "IDLE|")
    assert fleet.busy.driver() == (NEW, NEW)
    assert fleet.taken.slurm() == "IDLE+DRAIN|bad dimm"


@pytest.mark.full
def test_the_run_stops_at_its_limit(fleet: Fleet) -> None:
    fleet.sick.wrong("install")
    told = fleet.upgrade("sick good busy", "third", version=NEWER, serial=1)
    assert told.status == 2, told.text
    assert told.results() == {"sick": "failed_restored", "good": "not_started", "busy": "not_started"}, told.text
    assert told.report["good"]["why"] == "1 failed (sick), and max_failures is 0"
    assert fleet.sick.slurm() == "IDLE+DRAIN|accel.gpu driver_upgrade third: upgrade failed, the old driver is back"
    assert (fleet.good.driver(), fleet.good.slurm()) == ((NEW, NEW), "IDLE|")


@pytest.mark.full
def test_a_way_back_that_fails_is_told(fleet: Fleet) -> None:
    fleet.sick.wrong("stuck")
    told = fleet.upgrade("sick", "fourth", version=NEWER)
    assert told.results() == {"sick": "failed"}, told.text
    assert "; and the way back failed: gpu_driver: the old packages cannot be had" in told.report["sick"]["why"]
    assert fleet.sick.slurm() == "IDLE+DRAIN|accel.gpu driver_upgrade fourth: upgrade failed"


@pytest.mark.full
def test_a_node_that_vanishes_is_told_and_its_drain_stays(fleet: Fleet, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    gone = tmp_path / "gone"
    fleet.own = {
        "accel_gpu_scheduler": "command",
        "accel_gpu_drain_command": [str(program), str(tmp_path)],
        "accel_gpu_drain_host": "localhost",
        "accel_gpu_drain_become": False,
        # Where it is gone nobody listens.
        "ansible_connection": f"{{{{ 'ssh' if '{gone}' is exists else 'community.docker.docker' }}}}",
        "ansible_host": f"{{{{ '127.0.0.1' if '{gone}' is exists else '{fleet.busy.name}' }}}}",
        "ansible_port": 1,
    }
    (tmp_path / "vanish").touch()
    told = fleet.upgrade("busy", "vanished", version=NEWEST)
    assert told.status == 2, told.text
    assert told.results() == {"busy": "unreachable"}, told.text
    assert told.report["busy"]["drained"] is True
    assert "Connection refused" in told.report["busy"]["why"]
    assert set(told.report["busy"]["seconds"]) <= {"download", "drain"}
    assert (tmp_path / "reason").read_text() == "accel.gpu driver_upgrade vanished: upgrade failed\n"
    # It is back, and so is the run.
    (tmp_path / "vanish").unlink()
    gone.unlink()
    told = fleet.upgrade("busy", "again", version=NEWEST)
    assert told.results() == {"busy": "done"}, told.text
    assert fleet.busy.driver() == (NEWEST, NEWEST)
    assert not (tmp_path / "reason").exists()
    # The last look at a node that serves again is a look at it.
    (tmp_path / "leave").touch()
    told = fleet.upgrade("busy", "left", version=NEWER)
    fleet.own = {}
    assert told.results() == {"busy": "unreachable"}, told.text
    assert (tmp_path / "reason").read_text() == "accel.gpu driver_upgrade left: upgrade failed\n"


def test_a_wrong_variable_stops_before_any_host(fleet: Fleet) -> None:
    told = fleet.upgrade("good busy", "fifth", serial="0%")
    assert told.status == 2
    assert 'good: gpu_driver_upgrade.serial: "0%" is no size of a batch' in told.text.replace("\\", "")
    assert "Look |" not in told.text
