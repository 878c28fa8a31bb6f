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


def test_check_mode_changes_as_many_tasks_as_the_run_and_the_next_run_none(node: PlayedNode) -> None:
    foretold = node.play("site.yml", "--check", mig_geometry=WISH)
    assert node.run("test -e /etc/accel-gpu").returncode == 1
    done = node.play("site.yml", mig_geometry=WISH)
    again = node.play("site.yml", mig_geometry=WISH)
    assert changed(foretold) == changed(done) > 0
    assert changed(again) == 0


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


def test_notified_units_are_restarted_once_and_only_after_a_change(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=WISH)
    slurmd = node.pid("slurmd")
    node.play("mig.yml", mig_geometry=WISH, mig_notify=["slurmd.service"])
    assert node.pid("slurmd") == slurmd
    explained = [{**WISH[0], "reason": "a stored wish that differs and the same devices"}]
    assert changed(node.play("mig.yml", mig_geometry=explained, mig_notify=["slurmd.service"])) == 1
    assert node.pid("slurmd") == slurmd
    told = node.play("mig.yml", mig_geometry=OTHER, mig_notify=["slurmd.service"], mig_restart="never")
    assert node.pid("slurmd") == slurmd
    assert "restart owed on node: slurmd.service still names the old MIG devices" in told
    node.play("mig.yml", mig_geometry=WISH, mig_notify=["slurmd.service"])
    assert node.pid("slurmd") != slurmd


def test_fabric_manager_is_never_notified(node: PlayedNode) -> None:
    told = node.play("mig.yml", fails=True, mig_geometry=WISH, mig_notify=["nvidia-fabricmanager.service"])
    assert "mig_notify[0]: nvidia-fabricmanager.service ends running jobs" in told
    assert "Expected |" not in told  # no host was touched


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


def test_absent_switches_mig_off_and_keeps_it_off(node: PlayedNode) -> None:
    node.play("mig.yml", mig_geometry=WISH)
    node.play("mig.yml", mig_geometry=WISH, mig_state="absent")
    assert node.layout()["gpus"][0]["mig"] is False
    assert changed(node.play("mig.yml", mig_geometry=WISH, mig_state="absent")) == 0
    nodes.restart(SCENARIO, SPEC.host)
    assert node.layout()["gpus"][0]["mig"] is False


def test_a_host_that_declares_no_gpu_is_skipped_visibly(node: PlayedNode) -> None:
    told = node.play("site.yml", accel_gpu_expected={"count": 0}, mig_geometry=WISH)
    assert "node declares no GPU and is skipped" in told
    assert changed(told) == 0
    told = node.play("site.yml", fails=True, accel_gpu_expected={"count": 2}, mig_geometry=WISH)
    assert "accel_gpu_expected.count: 2 GPUs are declared, 1 answer" in told
    known = {"gpu": "GPU-5c1e", "state": "missing", "reason": "RMA 4711", "until": "2026-01-01"}
    told = node.play("site.yml", accel_gpu_expected={"count": 2}, accel_gpu_exceptions=[known], mig_geometry=WISH)
    assert "accel_gpu_exceptions[0]: expired on 2026-01-01" in told
