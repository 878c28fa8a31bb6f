# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command accel-gpu as it lies on a node: the archive alone, run by another process, on a simulated GPU."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from harness import Sim

from ansible_collections.accel.gpu.plugins.plugin_utils._archive import agent_archive, binding_source

SPLIT = {"profile": "3g.40gb", "placement": 4, "compute": ["1c.3g.40gb", "2c.3g.40gb"]}
WISH = [{"gpus": "all", "mig": True, "instances": [SPLIT, {"profile": "1g.10gb", "placement": 2}]}]
SEVEN = [{"gpus": "all", "mig": True, "instances": {"1g.10gb": 7}}]


@dataclasses.dataclass(frozen=True)
class Console:
    """A person at the console of a node whose tree is `root`."""

    sim: Sim
    root: Path
    archive: Path
    python: str = sys.executable

    def type(self, *words: str, stdin: t.Optional[str] = None) -> subprocess.CompletedProcess[str]:
        argv = [self.python, "-IB", str(self.archive), "--root", str(self.root), "--deadline", "10", *words]
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, env=self.sim.env, cwd="/", timeout=60, check=False
        )

    def file(self, document: t.Any) -> str:
        path = self.root / "wish.json"
        path.write_text(json.dumps(document))
        return str(path)

    def store(self, items: t.Any, **options: t.Any) -> None:
        path = self.root / "etc/accel-gpu/wish.d/mig.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"version": 1, "options": {"geometry": items, **options}}))

    def placements(self) -> list[tuple[str, int]]:
        (gpu,) = json.loads(self.type("mig", "export").stdout)["gpus"]
        return [(one["profile"], one["placement"]) for one in gpu["instances"]]


@pytest.fixture
def console(tmp_path: Path) -> t.Iterator[Console]:
    root = tmp_path / "root"
    boot_id = root / "proc/sys/kernel/random/boot_id"
    boot_id.parent.mkdir(parents=True)
    boot_id.write_text("00000000-0000-4000-8000-000000000001\n")
    archive = tmp_path / "accel-gpu.pyz"
    archive.write_bytes(agent_archive())
    with Sim("h100-80gb-sxm5", tmp_path) as sim:
        yield Console(sim, root, archive)


def test_plan_tells_and_changes_nothing_apply_does_it_assert_agrees(console: Console) -> None:
    wish = console.file(WISH)
    planned = console.type("mig", "plan", wish)
    assert planned.returncode == 3, planned.stderr
    for line in ("mig: differs from the wish", "    - mig off", "    + 1g.10gb at 2:1", "set_mig_mode mig on on GPU-"):
        assert line in planned.stdout
    assert "wished by geometry[0].instances[1]" in planned.stdout
    assert console.placements() == []
    assert console.type("mig", "apply", wish).returncode == 0
    assert console.placements() == [("1g.10gb", 2), ("3g.40gb", 4)]
    agreed = console.type("mig", "assert", wish)
    assert (agreed.returncode, agreed.stdout.splitlines()[0]) == (0, "mig: as wished")


def test_json_says_what_the_text_says(console: Console) -> None:
    told = json.loads(console.type("mig", "plan", "--json", console.file(WISH)).stdout)
    assert (told["resident"], told["status"], told["code"], told["changed"]) == ("mig", "differs", 3, True)
    assert {action["action"] for action in told["actions"]} >= {"set_mig_mode", "create_gpu_instance"}
    ((key, after),) = told["diff"]["after"].items()
    assert "NVIDIA H100 80GB HBM3" in key
    assert after[0] == "mig on"


def test_an_export_restores_compute_instances_too(console: Console) -> None:
    console.type("mig", "apply", console.file(WISH))
    exported = console.type("mig", "export").stdout
    assert console.type("mig", "apply", console.file(SEVEN)).returncode == 0
    assert console.type("mig", "apply", "-", stdin=exported).returncode == 0
    assert console.type("mig", "export").stdout == exported


def test_a_busy_instance_is_refused_and_keeps_its_process(console: Console) -> None:
    console.type("mig", "apply", console.file(SEVEN))
    instance = console.sim.gpu(0)["instances"][0]
    job = console.sim.occupy(0, gi=instance["id"], ci=instance["compute_instances"][0]["id"])
    refused = console.type("mig", "apply", console.file([{"gpus": "all", "mig": False}]))
    assert refused.returncode == 4
    assert refused.stdout.startswith("mig: refused, nothing was touched: ")
    assert str(job) in refused.stdout
    assert len(console.sim.gpu(0)["instances"]) == 7
    (still,) = [process["pid"] for one in console.sim.gpu(0)["instances"] for process in _processes(one)]
    assert still == job


def _processes(instance: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    inner = [process for compute in instance["compute_instances"] for process in compute["processes"]]
    return inner or list(instance["processes"])


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ([{"gpus": "all", "mig": True, "instances": {"9g.90gb": 1}}], 6, '"9g.90gb" does not exist'),
        ([{"gpus": "all", "mig": True, "instances": {"1g.10gb": 8}}], 6, "1g.10gb"),
        ({"version": 2, "gpus": []}, 6, "is neither a wish file nor a layout of version 1"),
    ],
)
def test_a_wrong_wish_has_its_exit_code(console: Console, document: t.Any, code: int, words: str) -> None:
    done = console.type("mig", "plan", console.file(document))
    assert words in done.stdout + done.stderr
    assert done.returncode == code


def test_without_a_stored_wish_there_is_nothing_to_compare(console: Console) -> None:
    done = console.type("mig", "assert")
    assert done.returncode == 6
    assert "/etc/accel-gpu/wish.d/mig.json is not there: nothing is wished here" in done.stderr


