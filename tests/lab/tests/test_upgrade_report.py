# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report and judgement of playbook driver_upgrade, on hosts that are not there. Needs no simulated node."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DRIVER = {"accel_gpu_expected": {"count": 1}, "gpu_driver_version": "595.71.05"}
# Nobody listens there.
LOST = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


@contextlib.contextmanager
def receiver(status: int) -> t.Iterator[tuple[str, list[tuple[str, dict[str, t.Any]]]]]:
    """(its address, what it was sent)"""
    got: list[tuple[str, dict[str, t.Any]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/gpu", got
    finally:
        server.shutdown()
        server.server_close()


def upgrade(folder: Path, hosts: t.Mapping[str, t.Any], results: str, *flags: str) -> tuple[int, str]:
    inventory = folder / "inventory.json"
    everybody = {**LOST, "accel_gpu_results": results}
    inventory.write_text(json.dumps({"all": {"vars": everybody, "children": {"gpu_nodes": {"hosts": hosts}}}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "PWD": str(folder)}
    env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
    argv = [program, "-i", str(inventory), "accel.gpu.driver_upgrade", "-e", "gpu_driver_upgrade_run=run7", *flags]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def two(**rolling: t.Any) -> dict[str, t.Any]:
    return {name: {**DRIVER, "gpu_driver_upgrade": rolling} for name in ("n1", "n2")}


def results_of(body: t.Mapping[str, t.Any]) -> list[str]:
    return [row["result"] for row in body["hosts"]]


def test_the_report_is_sent_while_the_run_lasts(tmp_path: Path) -> None:
    with receiver(201) as (address, got):
        status, text = upgrade(tmp_path, two(serial=1, max_failures=1), address)
    assert status == 2, text
    assert {path for path, _body in got} == {"/gpu/driver_upgrade/run7.json"}, text
    assert [results_of(body) for _path, body in got] == [
        ["unreachable", "waiting"],
        ["unreachable", "unreachable"],
        ["unreachable", "unreachable"],
    ], text
    assert got[-1][1]["failures"] == ["n1", "n2"]
    assert "2 of 2 hosts failed: n1, n2" in text


@pytest.mark.full
def test_a_batch_is_at_most_as_large_as_the_number_of_forks(tmp_path: Path) -> None:
    _status, text = upgrade(tmp_path, two(serial="100%", max_failures=2), str(tmp_path), "--forks", "1")
    (report,) = (tmp_path / "driver_upgrade").iterdir()
    assert [row["batch"] for row in json.loads(report.read_text())["hosts"]] == [1, 2], text
    assert "none has more hosts than Ansible has forks, which are 1; set forks (-f) higher" in " ".join(text.split())


@pytest.mark.full
def test_a_receiver_that_fails_ends_no_node_and_hides_no_table(tmp_path: Path) -> None:
    with receiver(500) as (address, got):
        status, text = upgrade(tmp_path, two(serial=1), address)
    assert status == 2, text
    assert results_of(got[-1][1]) == ["unreachable", "not_started"]
    assert "the report of run run7 could not be stored: Status code was 500" in text
    assert "n2: 1 failed (n1), and max_failures is 0" in " ".join(text.split())


@pytest.mark.full
@pytest.mark.parametrize(
    ("hosts", "flags", "words"),
    [
        (
            {"n1": {**DRIVER, "gpu_driver_version": ""}, "n2": {}},
            (),
            "None of the hosts declares GPUs and a driver (n1: declares no driver, see gpu_driver_version and "
            "gpu_driver_branch; n2: declares no GPU, see accel_gpu_expected)",
        ),
        (
            {"n1": {**DRIVER, "gpu_driver_state": "absent"}},
            (),
            'n1: gpu_driver_state: "absent" is no upgrade; set present, and to go back declare the version of before. '
            "On a drained node accel.gpu.site does what you declare, with gpu_driver_change_loaded: true",
        ),
        (two(), ("-e", "mig_apply=next_boot"), "mig_apply cannot be given as extra vars: they would win over"),
        (
            {
                "n1": {
                    **DRIVER,
                    "gpu_driver_source": "mirror",
                    "gpu_driver_mirror": {"url": "http://127.0.0.1:8099/nvidia", "key": "no.asc"},
                }
            },
            (),
            "gpu_driver_mirror.key: no.asc is neither an armored key nor a file of the control node",
        ),
        (two(), ("-e", "gpu_driver_upgrade_run=../x"), 'gpu_driver_upgrade_run: "../x" cannot be the id of a run'),
        (
            {"n1": {**DRIVER, "accel_gpu_failure_domain": "{{ rack }}"}},
            (),
            "rack",
        ),
    ],
)
def test_what_is_wrong_ends_the_run_before_any_host(
    tmp_path: Path, hosts: t.Mapping[str, t.Any], flags: tuple[str, ...], words: str
) -> None:
    status, text = upgrade(tmp_path, hosts, "results", *flags)
    assert status == 2, text
    assert words in " ".join(text.replace("\\", "").split()), text
    assert "Look |" not in text
    assert not (tmp_path / "results").exists()


@pytest.mark.full
def test_a_folder_that_takes_no_report_ends_the_run_before_any_host(tmp_path: Path) -> None:
    status, text = upgrade(tmp_path, two(), "/proc/none")
    assert status == 2, text
    assert "accel_gpu_results: /proc/none takes no report" in " ".join(text.split()), text
    assert "Look |" not in text


LAYOUT = {"gpus": [{"uuid": "GPU-1", "mig": True, "instances": [{"profile": "1g.6gb", "placement": 0}]}]}
DRIVER_RIGHT = {
    "changed": False,
    "driver": {"loaded": "590.1", "installed": "590.1", "library": "590.1"},
    "reload_required": [],
    "reboot_required": [],
}
WHOLE = {
    "__after": {"gpus": [], "driver": {"version": "590.1"}, "mig_layout": LAYOUT},
    "__found": {"mig_layout": LAYOUT},
    "__verify_version": "590.1",
    "__verify_wish": True,
    "__verify_layouts_lost": [],
    "__gpu_driver_result": DRIVER_RIGHT,
    "__gpu_settings_result": {"subject": "settings", "reset_required": [], "deferred": []},
    "__mig_result": {"actions": [], "reset_required": [], "deferred": [], "restart_required": ["dcgm.service"]},
}
LOST_A_SETTING = {"__gpu_driver_result": {**DRIVER_RIGHT, "not_restored": ["persistence mode of GPU-1 was enabled"]}}
OWES = {"__gpu_settings_result": {"subject": "settings", "reset_required": ["GPU-1"], "deferred": []}}
# host -> what differs from a node that is right, and why it is not
JUDGED: dict[str, tuple[dict[str, t.Any], str]] = {
    "right": ({}, ""),
    "other_version": (
        {"__after": {"gpus": [], "driver": {"version": "580.1"}, "mig_layout": LAYOUT}},
        "the GPUs answer with driver 580.1 and not with 590.1",
    ),
    "owes_reset": (OWES, "still owed: reset of GPU-1: its pending ECC mode waits for it"),
    # After the way back the version counts; what is declared may not be possible with the old driver.
    "went_back": ({**OWES, "__verify_wish": False}, ""),
    "waits": (
        {"__mig_result": {"actions": [], "deferred": ["GPU-1"]}},
        "still owed: geometry of GPU-1: deferred while it is busy",
    ),
    "lost_layout": (
        {"__after": {"gpus": [], "driver": {"version": "590.1"}, "mig_layout": {"gpus": []}}, "__verify_wish": False},
        "MIG of GPU-1: no answer is there and not 1g.6gb at 0, as before the change",
    ),
    # A run that died had written it down, and no look from before this run knows it.
    "layout_of_a_dead_run": (
        {"__found": {"mig_layout": None}, "__verify_layouts_lost": ["GPU-1: 1g.6gb at 0"], "__verify_wish": False},
        "GPU-1: 1g.6gb at 0",
    ),
    "lost_setting": (LOST_A_SETTING, "did not come back after the reload: persistence mode of GPU-1 was enabled"),
    "may_lose_a_setting": ({**LOST_A_SETTING, "gpu_driver_upgrade": {"not_restored": "tell"}}, ""),
    "boots_without": (
        {"__gpu_driver_result": {**DRIVER_RIGHT, "boot_without_driver": ["6.8.0-90 has no module"]}},
        "6.8.0-90 has no module",
    ),
    "no_driver_before": ({"__found": {"mig_layout": None}}, ""),
}


# host -> what a look says after the way back, the version that is to be there, and what is wrong with it
AFTER_THE_WAY_BACK: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "nothing": ({"module_version": None, "library_version": None}, "", ""),
    "left_over": (
        {"module_version": "590.1", "library_version": "590.1"},
        "",
        "the module 590.1 is loaded and the library is 590.1; before the change no driver was loaded",
    ),
    # An earlier run had left it so: it is as this run found it, and no driver works.
    "library_alone": (
        {"module_version": None, "library_version": "590.1"},
        "",
        "the module none is loaded and the library is 590.1; before the change no driver was loaded",
    ),
    "not_loaded": (
        {"module_version": None, "library_version": "580.1"},
        "580.1",
        "the module none is loaded and the library is 580.1; before the change the driver was 580.1",
    ),
    "gone": (
        {"module_version": None, "library_version": None},
        "580.1",
        "the module none is loaded and the library is none; before the change the driver was 580.1",
    ),
}


def judged(folder: Path, part: str, variables: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Why each host fails in this part of the playbook, empty where it does not."""
    judge = {"ansible.builtin.include_tasks": str(ROOT / "playbooks" / "parts" / "upgrade" / part)}
    why = {
        "ansible.builtin.copy": {
            "content": "{{ ansible_failed_result.msg }}",
            "dest": f"{folder}/{{{{ inventory_hostname }}}}",
            "mode": "0600",
        }
    }
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"block": [judge], "rescue": [why]}]}
    (folder / "play.json").write_text(json.dumps([play]))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {host: {**local, **own} for host, own in variables.items()}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
    argv = [program, "-i", f"{folder}/inventory.json", f"{folder}/play.json"]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {host: (folder / host).read_text() if (folder / host).exists() else "" for host in variables}


def test_what_is_not_right_is_told_in_its_own_words(tmp_path: Path) -> None:
    told = judged(tmp_path, "compare.yml", {host: {**WHOLE, **differs} for host, (differs, _why) in JUDGED.items()})
    assert told == {host: why for host, (_differs, why) in JUDGED.items()}


def test_a_library_without_its_module_is_no_driver_that_is_back(tmp_path: Path) -> None:
    told = judged(
        tmp_path,
        "verify_none.yml",
        {
            # As the look of a run after a failed one found it.
            host: {"__restored": {"driver": look}, "__verify_version": version, "__upgrade": {"library": "590.1"}}
            for host, (look, version, _why) in AFTER_THE_WAY_BACK.items()
        },
    )
    assert told == {host: why for host, (_look, _version, why) in AFTER_THE_WAY_BACK.items()}
