# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_drain against a real slurmctld and slurmd, with a real job on the node."""

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
from labctl.inventory import NodeSpec
from simulated import Node

SCENARIO = f"draintest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SLURM = ("munge.service", "real-slurmctld.service", "real-slurmd.service")
SPEC = NodeSpec("slurm1", ("a100-80gb",), units=SLURM)
ROOT = Path(__file__).resolve().parents[3]
REASON = "accel.gpu run7: new driver"


@dataclasses.dataclass(frozen=True)
class SlurmNode(Node):
    """A node that is a Slurm cluster of its own. `folder` is where Ansible leaves its answer."""

    folder: Path

    @property
    def name(self) -> str:
        return nodes.container_name(SCENARIO, self.host)

    def drain(self, *flags: str, **options: t.Any) -> dict[str, t.Any]:
        """The answer of the module, run by Ansible."""
        arguments = {
            "provider": "slurm",
            "node": self.host,
            "run": "run7",
            "note": "new driver",
            "poll": 0.2,
            **options,
        }
        inventory = self.folder / "inventory.json"
        connection = {"ansible_connection": "community.docker.docker", "ansible_host": self.name}
        fixed = {**connection, "ansible_python_interpreter": "/usr/bin/python3"}
        inventory.write_text(json.dumps({"all": {"hosts": {self.host: fixed}}}))
        program = str(Path(sys.executable).with_name("ansible"))
        argv = [
            program,
            "-i",
            str(inventory),
            "all",
            "-m",
            "accel.gpu.gpu_drain",
            "-a",
            json.dumps(arguments),
            "-o",
            *flags,
        ]
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return t.cast("dict[str, t.Any]", json.loads(done.stdout.partition("=>")[2]))

    def start_job(self) -> str:
        """The PID of a job that runs until a test lets it end: no clock decides what is seen of it."""
        self.out("rm -f /tmp/end")
        wait = "while [ ! -e /tmp/end ]; do sleep 0.2; done"
        self.out(f"cd /tmp && sbatch --output /dev/null --gres gpu:1 --wrap '{wait}'")
        return self.wait_for("scontrol listpids 2>/dev/null | awk '$1 > 1 && $3 == \"batch\" {print $1; exit}'")

    def end_job(self, after: int) -> None:
        self.out(f"setsid sh -c 'sleep {after}; touch /tmp/end' >/dev/null 2>&1 </dev/null &")

    def wait_for(self, command: str) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            done = self.run(command)
            if done.returncode == 0 and done.stdout.strip():
                return done.stdout.strip()
            time.sleep(0.1)
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")

    def state(self) -> str:
        """As in "IDLE+DRAIN|why"."""
        text = self.out(f"scontrol --oneliner show node {self.host}")
        reason = text.partition(" Reason=")[2].partition(" [")[0]
        return f"{text.partition(' State=')[2].split()[0].replace('+NOT_RESPONDING', '')}|{reason}"


@pytest.fixture(scope="module")
def started() -> t.Iterator[None]:
    nodes.up(SCENARIO, [SPEC], image.ensure())
    yield
    nodes.down(SCENARIO)


@pytest.fixture
def node(started: None, tmp_path: Path) -> SlurmNode:
    one = SlurmNode(SPEC.host, tmp_path)
    one.wait_for("scontrol --oneliner show node slurm1 | grep -E ' State=(IDLE|MIXED)'")
    one.run("scancel --user root; scontrol update NodeName=slurm1 State=RESUME")
    one.wait_for("squeue --noheader | wc -l | grep -x 0; scontrol --oneliner show node slurm1 | grep ' State=IDLE '")
    return one


def test_the_drain_waits_for_the_job_and_hurts_it_not(node: SlurmNode) -> None:
    pid = node.start_job()
    began = node.out(f"cut -d' ' -f22 /proc/{pid}/stat")
    looked = node.drain(timeout=0)
    assert (looked["timed_out"], looked["changed"], node.state()) == (True, False, "MIXED|")
    assert node.out(f"cut -d' ' -f22 /proc/{pid}/stat") == began
    node.end_job(after=5)
    result = node.drain(timeout=60)
    assert (result["drained"], result["drained_by_us"], result["foreign"]) == (True, True, None)
    assert node.state() == f"IDLE+DRAIN|{REASON}"
    assert node.run(f"test -d /proc/{pid}").returncode == 1
    # It ended by itself, not by a signal.
    assert "JobState=COMPLETED" in node.out("scontrol --oneliner show job | tail -n 1")
    assert node.drain(state="undrained")["changed"] is True
    assert node.drain(state="undrained")["changed"] is False
    assert node.state() == "IDLE|"


