# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node agent on simulated nodes: what module node_agent puts there, and what a boot makes of it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import Node

SCENARIO = f"agenttest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SPEC = NodeSpec(
    "node",
    ("a100-80gb", "h100-80gb-sxm5"),
    units=("nvidia-persistenced.service", "docker.service", "slurmd.service", "nvidia-dcgm.service"),
)
HELD = ("docker", "slurmd", "nvidia-dcgm")
ROOT = Path(__file__).resolve().parents[3]
WISH = "/etc/accel-gpu/wish.d/mig.json"
SEVEN = {"gpus": {"index": 0}, "mig": True, "instances": {"1g.10gb": 7}}
BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/moby/0123456789abcdef"
LEGACY = {
    "hooks": {"prestart": [{"path": "/usr/bin/nvidia-container-runtime-hook"}]},
    "linux": {"cgroupsPath": "system.slice:docker:0123456789abcdef"},
}


@dataclasses.dataclass(frozen=True)
class AgentNode(Node):
    """A node that Ansible also reaches."""

    @property
    def name(self) -> str:
        return nodes.container_name(SCENARIO, self.host)

    def restart(self, hard: bool = False) -> nodes.Started:
        return nodes.restart(SCENARIO, self.host, hard)

    def module(self, *flags: str, **options: t.Any) -> dict[str, t.Any]:
        """One call of node_agent as a user would make it, with its result."""
        argv = [
            Path(sys.executable).with_name("ansible"),
            "-i",
            f"{self.name},",
            self.name,
            "-m",
            "accel.gpu.node_agent",
        ]
        argv += ["-a", json.dumps({"state": "present", **options}), "-c", "community.docker.docker", *flags]
        argv += ["-e", "ansible_python_interpreter=/usr/bin/python3"]
        env = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
        env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert "=> {" in done.stdout and "FAILED" not in done.stdout, done.stdout + done.stderr
        shown, _arrow, told = done.stdout.partition("=> {")
        result: dict[str, t.Any] = json.JSONDecoder().raw_decode("{" + told)[0]
        # --diff prints the difference and takes it out of the result
        return {**result, "shown": shown}

    def wish(self, *items: dict[str, t.Any], **options: t.Any) -> None:
        document = json.dumps({"version": 1, "options": {"geometry": list(items), **options}})
        self.out(f"mkdir -p {os.path.dirname(WISH)} && cat > {WISH} <<'END'\n{document}\nEND")

    def active(self, *units: str) -> list[str]:
        return str(self.run(f"systemctl is-active {' '.join(units)}").stdout).split()

    def boot_summary(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.out("cat /run/accel-gpu/boot.json")))


@pytest.fixture(scope="module")
def running() -> t.Iterator[AgentNode]:
    tag = image.ensure()
    nodes.up(SCENARIO, [SPEC], tag)
    yield AgentNode(SPEC.host)
    nodes.down(SCENARIO)


@pytest.fixture
def node(running: AgentNode) -> AgentNode:
    """The node with the agent in place, without wishes, everything running."""
    running.run(f"rm -rf /etc/accel-gpu {BUNDLE}; gpusim clearfaults")
    running.module()
    running.out(f"systemctl start accel-gpu {' '.join(HELD)}")
    return running


def test_check_mode_foretells_the_installation(running: AgentNode) -> None:
    running.module(state="absent")
    foretold = running.module("--check", "--diff", boot_failure="hold")
    done = running.module("--diff", boot_failure="hold")
    again = running.module(boot_failure="hold")
    assert foretold["changed"] and done["changed"] and not again["changed"]
    assert foretold["actions"] == done["actions"]
    assert "+++ after" in done["shown"]
    assert foretold["shown"] == done["shown"]
    assert [action["action"] for action in done["actions"]] == ["install"] * 4 + ["enable", "daemon_reload", "start"]
    assert again["actions"] == []


def test_systemd_finds_the_unit_sound(node: AgentNode) -> None:
    done = node.run("systemd-analyze verify accel-gpu.service docker.service slurmd.service nvidia-dcgm.service")
    assert (done.returncode, [line for line in done.stderr.splitlines() if "accel-gpu" in line]) == (0, [])


def test_the_geometry_is_there_before_anybody_who_hands_out_gpus_starts(node: AgentNode) -> None:
    node.wish(SEVEN, {"gpus": {"index": 1}, "mig": True, "instances": {"3g.40gb": 1, "1g.20gb": 1}})
    started = node.restart()
    assert started.failed_units == ()
    assert [len(gpu["instances"]) for gpu in node.show()["gpus"]] == [7, 2]
    for name in ("docker", "slurmd"):
        found = json.loads(node.out(f"cat /run/accel-lab/started/{name}.json"))
        assert [gpu["instances"] for gpu in found["gpus"]] == [7, 2], name
    assert node.boot_summary()["status"] == "ok"
    assert node.run("accel-gpu mig assert").returncode == 0
    assert node.run("accel-gpu status").returncode == 0


def test_hold_keeps_them_from_starting_until_the_wish_is_right(node: AgentNode) -> None:
    node.wish({"gpus": {"index": 0}, "mig": True, "instances": {"9g.90gb": 1}})
    assert node.restart().failed_units == ("accel-gpu.service",)
    assert node.active(*HELD) == ["inactive"] * 3
    summary = node.boot_summary()
    assert (summary["status"], summary["on_failure"]) == ("failed", "hold")
    assert "9g.90gb" in summary["message"]
    assert json.loads(node.out("cat /run/accel-gpu/owed.json"))["owed"][-1]["state"] == "boot_failed"
    owed = node.module()
    assert not owed["changed"], owed
    assert [entry["state"] for entry in owed["owed"]] == ["boot_failed"]
    assert "9g.90gb" in owed["owed"][0]["reason"]
    # starting one of them tries again
    assert node.run("systemctl start docker").returncode != 0
    node.wish(SEVEN)
    node.out("systemctl start docker")
    assert node.active("accel-gpu", "docker") == ["active", "active"]
    assert node.run("test -e /run/accel-gpu/owed.json").returncode == 1
    assert node.module()["owed"] == []


