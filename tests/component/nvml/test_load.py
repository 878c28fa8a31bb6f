# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pynvml is taken: the interpreter's own, the node agent's, the one that was brought."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pynvml
import pytest

from ansible_collections.accel.gpu.plugins.module_utils._nvml.binding import pack
from ansible_collections.accel.gpu.plugins.module_utils._nvml.load import NEEDED

SOURCE = pathlib.Path(pynvml.__file__).read_text(encoding="utf-8")
# A collection path of its own: with -S the interpreter has no site-packages, and so no pynvml.
COLLECTIONS = pathlib.Path(__file__).resolve().parents[3] / ".venv" / "collections"
TAKE = """
import json, sys
from ansible_collections.accel.gpu.plugins.module_utils._nvml import load
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
packed, agent = json.loads(sys.stdin.read())
try:
    module = load.load(packed, agent)
    load.initialise(module, lambda call: None)
    print(getattr(module, "__file__", "memory"), module.nvmlDeviceGetCount())
except AccelError as error:
    print(type(error).__name__, error.message)
"""


@pytest.fixture
def take(node, tmp_path):
    """take(packed, system=source) → where the taken pynvml lies and how many GPUs it counts, or the error."""
    import json

    sim = node("a100-80gb,a100-80gb")
    folders = {name: tmp_path / name for name in ("system", "agent")}
    for folder in folders.values():
        folder.mkdir()

    def run(packed=None, **sources):
        for name, source in sources.items():
            (folders[name] / "pynvml.py").write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-S", "-c", TAKE],
            env={**sim.env, "PYTHONPATH": f"{folders['system']}:{COLLECTIONS}"},
            input=json.dumps([packed, str(folders["agent"])]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().replace(str(tmp_path), "")

    return run


def test_none_is_asked_for(take):
    answer = take()
    assert answer.startswith("BindingWantedError libnvidia-ml.so.1 is on this node but no usable Python module pynvml")


def test_the_system_s_own_comes_first(take):
    assert take(pack(SOURCE), system=SOURCE, agent=SOURCE) == "/system/pynvml.py 2"


def test_the_agent_s_comes_next(take):
    assert take(pack(SOURCE), agent=SOURCE) == "/agent/pynvml.py 2"


def test_the_brought_one_runs_in_memory(take):
    assert take(pack(SOURCE)) == "memory 2"


@pytest.mark.parametrize(
    "source",
    ["raise RuntimeError('broken')", "import nothing_of_that_name", "nvmlInit = None", "def ("],
    ids=["breaks", "lacks a part", "too old", "no Python"],
)
def test_a_system_pynvml_that_is_no_good_is_passed_over(source, take):
    assert take(system=source).startswith("BindingWantedError")
    assert take(pack(SOURCE), system=source) == "memory 2"
    assert take(system=source, agent=SOURCE) == "/agent/pynvml.py 2"


def test_a_brought_one_that_is_too_old_is_not_taken(take):
    assert take(pack("nvmlInit = None")).startswith("BindingWantedError")


def test_an_old_pynvml_without_flags_opens_nvml(take):
    old = SOURCE.replace("def nvmlInitWithFlags(", "def _nvmlInitWithFlags(").replace(
        "    nvmlInitWithFlags(0)", "    _nvmlInitWithFlags(0)"
    )
    assert take(system=old) == "/system/pynvml.py 2"


def test_what_is_needed_is_there():
    assert [name for name in NEEDED if not hasattr(pynvml, name)] == []
