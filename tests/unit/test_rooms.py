# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The import rules and "who may know whom" hold in plugins/, and the judge of them sees every way to break them."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.accel.gpu.tests.unit import rooms

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
START = rooms.HEADER + '\n"""PRIVATE to the collection."""\n\nfrom __future__ import annotations\n\n'


def test_the_house_is_in_order():
    assert rooms.tree_violations(ROOT / "plugins") == []


def test_every_file_is_looked_at(tmp_path):
    (tmp_path / "module_utils" / "_mig" / "deep").mkdir(parents=True)
    (tmp_path / "module_utils" / "_mig" / "deep" / "plan.py").write_text("import requests\n", encoding="utf-8")
    found = rooms.tree_violations(tmp_path)
    assert any("requests is third-party" in line for line in found)
    assert all(line.startswith("module_utils/_mig/deep/plan.py:") for line in found)


# id: file, statement, a piece of the verdict
BAD = {
    "pynvml elsewhere": ("module_utils/_nvml/read.py", "import pynvml", "only _nvml/load imports pynvml"),
    "pynvml in a function": (
        "module_utils/_mig/apply.py",
        "def f() -> None:\n    from pynvml import nvmlInit",
        "only _nvml/load",
    ),
    "pynvml on the control node": ("action/gpu_info.py", "import pynvml", "only _nvml/load imports pynvml"),
    "core knows Ansible": (
        "module_utils/_mig/apply.py",
        "from ansible.module_utils.basic import AnsibleModule",
        "never know",
    ),
    "absolute import of the collection": (
        "module_utils/_mig/apply.py",
        "from ansible_collections.accel.gpu.plugins.module_utils import _run",
        "relative",
    ),
    "third party in a core": ("module_utils/_select.py", "import yaml", "yaml is third-party"),
    "third party in a module": (
        "modules/gpu_info.py",
        "import requests",
        "ansible.module_utils and ..module_utils only",
    ),
    "third party in a lookup": ("lookup/mig_parted.py", "import jsonschema", "jsonschema is third-party"),
    "importlib in a core": ("module_utils/_agent/residents.py", "import importlib", "explicit tuples"),
    "importlib.util in a module": ("modules/gpu_info.py", "from importlib import util", "explicit tuples"),
    "pkgutil": ("module_utils/_mig/parse.py", "import pkgutil", "explicit tuples"),
    "__import__": ("module_utils/_mig/apply.py", 'x = __import__("os")', "not static"),
    "star": ("module_utils/_mig/parse.py", "from .model import *", "hides"),
    "leaving module_utils": (
        "module_utils/_mig/parse.py",
        "from ...plugin_utils import _brings",
        "leaves module_utils",
    ),
    "core knows the agent": ("module_utils/_mig/apply.py", "from .._agent.cli import main", "_mig may not know _agent"),
    "core knows the flow": ("module_utils/_mig/apply.py", "from .._module import declare", "_mig may not know _module"),
    "port knows a core": ("module_utils/_nvml/mig.py", "from .._mig.model import Layout", "_nvml may not know _mig"),
    "flow knows a core": (
        "module_utils/_module/declare.py",
        "from .._mig import resident",
        "_module may not know _mig",
    ),
    "data know nothing": (
        "module_utils/_data/tables.py",
        "from .._errors import WishError",
        "_data may not know _errors",
    ),
    "common file knows a core": ("module_utils/_diff.py", "from ._mig import model", "_diff may not know _mig"),
    "a decision looks": (
        "module_utils/_driver/decide/plan.py",
        "from ..look.probe import probe",
        "_driver/decide may not know _driver/look",
    ),
    "a look changes": (
        "module_utils/_driver/look/probe.py",
        "from ..change import apply",
        "_driver/look may not know _driver/change",
    ),
    "a room within a room without a row": (
        "module_utils/_driver/newroom/plan.py",
        "from ..model import Node",
        "_driver/newroom has no row",
    ),
    "a pure room takes a port": ("module_utils/_driver/decide/back.py", "from ..._ports import Ports", "takes no port"),
    "room without a row": ("module_utils/_newroom/plan.py", "import json", "no row in MAY_KNOW"),
    "os in a pure file": ("module_utils/_mig/layout.py", "import os", "os in a pure file"),
    "from os in a pure file": ("module_utils/_mig/model.py", "from os import environ", "os in a pure file"),
    "subprocess in a plan": ("module_utils/_mig/plan.py", "import subprocess", "subprocess in a pure file"),
    "socket in a core": ("module_utils/_owners/slurm.py", "import socket", "socket in a pure file"),
    "clock import in a plan": ("module_utils/_mig/plan.py", "import time", "time in a pure file"),
    "clock call in a plan": (
        "module_utils/_mig/plan.py",
        "import datetime\nx = datetime.datetime.now()",
        "does not look at the clock",
    ),
    "open in a pure file": ("module_utils/_mig/parse.py", 'x = open("/etc/passwd")', "open() in a pure file"),
    "print in a core": ("module_utils/_mig/parse.py", 'print("here")', "print() in a pure file"),
    "open in a value object": ("module_utils/_nvml/objects.py", 'x = open("/proc/stat")', "open() in a pure file"),
    "exec in a core": ("module_utils/_mig/parse.py", 'exec("1")', "exec() in a pure file"),
    "plan takes a port": ("module_utils/_mig/plan.py", "from .._ports import Ports", "takes no port"),
    "parse takes a port": ("module_utils/_mig/parse.py", "from .. import _files", "takes no port"),
    "judge takes a session": (
        "module_utils/_mig/judge.py",
        "from .._nvml.session import open_session",
        "takes no port",
    ),
    "fail_json in a core": (
        "module_utils/_mig/apply.py",
        "def f(module: object) -> None:\n    module.fail_json(msg='x')",
        "only _module calls fail_json",
    ),
    "exit_json in a module": ("modules/gpu_info.py", "module.exit_json(changed=False)", "only _module calls exit_json"),
    "module knows two cores": (
        "modules/gpu_info.py",
        "from ..module_utils._mig import resident\nfrom ..module_utils._agent import install",
        "one core package, not _agent, _mig",
    ),
    "module knows plugin_utils": (
        "modules/gpu_info.py",
        "from ..plugin_utils import _brings",
        "stays on the control node",
    ),
    "module imports a sibling": ("modules/gpu_info.py", "from . import mig_geometry", "plugins import ..module_utils"),
    "long module": ("modules/gpu_info.py", "x = 1\n" * 60, "at most 50 code lines"),
    "long file": ("module_utils/_mig/plan.py", "x = 1\n" * 400, "lines; more than 350"),
    "long function": ("module_utils/_mig/plan.py", "def f() -> None:\n" + "    x = 1\n" * 61, "f has 62 lines"),
}