def test_continue_lets_them_start(node: AgentNode) -> None:
    node.module(boot_failure="continue")
    node.wish({"gpus": {"index": 0}, "mig": True, "instances": {"9g.90gb": 1}})
    assert node.restart().failed_units == ("accel-gpu.service",)
    assert node.active(*HELD) == ["active"] * 3
    assert node.boot_summary()["on_failure"] == "continue"


def test_nobody_stops_docker_by_stopping_the_agent(node: AgentNode) -> None:
    pid = node.out("systemctl show --value -p MainPID docker.service")
    for verb in ("stop", "restart"):
        assert "Operation refused" in node.run(f"systemctl {verb} accel-gpu").stderr
    assert node.out("systemctl show --value -p MainPID docker.service") == pid


def test_a_hanging_driver_ends_within_the_time_limit(node: AgentNode) -> None:
    node.wish(SEVEN)
    node.out("gpusim fault nvmlDeviceGetHandleByIndex_v2 --nth 1 --hang")
    done = node.run("accel-gpu --deadline 60 boot --timeout 2")
    assert done.returncode == 8
    summary = node.boot_summary()
    assert summary["status"] == "timed_out"
    assert "mig did not end within 2 s" in summary["message"]


def test_no_reload_while_a_container_would_lose_its_gpu(node: AgentNode) -> None:
    bundle = json.dumps(LEGACY)
    node.out(f"mkdir -p {BUNDLE} && echo '{bundle}' > {BUNDLE}/config.json")
    changed = node.module(boot_timeout=200)
    assert changed["changed"] and changed["daemon_reload_required"]
    assert "daemon_reload" not in [action["action"] for action in changed["actions"]]
    assert node.out("systemctl show --value -p NeedDaemonReload accel-gpu.service") == "yes"
    owed = node.module(boot_timeout=200)
    assert not owed["changed"] and owed["daemon_reload_required"]
    node.out(f"rm -r {BUNDLE}")
    made_up = node.module(boot_timeout=200)
    assert [action["action"] for action in made_up["actions"]] == ["daemon_reload"]
    assert not node.module(boot_timeout=200)["changed"]


def test_the_command_for_somebody_without_rights(node: AgentNode) -> None:
    node.wish(SEVEN)
    done = node.run("setpriv --reuid=65534 --clear-groups accel-gpu mig apply")
    assert done.returncode == 7, done.stdout + done.stderr
    assert "root" in done.stdout + done.stderr


def test_a_layout_goes_out_and_comes_back(node: AgentNode) -> None:
    split = {"profile": "3g.40gb", "placement": 4, "compute": ["1c.3g.40gb", "2c.3g.40gb"]}
    node.wish({"gpus": {"index": 0}, "mig": True, "instances": [split, {"profile": "1g.10gb", "placement": 2}]})
    assert node.run("accel-gpu mig apply").returncode == 0
    before = node.out("accel-gpu mig export > /tmp/layout.json; cat /tmp/layout.json")
    node.out("nvidia-smi mig -i 0 -dci && nvidia-smi mig -i 0 -dgi")
    assert node.run("accel-gpu mig assert /tmp/layout.json").returncode == 3
    assert node.run("accel-gpu mig apply - < /tmp/layout.json").returncode == 0
    assert node.out("accel-gpu mig export") == before


def test_absent_leaves_nothing_behind(node: AgentNode) -> None:
    node.wish(SEVEN)
    backups = node.module(boot_timeout=100)["backups"]
    (kept,) = backups
    assert kept.startswith("/var/lib/accel-gpu/backup/etc/systemd/system/accel-gpu.service.")
    assert node.out("ls -A /etc/systemd/system | grep -F accel-gpu.service") == "accel-gpu.service"  # nothing beside it
    foretold = node.module("--check", state="absent")
    done = node.module(state="absent")
    assert foretold["actions"] == done["actions"]
    assert [action["object"] for action in done["actions"] if action["action"] == "left_alone"] == ["wish of mig"]
    assert node.run("test -e /var/lib/accel-gpu/backup").returncode == 1
    assert node.out("find /etc/systemd /usr/lib/accel-gpu /usr/sbin -name '*accel-gpu*' 2>/dev/null; true") == ""
    assert node.run("test -e /usr/lib/accel-gpu").returncode == 1
    assert node.out("systemctl show --value -p LoadState accel-gpu.service") == "not-found"
    assert not node.module(state="absent")["changed"]


def test_a_second_try_stops_and_starts_holders_without_waiting_for_itself(node: AgentNode) -> None:
    """Holders are ordered after the agent: a start that waits inside the unit would wait for the unit."""
    node.module(boot_failure="continue")
    node.wish({"gpus": {"index": 0}, "mig": True, "instances": {"9g.90gb": 1}})
    node.restart()
    assert node.active("nvidia-dcgm", "nvidia-persistenced") == ["active", "active"]
    before = node.out("systemctl show --value -p MainPID nvidia-dcgm")
    node.wish({"gpus": {"index": 0}, "mig": not node.show()["gpus"][0]["mig"]["current"]})  # needs a reset
    done = node.run("timeout 20 systemctl start accel-gpu")
    assert done.returncode == 0, done.stderr + node.out("cat /run/accel-gpu/boot.json")
    node.out("timeout 20 systemctl start nvidia-dcgm nvidia-persistenced")
    assert node.out("systemctl show --value -p MainPID nvidia-dcgm") != before
