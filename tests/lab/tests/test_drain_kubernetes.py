# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task files that drain a node of Kubernetes, on a constructed collection kubernetes.core with a cluster in a file.

It knows of the collection's modules only what the task files use; a real cluster has not been asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE = """
import json, os
from ansible.module_utils.basic import AnsibleModule

NAMES = ("kubeconfig", "context", "kind", "name", "state", "definition", "merge_type", "field_selectors")
NAMES += ("delete_options",)

def merge(into, what):
    for key, value in what.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value

def main():
    module = AnsibleModule(argument_spec={name: {"type": "raw"} for name in NAMES}, supports_check_mode=True)
    given, path = module.params, os.environ["CLUSTER"]
    with open(path) as stream:
        cluster = json.load(stream)
    found = [cluster["node"]] if given["kind"] == "Node" else cluster["pods"]
    if given["kind"] == "Pod":
        cluster["looks"] -= 1
        cluster["pods"] = cluster["pods"] if cluster["looks"] > 0 else []
    if given["definition"] and not module.check_mode:
        merge(cluster["node"], given["definition"])
    with open(path, "w") as stream:
        json.dump(cluster, stream)
    module.exit_json(changed=given["definition"] is not None, resources=found)

main()
"""
POD = {
    "metadata": {"namespace": "lab", "name": "train"},
    "status": {"phase": "Running"},
    "spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
}
OURS = "accel.gpu driver_upgrade run7: new driver"


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "cluster.json"
        modules = folder / "collections" / "ansible_collections" / "kubernetes" / "core" / "plugins" / "modules"
        modules.mkdir(parents=True)
        for name in ("k8s", "k8s_info", "k8s_drain"):
            (modules / f"{name}.py").write_text(MODULE)
        self.put(0)

    def put(self, looks: int, **spec: t.Any) -> None:
        """A pod that holds a GPU until it has been looked at so often."""
        node = {"metadata": {"name": "n1"}, "spec": spec}
        self.file.write_text(json.dumps({"node": node, "pods": [POD] if looks else [], "looks": looks}))

    def node(self) -> tuple[bool, str | None]:
        """(cordoned, our annotation)"""
        node = json.loads(self.file.read_text())["node"]
        return node["spec"].get("unschedulable", False), node["metadata"].get("annotations", {}).get("accel.gpu/drain")

    def drain(self, state: str, *flags: str) -> dict[str, t.Any]:
        told = self.folder / "told.json"
        play = {
            "hosts": "n1",
            "gather_facts": False,
            "vars": {
                "__plan": {"run": "run7"},
                "accel_gpu_scheduler": "kubernetes",
                "gpu_driver_upgrade": {"drain_timeout": 3, "drain_poll": 1},
            },
            "tasks": [
                {
                    "ansible.builtin.include_tasks": str(ROOT / "playbooks" / "parts" / "drain" / "main.yml"),
                    "vars": {"__drain_state": state, "__drain_note": "new driver"},
                },
                {
                    "ansible.builtin.copy": {"content": "{{ __drain | to_json }}", "dest": str(told)},
                    "delegate_to": "localhost",
                    "check_mode": False,
                },
            ],
        }
        playbook = self.folder / "play.json"
        playbook.write_text(json.dumps([play]))
        here = str(Path(sys.prefix) / "collections")
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": f"{self.folder / 'collections'}:{here}",
            "CLUSTER": str(self.file),
        }
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "n1,", str(playbook), *flags]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return t.cast("dict[str, t.Any]", json.loads(told.read_text()))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_the_drain_waits_for_the_pod_and_is_lifted_again(cluster: Cluster) -> None:
    cluster.put(2)
    told = cluster.drain("drained")
    assert (told["drained"], told["drained_by_us"], told["timed_out"]) == (True, True, False)
    assert cluster.node() == (True, OURS)
    assert cluster.drain("undrained", "--check")["drained_by_us"] is True
    assert cluster.node() == (True, OURS)
    assert cluster.drain("undrained")["drained_by_us"] is False
    assert cluster.node() == (False, None)


@pytest.mark.full
def test_a_pod_that_stays_keeps_the_node(cluster: Cluster) -> None:
    cluster.put(99)
    told = cluster.drain("drained")
    assert (told["timed_out"], told["drained_by_us"], told["working"]) == (True, False, ["pod lab/train"])
    assert cluster.node() == (False, None)


@pytest.mark.full
def test_a_cordon_of_somebody_else_stays(cluster: Cluster) -> None:
    cluster.put(0, unschedulable=True)
    for state in ("drained", "undrained"):
        told = cluster.drain(state)
        assert (told["foreign"], told["drained_by_us"]) == ("drained, without a reason", False)
    assert cluster.node() == (True, None)