@pytest.mark.parametrize(("name", "statement", "verdict"), BAD.values(), ids=BAD.keys())
def test_the_judge_sees(name, statement, verdict):
    found = rooms.violations(name, START + statement + "\n")
    assert [line for line in found if verdict in line], found
    # The same file without the statement is fine, so it was the statement that was seen.
    assert name.startswith("module_utils/_newroom") or rooms.violations(name, START) == []


GOOD = {
    "the load": ("module_utils/_nvml/load.py", "def f() -> None:\n    import pynvml"),
    "an apply file": ("module_utils/_mig/apply.py", "import os\nx = open(os.devnull)"),
    "a probe file": ("module_utils/_owners/probe_slurm.py", "import os\nfrom .._ports import Ports"),
    "os.path alone": ("module_utils/_mig/layout.py", "from os.path import basename"),
    "the flow": (
        "module_utils/_module/declare.py",
        "from ansible.module_utils.basic import AnsibleModule\nx.fail_json()",
    ),
    "residents": ("module_utils/_agent/residents.py", "from .._mig import resident"),
    "a module": (
        "modules/gpu_info.py",
        "from ..module_utils._mig import resident\nfrom ..module_utils._module import declare",
    ),
    "a lookup": ("lookup/mig_parted.py", "import yaml\nfrom ansible.errors import AnsibleError"),
    "pynvml's place": ("plugin_utils/_brings.py", "import importlib.util"),
    "documented module": ("modules/gpu_info.py", 'DOCUMENTATION = r"""' + "line\n" * 100 + '"""'),
}


@pytest.mark.parametrize(("name", "statement"), GOOD.values(), ids=GOOD.keys())
def test_the_judge_lets_pass(name, statement):
    assert rooms.violations(name, START + statement + "\n") == []


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("import json\n", "header"),
        (START.replace("2026", "2025"), "header"),
        (START.replace("from __future__ import annotations", "import json"), "first statement"),
        (START.replace("PRIVATE to", "Part of"), "PRIVATE"),
    ],
)
def test_the_judge_wants_the_head_of_a_file(source, verdict):
    assert [line for line in rooms.violations("module_utils/_mig/plan.py", source) if verdict in line]


def test_an_init_file_stays_empty():
    assert rooms.violations("module_utils/_mig/__init__.py", "") == []
    assert rooms.violations("module_utils/_mig/__init__.py", "from . import plan\n") != []


def test_a_shebang_is_for_modules_alone():
    assert rooms.violations("modules/gpu_info.py", "#!/usr/bin/python\n" + START) == []
    assert rooms.violations("module_utils/_mig/plan.py", "#!/usr/bin/python\n" + START) != []


def test_tables_name_files_that_exist():
    """A reason for a file that is gone would let a new file of that name in."""
    utils = ROOT / "plugins" / "module_utils"
    for name in rooms.WORLD_FILES.keys() | rooms.PURE_FILES:
        assert (utils / name).is_file(), name
    for room in rooms.MAY_KNOW:
        assert (utils / room).is_dir() or (utils / f"{room}.py").is_file(), room
