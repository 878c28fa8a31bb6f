# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks on a simulated node, started as a user starts them: backup and restore, notified units, owed states."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from simulated import Node

SCENARIO = f"playbooktest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SPEC = NodeSpec("node", ("h100-80gb-sxm5",), units=("nvidia-dcgm.service", "slurmd.service"))
ROOT = Path(__file__).resolve().parents[3]
SPLIT = {"profile": "3g.40gb", "placement": 4, "compute": ["1c.3g.40gb", "2c.3g.40gb"]}
WISH = [{"gpus": "all", "mig": True, "instances": [SPLIT, {"profile": "1g.10gb", "placement": 2}]}]
OTHER = [{"gpus": "all", "mig": True, "instances": {"7g.80gb": 1}}]


@dataclasses.dataclass(frozen=True)
class PlayedNode(Node):
    """A node on which playbooks run; `folder` is where they are started."""

    folder: Path

    @property
    def name(self) -> str:
        return nodes.container_name(SCENARIO, self.host)

    def play(self, playbook: str, *flags: str, fails: bool = False, **variables: t.Any) -> str:
        """What the playbook said. Its exit status must be what `fails` tells."""
        fixed = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self.name,
            "ansible_python_interpreter": "/usr/bin/python3",
            "accel_gpu_expected": {"count": 1, "model": "*H100*"},
        }
        inventory = self.folder / "inventory.json"
        host = {"hosts": {self.host: {**fixed, **variables}}}
        inventory.write_text(json.dumps({"all": {"children": {"gpu_nodes": host}}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "PWD": str(self.folder),
        }
        env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
        argv = [program, "-i", str(inventory), str(ROOT / "playbooks" / playbook), *flags]
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout

    def layout(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.out("accel-gpu mig export")))

    def pid(self, unit: str) -> str:
        return str(self.out(f"systemctl show --value -p MainPID {unit}"))


@pytest.fixture(scope="module")
def started() -> t.Iterator[None]:
    nodes.up(SCENARIO, [SPEC], image.ensure())
    yield
    nodes.down(SCENARIO)


@pytest.fixture
def node(started: None, tmp_path: Path) -> PlayedNode:
    return PlayedNode(SPEC.host, tmp_path)


def changed(told: str) -> int:
    recap = told[told.index("PLAY RECAP") :]
    return int(recap.split("changed=")[1].split()[0])


def difference(told: str) -> str:
    """What --diff printed."""
    return "\n".join(line for line in told.splitlines() if line[:1] in "+-@ " and line.strip())


def test_check_mode_changes_as_many_tasks_as_the_run_and_the_next_run_none(node: PlayedNode) -> None:
    foretold = node.play("site.yml", "--check", mig_geometry=WISH)
    assert node.run("test -e /etc/accel-gpu").returncode == 1
    done = node.play("site.yml", mig_geometry=WISH)
    again = node.play("site.yml", mig_geometry=WISH)
    assert changed(foretold) == changed(done) > 0
    assert changed(again) == 0


@pytest.mark.full
def test_a_backup_restores_placements_and_compute_instances(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=WISH)
    before = node.layout()
    node.play("mig_backup.yml")
    kept = json.loads((node.folder / "results" / "mig" / "node.json").read_text())
    assert kept == before
    placed = [(one["profile"], one["placement"], one["compute"]) for one in before["gpus"][0]["instances"]]
    compute = [{"profile": "1c.3g.40gb", "placement": 0}, {"profile": "2c.3g.40gb", "placement": 1}]
    assert [entry[:2] for entry in placed] == [("1g.10gb", 2), ("3g.40gb", 4)]
    assert sorted(entry["profile"] for entry in placed[1][2]) == [entry["profile"] for entry in compute]
    node.play("mig.yml", mig_geometry=OTHER)
    assert node.layout() != before
    node.play("mig_restore.yml", mig_geometry=OTHER)
    assert node.layout() == before
    assert changed(node.play("mig_restore.yml")) == 0


@pytest.mark.full
def test_backups_travel_by_http_too(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=WISH)
    before = node.layout()
    with storage() as (address, stored):
        node.play("mig_backup.yml", accel_gpu_results=address)
        assert json.loads(stored["/mig/node.json"]) == before
        node.play("mig.yml", mig_geometry=OTHER)
        node.play("mig_restore.yml", accel_gpu_results=address)
    assert node.layout() == before


@contextlib.contextmanager
def storage() -> t.Iterator[tuple[str, dict[str, bytes]]]:
    """A server that keeps what is PUT and gives it back."""
    stored: dict[str, bytes] = {}

    class Keeper(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            stored[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(201, b"")

        def do_GET(self) -> None:
            self.answer(200, stored[self.path])

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", stored
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.full
def test_notified_units_are_restarted_once_and_only_after_a_change(node: PlayedNode) -> None:
    notify = {"mig_notify": ["slurmd"]}
    node.play("mig.yml", mig_geometry=WISH, **notify)
    slurmd, dcgm = node.pid("slurmd"), node.pid("nvidia-dcgm")
    node.play("mig.yml", mig_geometry=WISH, **notify)
    explained = [{**WISH[0], "reason": "a stored wish that differs and the same devices"}]
    assert changed(node.play("mig.yml", mig_geometry=explained, **notify)) == 1
    assert node.pid("slurmd") == slurmd
    foretold = node.play("mig.yml", "--check", mig_geometry=OTHER, **notify)
    assert node.pid("slurmd") == slurmd
    done = node.play("mig.yml", mig_geometry=OTHER, **notify)
    assert node.pid("slurmd") != slurmd
    assert node.pid("nvidia-dcgm") == dcgm  # nobody asked for it
    assert changed(foretold) == changed(done) == 3  # geometry, device specification, slurmd
    assert "restart of" not in foretold + done
    assert changed(node.play("mig.yml", mig_geometry=OTHER, **notify)) == 0


@pytest.mark.full
def test_an_owed_restart_is_told_until_somebody_restarts_the_unit(node: PlayedNode) -> None:
    never = {"mig_geometry": WISH, "mig_notify": ["slurmd", "nvidia-dcgm"], "mig_restart": "never"}
    owed = "restart of slurmd.service: it was started before the MIG devices changed"
    node.play("mig.yml", mig_geometry=OTHER)
    node.out("systemctl restart slurmd; systemctl stop nvidia-dcgm")
    slurmd = node.pid("slurmd")
    for flags in (("--check",), ()):
        told = node.play("mig.yml", *flags, **never)
        assert owed in told and "restart of nvidia-dcgm" not in told  # what does not run owes nothing
    for flags in ((), ("--check",)):
        told = node.play("mig.yml", *flags, **never)
        assert owed in told
        assert changed(told) == 0
    node.play("mig.yml", fails=True, accel_gpu_pending="fail", **never)
    assert node.pid("slurmd") == slurmd
    node.out("systemctl restart slurmd; systemctl start nvidia-dcgm")
    told = node.play("mig.yml", accel_gpu_pending="fail", **never)
    assert "restart of" not in told


@pytest.mark.full
def test_a_run_that_died_before_its_restarts_forgets_none(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=OTHER)
    node.out("systemctl restart slurmd")
    slurmd = node.pid("slurmd")
    # the module alone, as a run leaves the node that is interrupted right after it; then a change at the console
    node.play("mig.yml", mig_geometry=WISH)
    node.out("nvidia-smi mig -i 0 -dci -gi 2 >/dev/null; accel-gpu mig apply")
    assert node.pid("slurmd") == slurmd
    foretold = node.play("mig.yml", "--check", mig_geometry=WISH, mig_notify=["slurmd"])
    assert node.pid("slurmd") == slurmd
    done = node.play("mig.yml", mig_geometry=WISH, mig_notify=["slurmd"])
    assert node.pid("slurmd") != slurmd
    assert changed(foretold) == changed(done) == 1


def test_fabric_manager_is_never_notified(node: PlayedNode) -> None:
    told = node.play("mig.yml", fails=True, mig_geometry=WISH, mig_notify=["nvidia-fabricmanager.service"])
    assert "mig_notify[0]: nvidia-fabricmanager.service ends running jobs" in told
    assert "Expected |" not in told  # no host was touched


@pytest.mark.full
def test_what_is_owed_is_told_at_every_run_and_fails_where_that_is_wanted(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=WISH)
    for flags in ((), ("--check",)):
        told = node.play("mig.yml", *flags, mig_geometry=OTHER, mig_apply="next_boot")
        assert "the stored wish is applied at the next boot" in told
    assert changed(node.play("mig.yml", mig_geometry=OTHER, mig_apply="next_boot")) == 0
    node.play("mig.yml", fails=True, mig_geometry=OTHER, mig_apply="next_boot", accel_gpu_pending="fail")
    nodes.restart(SCENARIO, SPEC.host)
    assert [one["profile"] for one in node.layout()["gpus"][0]["instances"]] == ["7g.80gb"]
    told = node.play("mig.yml", mig_geometry=OTHER, mig_apply="next_boot", accel_gpu_pending="fail")
    assert changed(told) == 0


def test_absent_switches_mig_off_and_leaves_nothing_behind(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=WISH)
    foretold = node.play("mig.yml", "--check", "--diff", mig_geometry=WISH, mig_state="absent")
    assert node.layout()["gpus"][0]["mig"] is True
    assert node.run("test -e /etc/accel-gpu/wish.d/mig.json").returncode == 0
    done = node.play("mig.yml", "--diff", mig_geometry=WISH, mig_state="absent")
    assert changed(foretold) == changed(done) > 0
    assert difference(foretold) == difference(done) != ""
    assert node.layout()["gpus"][0]["mig"] is False
    assert node.run("test -e /etc/accel-gpu -o -e /var/lib/accel-gpu/mig").returncode == 1
    for flags in ((), ("--check",)):
        assert changed(node.play("mig.yml", *flags, mig_geometry=WISH, mig_state="absent")) == 0
    assert nodes.restart(SCENARIO, SPEC.host).failed_units == ()
    assert node.layout()["gpus"][0]["mig"] is False


@pytest.mark.full
def test_absent_waits_for_a_busy_gpu_until_the_next_boot(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=OTHER)
    (gpu,) = node.show()["gpus"]
    pid = node.out(f"gpusim occupy 0 --gi {gpu['instances'][0]['id']} --ci 0 --spawn")
    told = node.play("mig.yml", mig_state="absent")
    assert "deferred while it is busy" in told
    assert json.loads(node.out("cat /etc/accel-gpu/wish.d/mig.json"))["options"]["state"] == "absent"
    told = node.play("mig.yml", fails=True, mig_state="absent", mig_when_busy="refuse")
    assert f"mig_geometry: mig_state: absent ({gpu['uuid']}, {gpu['name']}): MIG cannot be switched off now" in told
    assert changed(node.play("mig.yml", mig_state="absent")) == 0
    assert node.out(f"ps -o pid= -p {pid}").split() == pid.split()
    assert nodes.restart(SCENARIO, SPEC.host).failed_units == ()
    assert node.layout()["gpus"][0]["mig"] is False
    assert changed(node.play("mig.yml", mig_state="absent")) == 1  # the stored wish has done its work
    assert node.run("test -e /etc/accel-gpu").returncode == 1
    assert changed(node.play("mig.yml", mig_state="absent")) == 0


def test_errors_name_the_variable_of_the_role(node: PlayedNode) -> None:
    wrong = [{"gpus": "all", "instances": {"9g.90gb": 1}}]
    told = node.play("mig.yml", fails=True, mig_geometry_group=wrong)
    assert "mig_geometry: mig_geometry_group[0]" in told


def test_a_host_that_declares_no_gpu_is_skipped_visibly(node: PlayedNode) -> None:
    told = node.play("site.yml", accel_gpu_expected={"count": 0}, mig_geometry=WISH)
    assert "node declares no GPU and is skipped" in told
    assert changed(told) == 0
    assert "node declares no GPU and is skipped" in node.play("mig_backup.yml", accel_gpu_expected={})
    # a declaration that says no number is no declaration of none
    for playbook in ("site.yml", "mig_backup.yml"):
        told = node.play(playbook, fails=True, accel_gpu_expected={"model": "*H100*"})
        assert "expected: count is missing; give the number of GPUs" in told
    assert "eight" in node.play("mig_backup.yml", fails=True, accel_gpu_expected={"count": "eight"})
    told = node.play("site.yml", fails=True, accel_gpu_expected={"count": 2}, mig_geometry=WISH)
    assert "accel_gpu_expected.count: 2 GPUs are declared, 1 answer" in told
    known = {"gpu": "GPU-5c1e", "state": "missing", "reason": "RMA 4711", "until": "2026-01-01"}
    told = node.play("site.yml", accel_gpu_expected={"count": 2}, accel_gpu_exceptions=[known], mig_geometry=WISH)
    assert "accel_gpu_exceptions[0]: expired on 2026-01-01" in told