def test_a_job_that_does_not_end_keeps_its_pid_and_the_node(node: SlurmNode) -> None:
    pid = node.start_job()
    began = node.out(f"cut -d' ' -f22 /proc/{pid}/stat")
    result = node.drain(timeout=1)
    assert (result["timed_out"], result["drained_by_us"], result["changed"]) == (True, False, False)
    (who,) = result["working"]
    assert who.startswith("Slurm job ") and who.endswith("of root(0)")
    assert node.state() == "MIXED|"
    assert node.out(f"cut -d' ' -f22 /proc/{pid}/stat") == began


def test_the_drain_of_somebody_else_stays(node: SlurmNode) -> None:
    node.out("scontrol update NodeName=slurm1 State=DRAIN Reason='bad dimm'")
    for state in ("drained", "undrained"):
        result = node.drain(state=state, timeout=60, purpose="upgrade", adopt=True)
        assert (result["changed"], result["foreign"]) == (False, "drained: bad dimm")
    assert node.state() == "IDLE+DRAIN|bad dimm"


def test_an_earlier_run_is_ours_only_where_that_is_wished(node: SlurmNode) -> None:
    upgrade: dict[str, t.Any] = {"purpose": "upgrade", "adopt": True}
    assert node.drain(run="run6")["drained_by_us"] is True
    assert node.drain(**upgrade)["foreign"] == "drained: accel.gpu run6: new driver"
    assert node.drain(run="run6", state="undrained")["changed"] is True
    assert node.drain(run="run6", **upgrade)["drained_by_us"] is True
    assert node.drain(state="undrained")["foreign"] == "drained: accel.gpu upgrade run6: new driver"
    assert node.drain(**upgrade)["adopted"] == "run6"
    assert node.state() == "IDLE+DRAIN|accel.gpu upgrade run7: new driver"


@pytest.mark.parametrize("earlier", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_drain_that_another_run_takes_over_is_not_lifted(node: SlurmNode, earlier: bool) -> None:
    upgrade: dict[str, t.Any] = {"purpose": "upgrade", "adopt": True}
    later = "accel.gpu upgrade run8: newer driver"
    pid = node.start_job()
    if earlier:
        node.drain(run="run6", on_timeout="keep", **upgrade)
    told = f"scontrol update NodeName=slurm1 State=DRAIN Reason='{later}'"
    mine = "scontrol --oneliner show node slurm1 | grep -q 'upgrade run7'"
    script = f"until {mine}; do sleep 0.2; done; {told}"
    node.out(f'setsid sh -c "{script}" >/dev/null 2>&1 </dev/null &')
    began = time.monotonic()
    result = node.drain(timeout=60, **upgrade)
    assert (result["foreign"], result["drained_by_us"], result["timed_out"]) == (f"drained: {later}", False, False)
    assert time.monotonic() < began + 60
    assert node.drain(state="undrained", purpose="upgrade")["foreign"] == f"drained: {later}"
    # Nor is it that of the run whose reason would be put back.
    back = node.drain(run="run6", purpose="upgrade", adopt_run="run7", on_timeout="keep")
    assert (back["foreign"], node.state()) == (f"drained: {later}", f"MIXED+DRAIN|{later}")
    assert node.run(f"test -d /proc/{pid}").returncode == 0


@pytest.mark.full
def test_a_controller_that_restarts_ends_no_drain(node: SlurmNode) -> None:
    node.start_job()
    away = "systemctl stop real-slurmctld; scontrol --oneliner show node slurm1 >/tmp/away 2>&1; echo $? >>/tmp/away"
    node.out(
        f"setsid sh -c 'sleep 3; {away}; sleep 3; systemctl start real-slurmctld; sleep 3; touch /tmp/end'"
        " >/dev/null 2>&1 </dev/null &"
    )
    result = node.drain(timeout=90)
    assert node.out("tail -n 1 /tmp/away").strip() == "1", node.out("cat /tmp/away")
    assert (result["drained"], result["drained_by_us"], result["timed_out"]) == (True, True, False)
    assert node.drain(state="undrained")["changed"] is True


def test_check_mode_changes_nothing(node: SlurmNode) -> None:
    before = node.state()
    assert node.drain("--check")["changed"] is True
    assert node.state() == before
