# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core of gpu_driver on a lab node, without Ansible: a call costs the node's work alone."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import tarfile
import time
import typing as t
from pathlib import Path

from labctl import image, nodes
from labctl.inventory import NodeSpec
from labctl.repos import KEYS
from simulated import SCENARIO, Node

ROOT = Path(__file__).resolve().parents[3]
URL = "http://127.0.0.1:8099"
PLACE = "/root/core"
# What runs on the node: options on standard input, the answer of the module's flow on standard output.
_PROGRAM = """
import json, sys
from core.plugins.module_utils import _errors as errors
from core.plugins.module_utils._driver import core
from core.plugins.module_utils._files import Files
from core.plugins.module_utils._module.declare import declare
from core.plugins.module_utils._nvml.session import open_session
from core.plugins.module_utils._ports import Ports
from core.plugins.module_utils._run import SubprocessRun
asked = json.load(sys.stdin)
ports = Ports(SubprocessRun(), Files(), open_session, check=asked.pop("check"))
result = {"changed": False}
try:
    declare(core, {"nvml_binding": "", **asked}, ports, result)
except errors.AccelError as error:
    result.update(failed=True, msg=error.message, error={**error.facts, "kind": error.kind})
print(json.dumps(result, default=str))
"""
_ARGV = ("env", f"PYTHONPATH={PLACE}", "python3", "-c", _PROGRAM)


@contextlib.contextmanager
def bare_node(host: str, board: str, **features: t.Any) -> t.Iterator[Node]:
    """A node of its own without any driver, the core on it. `features` are those of NodeSpec."""
    scenario = f"{SCENARIO}-{host}"
    spec = NodeSpec(host, (board,), state="no_driver", image="driver", sources="lab", **features)
    try:
        nodes.up(scenario, [spec], image.ensure("driver"))
        node = Node(host, scenario=scenario)
        put(node)
        yield node
    finally:
        nodes.down(scenario)


def put(node: Node) -> None:
    """The core, and pynvml beside it, on the node."""
    import pynvml

    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(ROOT / "plugins/module_utils", "core/plugins/module_utils")
        archive.add(str(pynvml.__file__), "pynvml.py")
    argv = ["docker", "exec", "-i", node.name, "sh", "-c", f"mkdir -p {PLACE} && tar -C {PLACE} -xf -"]
    subprocess.run(argv, input=whole.getvalue(), check=True, capture_output=True)


def call(node: Node, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """One call with the lab's mirror as its source unless `options` say otherwise."""
    argv = ["docker", "exec", "-i", node.name, *_ARGV]
    done = subprocess.run(argv, input=_asked(check, options), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def die_at(node: Node, condition: str, **options: t.Any) -> None:
    """A call that is killed, with all that it started, as soon as `condition` (a shell's) is true on the node."""
    argv = ["docker", "exec", "-i", node.name, *_ARGV]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdin is not None
        run.stdin.write(_asked(False, options))
        run.stdin.close()
        end = time.monotonic() + 120
        while node.run(condition).returncode != 0:
            assert run.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < end, f"it never came to {condition}"
            time.sleep(0.2)
        # Parents first, so that none sees its child die.
        for pattern in ("core.plugins.module_utils", "apt-get", "^/usr/bin/dpkg", "dkms"):
            node.run(f"pkill -9 -f '{pattern}'")


def _asked(check: bool, options: t.Mapping[str, t.Any]) -> str:
    mirror = {"url": f"{URL}/nvidia", "key": KEYS["good"].public(), "fingerprint": KEYS["good"].fingerprint}
    wish = {"source": "mirror", "mirror": mirror, "address_prefix": "gpu_driver_", "lock_timeout": 60}
    return json.dumps({"check": check, **wish, **options})
