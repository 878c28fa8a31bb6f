# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of make test cannot be lied to, and a shim that does not start is not taken for an interpreter."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys

import interpreters
import pytest
import stages

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STAGE = stages.Stage("unit")


@pytest.mark.parametrize(
    ("output", "counts"),
    [
        ("===== 3 passed in 0.12s =====", {"passed": 3, "failed": 0, "skipped": 0}),
        ("12 passed in 1.59s", {"passed": 12, "failed": 0, "skipped": 0}),
        ("== 1 failed, 83 passed, 2 skipped in 61.56s (0:01:01) ==", {"passed": 83, "failed": 1, "skipped": 2}),
        ("1 error in 0.65s", {"passed": 0, "failed": 1, "skipped": 0}),
        ("1 passed, 2 errors in 0.65s", {"passed": 1, "failed": 2, "skipped": 0}),
        ("lint: ruff passed\nlint: mypy, collection FAILED", {"passed": 1, "failed": 1, "skipped": 0}),
        ("3 passed in 1s\n4 passed in 2s", {"passed": 7, "failed": 0, "skipped": 0}),
        ("steps: 8 passed, 1 failed", {"passed": 8, "failed": 1, "skipped": 0}),
        (
            "mig_busy   : actions=8  successful=6  disabled=0  skipped=0  missing=1  failed=1",
            {"passed": 6, "failed": 1, "skipped": 0},
        ),
        ("lint: who passed the ball to whom", {"passed": 0, "failed": 0, "skipped": 0}),
        ("test_x passed the word on in 3 steps", {"passed": 0, "failed": 0, "skipped": 0}),
    ],
)
def test_counts(output, counts):
    assert stages.count(output)[0] == counts


@pytest.mark.parametrize(
    ("status", "output", "failed"),
    [
        (0, "1 passed in 0.1s", 0),
        (0, "nothing was found to test", 1),
        (0, "", 1),
        (1, "1 passed in 0.1s", 1),
        (2, "1 failed in 0.1s", 1),
        (0, "lint: ruff FAILED", 1),
    ],
)
def test_a_stage_passes_only_with_a_good_end_and_a_check(status, output, failed):
    result = stages.judge(STAGE, status, 1.0, output)
    assert result.counts["failed"] == failed
    assert result.failed is bool(failed)


@pytest.mark.parametrize(("status", "failed"), [(0, 0), (2, 1)])
def test_a_stage_that_makes_things_needs_no_check(status, failed):
    result = stages.judge(stages.Stage("images", checks=False), status, 1.0, "accel-lab-node:1")
    assert result.counts["failed"] == failed


def test_the_order_of_stages_can_be_kept():
    """What a stage waits for stands before it, so the runner cannot wait for ever."""
    seen: set[str] = set()
    for stage in stages.STAGES:
        assert set(stage.after) <= seen
        seen.add(stage.name)


def test_slow_stages_belong_to_test_full_alone():
    slow = {stage.name for stage in stages.STAGES if stage.full}
    assert slow
    assert not slow & {stage.name for stage in stages.chosen_stages([], full=False)}
    assert stages.chosen_stages([], full=True) == list(stages.STAGES)
    assert [stage.name for stage in stages.chosen_stages(["cores"], full=False)] == ["cores"]


def test_every_stage_is_a_target_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for stage in stages.STAGES:
        assert f"\n{stage.name}:" in makefile


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def machine(tmp_path):
    """A PATH with a dead shim, and a pyenv folder with an interpreter behind it."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    base = pathlib.Path(sys.base_prefix) / "bin" / f"python{here}"
    script(tmp_path / "bin" / f"python{here}", "echo 'no such version' >&2; exit 127\n")
    script(tmp_path / "pyenv" / "versions" / f"{here}.0" / "bin" / f"python{here}", f'exec {base} "$@"\n')
    return tmp_path, here


def test_an_interpreter_behind_a_dead_shim_is_found(machine, monkeypatch):
    folder, here = machine
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(folder / "pyenv"))
    found = interpreters.find(here)
    assert found is not None
    assert folder / "bin" not in found.parents


def test_the_environment_is_not_made_with_a_dead_shim(machine):
    folder, here = machine
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "PYENV_ROOT": str(folder / "pyenv")}
    environment.pop("PYTHON", None)
    done = subprocess.run(
        [str(ROOT / "tools" / "find_python.sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    chosen = pathlib.Path(done.stdout.strip())
    assert folder / "bin" not in chosen.parents
    assert subprocess.run([str(chosen), "-c", "import venv, ensurepip"], check=False).returncode == 0


def test_a_named_interpreter_that_does_not_start_is_refused(machine):
    folder, here = machine
    done = subprocess.run(
        [str(ROOT / "tools" / "find_python.sh")],
        env={**os.environ, "PYTHON": str(folder / "bin" / f"python{here}")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "does not start" in done.stderr
    assert done.stdout == ""


def test_the_interpreter_of_an_environment_is_none(monkeypatch, tmp_path):
    """A first `make` puts .venv on PATH, and a shim may lead there; a second must not build .venv on itself."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    shim = tmp_path / "bin" / f"python{here}"
    script(shim, f'exec {tmp_path / "env" / "bin" / "python"} "$@"\n')
    assert interpreters.start(shim) is None
    monkeypatch.setenv("PATH", f"{tmp_path / 'env' / 'bin'}:{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = interpreters.find(here)
    assert found is None or tmp_path not in found.parents
    command = [str(ROOT / "tools" / "find_python.sh")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert str(tmp_path) not in done.stdout
