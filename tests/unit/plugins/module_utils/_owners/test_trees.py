# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners found in constructed trees (not taken from a machine): containers, MPS daemons, vGPUs, Slurm's daemon."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._owners import (
    probe,
    probe_containers,
    probe_machines,
    probe_mps,
    probe_slurm,
)
from ansible_collections.accel.gpu.plugins.module_utils._owners.probe_processes import processes

GPU = "GPU-11111111-2222-3333-4444-555555555555"
MIG = "MIG-66666666-7777-8888-9999-aaaaaaaaaaaa"
DOCKER = "0::/system.slice/docker-" + "ab12" * 16 + ".scope"
POD = "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + "cd34" * 16 + ".scope"


class Node:
    """A tree with /proc, /dev and /sys, and answers for the commands that a probe may run."""

    def __init__(self, root):
        self.root = root
        self.answers = {}
        self.asked = []
        (root / "proc").mkdir()
        (root / "dev").mkdir()

    def process(self, pid, *command, cgroup="0::/", namespace=1, dev=None, environ=""):
        path = self.root / "proc" / str(pid)
        (path / "ns").mkdir(parents=True)
        (path / "ns" / "mnt").symlink_to(f"mnt:[{namespace}]")
        (path / "root").mkdir()
        (path / "cmdline").write_text("\0".join(command) + "\0")
        (path / "cgroup").write_text(cgroup + "\n")
        (path / "environ").write_text(environ)
        if dev is None:
            (path / "root" / "dev").symlink_to(self.root / "dev")
        else:
            for name in dev:
                file = path / "root" / "dev" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("")
        return path

    def minors(self, text):
        path = self.root / "proc/driver/nvidia-caps"
        path.mkdir(parents=True)
        (path / "mig-minors").write_text(text)

    def file(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def ports(self):
        return SimpleNamespace(root=str(self.root), run=self.run)

    def run(self, argv, timeout=None, stdin=None):
        self.asked.append((tuple(argv), stdin))
        key = " ".join(argv) + (f" < {stdin.strip()}" if stdin else "")
        return self.answers.get(key, (127, "", f"{argv[0]}: not expected: {key}"))

    @property
    def processes(self):
        return tuple(processes(str(self.root)))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def devices(owners):
    return [claim.device for claim in owners.allocations]


class TestContainers:
    def test_a_container_claims_the_gpus_in_its_own_dev(self, node):
        node.process(1, "/sbin/init")
        node.process(
            100, "python3", "train.py", cgroup=DOCKER, namespace=2, dev=["null", "nvidia0", "nvidia3", "nvidiactl"]
        )
        node.process(101, "python3", "worker", cgroup=DOCKER, namespace=2, dev=["nvidia0"])
        found = probe_containers.probe(node.ports, node.processes)
        assert devices(found) == ["minor:0", "minor:3"]
        assert found.allocations[0].owner == "container docker ab12ab12ab12 (PID 100, python3)"

    def test_a_service_with_a_private_namespace_but_the_nodes_dev_is_no_container(self, node):
        node.file("dev/nvidia0", "")
        node.process(50, "/usr/sbin/chronyd", cgroup="0::/system.slice/chrony.service", namespace=7)
        assert probe_containers.probe(node.ports, node.processes).allocations == ()

    @pytest.mark.parametrize(
        ("variable", "claimed"),
        [("all", ["all"]), ("0,1", ["all"]), (f"{MIG},{GPU}", [MIG, GPU]), ("void", []), ("none", []), ("", [])],
    )
    def test_a_container_with_the_nodes_dev_claims_what_it_was_started_for(self, node, variable, claimed):
        node.process(100, "jupyter", cgroup=DOCKER, namespace=2, environ=f"A=b\0NVIDIA_VISIBLE_DEVICES={variable}\0")
        assert devices(probe_containers.probe(node.ports, node.processes)) == claimed

    def test_the_variable_of_a_service_means_nothing(self, node):
        node.process(50, "x", cgroup="0::/system.slice/x.service", environ="NVIDIA_VISIBLE_DEVICES=all\0")
        assert probe_containers.probe(node.ports, node.processes).allocations == ()

    def test_mig_devices_are_claimed_by_capability_not_by_their_gpu(self, node):
        node.minors("config 1\nmonitor 2\ngpu0/gi9/access 66\ngpu0/gi9/ci0/access 67\ngpu1/gi1/access 70\n")
        node.process(
            100, "jupyter", cgroup=DOCKER, namespace=2,
            dev=["nvidia0", "nvidia1"] + ["nvidia-caps/nvidia-cap" + number for number in ("66", "67", "9")],
        )  # fmt: skip
        assert devices(probe_containers.probe(node.ports, node.processes)) == ["cap:gpu0/gi9/ci0", "minor:1"]

    @pytest.mark.parametrize(
        ("pids", "why"),
        [
            ((1,), None),
            ((1, 7), "PID 7 (x) cannot be looked at with the rights of this user"),
            (
                (4, 5, 6, 7, 8),
                "PID 4 (x), PID 5 (x), PID 6 (x) and 2 more cannot be looked at with the rights of this user",
            ),
        ],
    )
    def test_who_cannot_be_looked_at_is_named_and_init_is_no_container(self, node, monkeypatch, pids, why):
        for pid in pids:
            node.process(pid, "/usr/bin/x")

        def denied(path):
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(probe_containers.os, "readlink", denied)
        assert [owner.why for owner in probe_containers.probe(node.ports, node.processes).silent] == (
            [why] if why else []
        )

    def test_pods_are_left_to_the_kubelet(self, node):
        node.process(100, "dcgm-exporter", cgroup=POD, namespace=2, dev=["nvidia0"])
        assert probe_containers.probe(node.ports, node.processes).allocations == ()


class TestSlurm:
    NODE = "scontrol --oneliner show node gpu01"
    JOBS = "scontrol --details --oneliner show job"
    LINE = "JobId=4 UserId=ada(1) JobState=RUNNING NodeList=gpu01 Nodes=gpu01 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:2) X=y"

    def test_no_slurmd_no_question(self, node):
        node.process(1, "/sbin/init")
        assert probe_slurm.probe(node.ports, node.processes).present == ()
        assert node.asked == []

    @pytest.mark.parametrize(
        ("gres", "claimed"),
        [
            ("gpu:a100:8(S:0-1)", ["minor:2"]),
            ("gpu:a100:7(S:0-1)", ["all"]),
            ("gpu:a100:4,gpu:1g.10gb:28", ["all"]),
            ("gpu:a30:4,gpu:q6k:4", ["all"]),
            ("(null)", ["all"]),
        ],
    )
    def test_jobs_of_the_node(self, node, gres, claimed):
        for minor in range(8):
            node.file(f"dev/nvidia{minor}", "")
        node.process(9, "/usr/sbin/slurmd", "-D", "-N", "gpu01")
        node.answers = {self.NODE: (0, f"NodeName=gpu01 Gres={gres} State=MIXED", ""), self.JOBS: (0, self.LINE, "")}
        found = probe_slurm.probe(node.ports, node.processes)
        assert devices(found) == claimed
        assert found.silent == ()

    def test_a_step_outlives_its_daemon(self, node, monkeypatch):
        monkeypatch.setattr(probe_slurm.socket, "gethostname", lambda: "gpu01.cluster")
        node.process(12, "slurmstepd: [4.batch]")
        node.answers = {self.NODE: (0, "NodeName=gpu01 Gres=(null)", ""), self.JOBS: (0, self.LINE, "")}
        assert devices(probe_slurm.probe(node.ports, node.processes)) == ["all"]

    def test_no_jobs_is_an_answer(self, node):
        node.process(9, "slurmd", "-N", "gpu01")
        node.answers = {self.NODE: (0, "Gres=gpu:1", ""), self.JOBS: (1, "No jobs in the system\n", "")}
        found = probe_slurm.probe(node.ports, node.processes)
        assert (found.allocations, found.silent) == ((), ())

    def test_a_controller_that_does_not_answer_is_a_silent_owner(self, node):
        node.process(9, "slurmd", "-Ngpu01")
        node.answers = {self.NODE: (1, "", "slurm_load_node: Unable to contact slurm controller")}
        (owner,) = probe_slurm.probe(node.ports, node.processes).silent
        assert owner.name == "Slurm"
        assert owner.why == f"{self.NODE}: slurm_load_node: Unable to contact slurm controller"


class TestMps:
    CONTROL = "env CUDA_MPS_PIPE_DIRECTORY=/run/mps nvidia-cuda-mps-control"

    def daemon(self, node, visible):
        node.process(
            40, "/usr/bin/nvidia-cuda-mps-control", "-d",
            environ=f"CUDA_MPS_PIPE_DIRECTORY=/run/mps\0CUDA_VISIBLE_DEVICES={visible}\0",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("visible", "claimed"),
        [
            (f"{GPU},{MIG}", [GPU, MIG] * 2),
            ("0", ["all"] * 2),
            ("", ["all"] * 2),
            # CUDA takes the beginning of a UUID, too.
            ("GPU-1111", ["all"] * 2),
            (f"MIG-{GPU}/1/0", ["all"] * 2),
        ],
    )
    def test_clients_claim_the_daemons_devices(self, node, visible, claimed):
        self.daemon(node, visible)
        node.answers = {
            self.CONTROL + " < get_server_list": (0, "51\n", ""),
            self.CONTROL + " < get_client_list 51": (0, "60\n61\n", ""),
        }
        found = probe_mps.probe(node.ports, node.processes)
        assert devices(found) == claimed
        assert found.allocations[0].owner == "MPS daemon (PID 40), client PID 60"

    def test_a_daemon_without_clients_claims_nothing(self, node):
        self.daemon(node, "0")
        node.answers = {self.CONTROL + " < get_server_list": (0, "", "")}
        found = probe_mps.probe(node.ports, node.processes)
        assert (found.allocations, found.silent) == ((), ())

    def test_a_daemon_that_cannot_be_asked_is_silent(self, node):
        self.daemon(node, "0")
        node.answers = {self.CONTROL + " < get_server_list": (0, "Cannot find MPS control daemon process\n", "")}
        (owner,) = probe_mps.probe(node.ports, node.processes).silent
        assert "Cannot find MPS control daemon process" in owner.why


class TestMachines:
    def test_mediated_devices_and_typed_virtual_functions_claim_their_gpu(self, node):
        node.file("sys/class/mdev_bus/0000:07:00.0/mdev_supported_types/nvidia-558/devices/uuid-1/x", "")
        node.file("sys/bus/pci/devices/0000:0f:00.4/nvidia/current_vgpu_type", "1132\n")
        node.file("sys/bus/pci/devices/0000:0f:00.5/nvidia/current_vgpu_type", "0\n")
        for function in ("0000:0f:00.4", "0000:0f:00.5"):
            (node.root / "sys/bus/pci/devices" / function / "physfn").symlink_to("../0000:0f:00.0")
        assert [(claim.owner, claim.device) for claim in probe_machines.probe(node.ports).allocations] == [
            ("vGPU uuid-1", "pci:0000:07:00.0"),
            ("vGPU type 1132 on 0000:0f:00.4", "pci:0000:0f:00.0"),
        ]


def test_an_empty_node_has_no_owner(node):
    assert probe.probe(node.ports) == probe.Owners()
