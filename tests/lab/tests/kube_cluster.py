# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of Kubernetes for tests: an API server, in memory or genuine, with a node n1 that the tests make."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import kube_memory
import requests
import yaml
from labctl import apiserver

ROOT = Path(__file__).resolve().parents[3]


class Cluster:
    """An API server, and the node n1 there."""

    def __init__(self, url: str, folder: Path, session: requests.Session, user: object, **trust: str) -> None:
        self.api, self.session, self.folder = f"{url}/api/v1", session, folder
        self.kubeconfig = folder / "kubeconfig"
        session.trust_env = False  # a variable for certificates would win over this session's own
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": url, **trust}}],
            "users": [{"name": "lab", "user": user}],
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> t.Any:
        done = self.session.request(method, f"{self.api}{path}", json=body, headers={"Content-Type": kind}, timeout=30)
        assert done.ok, done.text
        return done.json()

    def put_node(self, reason: str = "", cordoned: bool = False, labels: t.Mapping[str, str] | None = None) -> None:
        annotations = {"accel.gpu/drain": reason} if reason else {}
        metadata = {"name": "n1", "labels": dict(labels or {}), "annotations": annotations}
        spec = {"unschedulable": True} if cordoned or reason else {}
        self.ask("POST", "/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec})

    def put_pod(self, name: str, resources: object = None, owner: str = "ReplicaSet", **spec: t.Any) -> None:
        container = {"name": "main", "image": "localhost/app:1", "resources": resources or {}}
        metadata = {"name": name, "namespace": "default", "labels": {"app": name}}
        if owner:
            made = {"apiVersion": "apps/v1", "kind": owner, "name": owner.lower(), "uid": "2", "controller": True}
            metadata["ownerReferences"] = [made]
        body = {"nodeName": "n1", "containers": [container], **spec}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body, "status": status}
        self.ask("POST", "/namespaces/default/pods", pod)

    def end_pod(self, name: str) -> None:
        self.ask("DELETE", f"/namespaces/default/pods/{name}", {"kind": "DeleteOptions", "gracePeriodSeconds": 0})

    def pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.ask("GET", "/pods")["items"]]

    def node(self) -> tuple[bool, str | None]:
        """(cordoned, our annotation)"""
        node = self.ask("GET", "/nodes/n1")
        annotations = node["metadata"].get("annotations") or {}
        return (node.get("spec") or {}).get("unschedulable", False), annotations.get("accel.gpu/drain")

    def patch_node(self, what: object) -> None:
        """As somebody else than the playbook."""
        self.ask("PATCH", "/nodes/n1", what, "application/merge-patch+json")

    def labels(self) -> dict[str, str]:
        told = self.ask("GET", "/nodes/n1")["metadata"].get("labels") or {}
        return {name: value for name, value in told.items() if name.startswith("nvidia.com/")}

    def protect(self, name: str) -> None:
        """A budget that forbids to evict this pod."""
        raise NotImplementedError

    def unprotect(self, name: str) -> None:
        raise NotImplementedError

    def kubelet(self) -> None:
        """Takes away pods that are to end."""

    def clear(self) -> None:
        for name in self.pods():
            self.end_pod(name)
        for node in self.ask("GET", "/nodes")["items"]:
            self.ask("DELETE", f"/nodes/{node['metadata']['name']}")

    def drain(self, state: str, *flags: str, fails: bool = False, **settings: t.Any) -> dict[str, t.Any]:
        """__drain, or for `fails` what ansible-playbook printed as `out`."""
        told = self.folder / "told.json"
        play = {
            "hosts": "n1",
            "gather_facts": False,
            "vars": {
                "__plan": {"run": "run7"},
                "accel_gpu_scheduler": "kubernetes",
                "accel_gpu_kubernetes": {"kubeconfig": str(self.kubeconfig), **settings.pop("kubernetes", {})},
                "gpu_driver_upgrade": {"drain_timeout": settings.pop("timeout", 6), "drain_poll": 1},
            },
            "tasks": [
                {
                    "ansible.builtin.include_tasks": str(ROOT / "playbooks" / "parts" / "drain" / "main.yml"),
                    "vars": {"__drain_state": state, "__drain_note": "new driver", **settings},
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
        # Found as roles and filters of an installed collection are, beside the genuine kubernetes.core.
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "n1,", str(playbook), *flags]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300, check=False)
        out = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, out
        return {"out": out} if fails else t.cast("dict[str, t.Any]", json.loads(told.read_text()))

    @contextlib.contextmanager
    def meanwhile(self, condition: t.Callable[[], bool], act: t.Callable[[], None]) -> t.Iterator[None]:
        """Once the condition holds, act; the kubelet works all the time."""
        ended = threading.Event()

        def work() -> None:
            acted = False
            while not ended.wait(0.3):
                self.kubelet()
                if not acted and condition():
                    act()
                    acted = True

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(30)


class InMemory(Cluster):
    def __init__(self, store: kube_memory.Store, url: str, folder: Path) -> None:
        super().__init__(url, folder, requests.Session(), {})
        self.store = store

    def protect(self, name: str) -> None:
        self.store.protected.add(f"/namespaces/default/pods/{name}")

    def unprotect(self, name: str) -> None:
        self.store.protected.remove(f"/namespaces/default/pods/{name}")


class Genuine(Cluster):
    """A kube-apiserver. A status is a subresource there, and a pod that is evicted waits for its kubelet."""

    def __init__(self, started: apiserver.Started, folder: Path) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {started.token}"
        session.verify = str(started.certificate)
        trust = {"certificate-authority": str(started.certificate)}
        super().__init__(started.url, folder, session, {"token": started.token}, **trust)
        self.budgets = f"{started.url}/apis/policy/v1beta1/namespaces/default/poddisruptionbudgets"

    def put_pod(self, name: str, resources: object = None, owner: str = "ReplicaSet", **spec: t.Any) -> None:
        super().put_pod(name, resources, owner, **spec)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        path = f"/namespaces/default/pods/{name}/status"
        self.ask("PATCH", path, {"status": status}, "application/merge-patch+json")

    def protect(self, name: str) -> None:
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
        body = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
        assert self.session.post(self.budgets, json=body, timeout=30).ok
        self.allow(name, 0)

    def unprotect(self, name: str) -> None:
        self.allow(name, 1)

    def allow(self, name: str, evictions: int) -> None:
        """What the controller of budgets would write."""
        status = {"observedGeneration": 1, "disruptionsAllowed": evictions, "currentHealthy": 1, "desiredHealthy": 1}
        done = self.session.patch(
            f"{self.budgets}/{name}/status",
            json={"status": {**status, "expectedPods": 1}},
            headers={"Content-Type": "application/merge-patch+json"},
            timeout=30,
        )
        assert done.ok, done.text

    def kubelet(self) -> None:
        for pod in self.ask("GET", "/pods")["items"]:
            if "deletionTimestamp" in pod["metadata"]:
                self.end_pod(pod["metadata"]["name"])

    def clear(self) -> None:
        super().clear()
        self.session.delete(self.budgets, timeout=30)
