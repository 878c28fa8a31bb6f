# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role gpu_driver with gpu_driver_reboot: if_needed: at most one reboot a host and run, and never under somebody."""

from __future__ import annotations

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
from upgrade_fleet import MIRROR, ROOT

SCENARIO = f"driverboot-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
# nouveau has the card, and only a reboot takes it away.
SPEC = NodeSpec("boot1", ("a30-24gb",), state="no_driver", image="driver", sources="lab", nouveau=True)
VERSION = "580.126.16"
ROLE = {"name": "Driver", "ansible.builtin.include_role": {"name": "accel.gpu.gpu_driver"}}
# Somebody's login, as systemd's logind writes it down.
LOGIN = "mkdir -p /run/systemd/sessions; printf 'USER=ada\\nCLASS=user\\nSTATE=active\\n' > /run/systemd/sessions/77"


def reboot(work: t.Sequence[str] = (), logins: t.Sequence[str] = (), **more: t.Any) -> dict[str, t.Any]:
    """A task that goes straight to the role's reboot."""
    hindered = {"reboot_hindered": [*work, *logins], "reboot_hindered_by_work": list(work)}
    return {
        "name": "Reboot",
        "ansible.builtin.include_role": {"name": "accel.gpu.gpu_driver", "tasks_from": "reboot.yml"},
        "vars": {"__gpu_driver_result": {"reboot_required": ["for a test"], **hindered}, **more},
    }


def play(folder: Path, variables: t.Mapping[str, t.Any], tasks: t.Sequence[t.Any], *flags: str) -> tuple[int, str]:
    """What a run of these tasks said, in one line."""
    inventory, playbook = folder / "inventory.json", folder / "play.json"
    inventory.write_text(json.dumps({"all": {"hosts": {SPEC.host: {"gpu_driver_reboot": "if_needed", **variables}}}}))
    playbook.write_text(json.dumps([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
    argv = [program, "-i", str(inventory), str(playbook), *flags]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_the_control_node_is_told_and_not_rebooted(tmp_path: Path) -> None:
    # In check mode, in case that it would be.
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    status, told = play(tmp_path, variables, [reboot()], "--check")
    assert status == 0, told
    assert (
        "boot1 owes a reboot (for a test) and is not rebooted: this is the control node itself, reboot it by hand"
        in told
    )
    assert "changed=0" in told


POD, DAEMON = (
    "kubernetes pod team-a/batch-x2x4z is on this node",
    "kubernetes pod monitoring/exporter-abcde is on this node",
)
STAYING = ["pod monitoring/exporter-abcde"]
LOGGED_IN = "ada is logged in (session 77)"


@pytest.mark.parametrize(
    ("drained", "work", "told"),
    [
        (True, [], None),
        (True, [DAEMON], None),
        (True, [DAEMON, POD], POD),
        (True, ["train.py (PID 4711) holds GPUs open"], "train.py (PID 4711) holds GPUs open"),
        (False, [], LOGGED_IN),
        (False, [DAEMON], f"{DAEMON}; {LOGGED_IN}"),
    ],
)
def test_on_a_drained_node_logins_alone_are_no_reason_to_wait(
    tmp_path: Path, drained: bool, work: t.Sequence[str], told: str | None
) -> None:
    """In check mode, which needs no node."""
    more = {"__gpu_driver_drained": drained, **({"__gpu_driver_staying": STAYING} if drained else {})}
    status, said = play(tmp_path, {"ansible_host": "192.0.2.1"}, [reboot(work, [LOGGED_IN], **more)], "--check")
    assert status == 0, said
    assert (f"is not rebooted: {told}" in said) is (told is not None), said
    assert f"changed={int(told is None)}" in said


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    try:
        nodes.up(SCENARIO, (SPEC,), image.ensure("driver"))
        one = Node(SPEC.host, scenario=SCENARIO)
        # A machine comes up again by itself; a container is started by Docker.
        argv = ["docker", "update", "--restart", "always", one.name]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
        yield one
    finally:
        nodes.down(SCENARIO)


def variables(node: Node) -> dict[str, t.Any]:
    return {
        "ansible_connection": "community.docker.docker",
        "ansible_host": node.name,
        "ansible_python_interpreter": "/usr/bin/python3",
        "gpu_driver_version": VERSION,
        **MIRROR,
    }


def boot(node: Node) -> str:
    return node.out("cat /proc/sys/kernel/random/boot_id")


@pytest.mark.full
def test_a_node_on_which_somebody_is_logged_in_keeps_its_reboot(node: Node, tmp_path: Path) -> None:
    node.out(LOGIN)
    before = boot(node)
    status, told = play(tmp_path, variables(node), [ROLE])
    assert status == 0, told
    assert "boot1 owes a reboot (nouveau is loaded and drives " in told
    assert "and is not rebooted: ada is logged in (session 77)" in told
    assert (boot(node), node.run("test -e /sys/module/nvidia").returncode) == (before, 1)


@pytest.mark.full
def test_an_idle_node_is_rebooted_once_and_has_its_driver(node: Node, tmp_path: Path) -> None:
    # The lab lets nouveau load early, though its file is in no initramfs; so the blacklist has to be in there.
    node.out("rm -f /run/systemd/sessions/77 && update-initramfs -u")
    before = boot(node)
    status, told = play(tmp_path, variables(node), [ROLE])
    assert status == 0, told
    after = boot(node)
    assert after != before
    assert node.run("test -e /sys/module/nouveau").returncode == 1, told
    assert node.out("cat /sys/module/nvidia/version") == VERSION
    status, told = play(tmp_path, variables(node), [ROLE])
    assert (status, boot(node)) == (0, after), told
    assert "changed=0" in told


@pytest.mark.full
def test_what_fails_after_the_reboot_brings_no_second_one(node: Node, tmp_path: Path) -> None:
    # The count outlives the boot, /proc has only the last one.
    node.out(
        'printf \'[Service]\\nType=oneshot\\nExecStart=sh -c "echo x >> /var/tmp/boots"\\n[Install]\\n'
        "WantedBy=multi-user.target\\n' > /etc/systemd/system/boots.service && systemctl enable boots; "
        "rm -f /var/tmp/boots"
    )
    version = "{{ '1.2.3' if __gpu_driver_rebooted | default(false) else '" + VERSION + "' }}"
    wrong = {**variables(node), "gpu_driver_version": version}
    status, told = play(tmp_path, wrong, [{"name": "Try", "block": [reboot()], "rescue": [reboot()]}])
    assert "it was rebooted in this run already" in told, told
    assert node.out("cat /var/tmp/boots") == "x"