def test_a_file_that_is_not_there(console: Console) -> None:
    done = console.type("mig", "plan", "/nowhere.json")
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith("accel-gpu: /nowhere.json: cannot be read as JSON")


def test_no_driver_is_an_exit_code_of_its_own(console: Console) -> None:
    console.sim.control("unload")
    done = console.type("mig", "export")
    assert done.returncode == 7
    assert "kernel module is not loaded" in done.stderr
    assert console.type("mig", "apply", console.file(WISH)).returncode == 7
    planned = console.type("mig", "plan", console.file(WISH))
    assert planned.returncode == 3
    assert "kernel module is not loaded" in planned.stdout


def test_boot_and_status(console: Console) -> None:
    assert "the agent has not run since the node started" in console.type("status").stdout
    console.store(WISH, mig_apply="next_boot")
    assert console.type("status").returncode in (3, 5)
    booted = console.type("boot", "--timeout", "50")
    assert booted.returncode == 0, booted.stdout + booted.stderr
    assert console.placements() == [("1g.10gb", 2), ("3g.40gb", 4)]
    summary = json.loads((console.root / "run/accel-gpu/boot.json").read_text())
    assert [(entry["resident"], entry["status"]) for entry in summary["residents"]] == [("mig", "changed")]
    told = console.type("status", "--json")
    assert told.returncode == 0, told.stdout
    assert json.loads(told.stdout)["boot"]["status"] == "ok"


LIMIT = {"gpus": "all", "power_limit": 500, "locked_clocks": {"min": 1200, "max": 1500}, "persistence_mode": True}


def settings(console: Console) -> tuple[t.Any, ...]:
    shown = console.sim.gpu(0)["settings"]
    return tuple(shown[name] for name in ("power_limit", "locked_gpu_clock_max", "persistence_mode"))


def test_settings_have_the_same_verbs_and_an_export_brings_them_back(console: Console) -> None:
    wish = console.file([LIMIT])
    planned = console.type("settings", "plan", wish)
    assert planned.returncode == 3, planned.stderr
    for line in ("settings: differs from the wish", "    - power_limit 700 W", "    + power_limit 500 W"):
        assert line in planned.stdout
    assert console.type("settings", "apply", wish).returncode == 0
    assert settings(console) == (500, 1500, 1)
    exported = console.type("settings", "export").stdout
    assert console.type("settings", "assert", "-", stdin=exported).returncode == 0
    (item,) = json.loads(exported)["options"]["settings"]
    assert (item["power_limit"], item["locked_clocks"]) == (500, {"min": 1200, "max": 1500})
    other = console.file([{"gpus": "all", "power_limit": 300, "locked_clocks": "default"}])
    assert console.type("settings", "apply", other).returncode == 0
    assert console.type("settings", "apply", "-", stdin=exported).returncode == 0
    assert settings(console) == (500, 1500, 1)
    assert console.type("settings", "plan", console.file([{"gpus": "all", "power_limit": 9000}])).returncode == 6


def test_a_boot_brings_settings_back_before_mig_and_holds_nobody_for_them(console: Console) -> None:
    console.store(WISH)
    stored = console.root / "etc/accel-gpu/wish.d/settings.json"
    stored.write_text(json.dumps({"version": 1, "options": {"settings": [LIMIT]}}))
    booted = console.type("boot", "--timeout", "50")
    assert booted.returncode == 0, booted.stdout + booted.stderr
    summary = json.loads((console.root / "run/accel-gpu/boot.json").read_text())
    assert [entry["resident"] for entry in summary["residents"]] == ["settings", "mig"]
    assert settings(console) == (500, 1500, 1)

    console.sim.control("reboot")
    (console.root / "proc/sys/kernel/random/boot_id").write_text("00000000-0000-4000-8000-000000000002\n")
    assert settings(console) == (700, 0, 0)
    assert console.type("boot", "--timeout", "50").returncode == 0
    assert settings(console) == (500, 1500, 1)

    stored.write_text(json.dumps({"version": 1, "options": {"settings": [{"gpus": "all", "power_limit": 9000}]}}))
    booted = console.type("boot", "--timeout", "50")
    summary = json.loads((console.root / "run/accel-gpu/boot.json").read_text())
    assert (booted.returncode, summary["status"]) == (0, "incomplete")
    assert "9000 W is out of range" in summary["message"]


@pytest.mark.parametrize("words", [[], ["mig"], ["mig", "explode"], ["boot", "--on-failure", "explode"]])
def test_wrong_usage(console: Console, words: list[str]) -> None:
    assert console.type(*words).returncode == 2


def test_the_oldest_python_of_a_node_runs_it(console: Console, tmp_path: Path) -> None:
    """Its own pynvml beside the archive is not found there (the path is fixed), so pynvml comes by PYTHONPATH."""
    candidates = [Path.home() / ".pyenv/versions", Path("/usr/bin")]
    found = [
        path for folder in candidates for path in sorted(folder.glob("3.9*/bin/python3.9")) or folder.glob("python3.9")
    ]
    python = next((str(path) for path in found if _starts(path)), None)
    if python is None:
        pytest.skip("no Python 3.9 starts on this machine")
    source = binding_source()
    assert source is not None
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "pynvml.py").write_bytes(source)
    argv = [python, "-B", str(console.archive), "--root", str(console.root), "mig", "plan", console.file(WISH)]
    env = {**console.sim.env, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd="/", timeout=60, check=False)
    assert done.returncode == 3, done.stdout + done.stderr


def _starts(python: Path) -> bool:
    return shutil.which(str(python)) is not None and subprocess.run([python, "-c", ""], check=False).returncode == 0
