# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that needs no GPU and that a reboot would end, in constructed trees (not taken from a machine)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._owners import probe_work

ID = "ab12" * 16
UID = "0a1b2c3d-0000-1111-2222-333344445555"
POD_SLICE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + UID.replace("-", "_") + ".slice"
JOBS = "scontrol --details --oneliner show job"


class Node:
    def __init__(self, root):
        self.root = root
        self.answers = {}
        self.process(1, "/sbin/init", cgroup="/init.scope")

    def process(self, pid, *command, cgroup="/system.slice/x.service", opens=()):
        path = self.root / "proc" / str(pid)
        (path / "fd").mkdir(parents=True, exist_ok=True)
        (path / "cmdline").write_text("\0".join(command) + "\0")
        (path / "cgroup").write_text(f"0::{cgroup}\n")
        for number, target in enumerate(opens):
            (path / "fd" / str(number)).symlink_to(target)

    def pod(self, name, uid=UID):
        (self.root / "var/log/pods" / f"{name}_{uid}").mkdir(parents=True)

    def run(self, argv, timeout=None, stdin=None):
        return self.answers[" ".join(argv)]

    @property
    def work(self):
        return probe_work.probe(SimpleNamespace(root=str(self.root), run=self.run))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_an_idle_node_has_no_work(node):
    node.process(2, "/usr/bin/dockerd", cgroup="/system.slice/docker.service")
    node.process(3, "/usr/bin/containerd-shim-runc-v2", cgroup="/system.slice/containerd.service")
    node.process(4, "/usr/bin/conmon", cgroup=f"/machine.slice/libpod-conmon-{ID}.scope")
    node.process(5, "/usr/sbin/qemu-ga", opens=["/dev/virtio-ports/org.qemu.guest_agent.0"])
    node.process(6, "/usr/libexec/lxc-monitord", cgroup="/lxc.monitor.web")
    assert node.work == ()


def test_a_job_without_a_gpu_is_work(node):
    node.process(9, "/usr/sbin/slurmd", "-D", "-N", "n1")
    job = "JobId={} UserId=ada(1001) JobState={} NodeList={} Nodes={} CPU_IDs=0-3 Mem=100 GRES="
    jobs = [job.format(4, "RUNNING", "n1", "n1"), job.format(5, "PENDING", "n1", "n1")]
    node.answers[JOBS] = (0, "\n".join([*jobs, job.format(6, "RUNNING", "n2", "n2")]), "")
    assert node.work == ("Slurm job 4 of ada(1001)",)


def test_an_owner_that_cannot_be_asked_counts_as_working(node):
    node.process(9, "/usr/sbin/slurmd", "-N", "n1")
    node.answers[JOBS] = (1, "", "Unable to contact slurm controller")
    assert node.work == (f"Slurm (could not be asked: {JOBS}: Unable to contact slurm controller)",)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("team-a_trainer-0", "kubernetes pod team-a/trainer-0"),
        ("default_web-abcde", "kubernetes pod default/web-abcde"),
        ("kube-system_kube-proxy-x2x4z", None),
        ("openshift-dns_dns-default-1", None),
        ("gpu-operator_nvidia-device-plugin-daemonset-7", None),
        # nothing tells whose it is
        (None, f"kubernetes pod {UID}"),
    ],
)
@pytest.mark.parametrize("cgroup", [POD_SLICE, f"/kubepods/burstable/pod{UID}"])
def test_pods_are_work_but_those_of_the_cluster_itself(node, name, told, cgroup):
    if name:
        node.pod(name)
    node.process(20, "/pause", cgroup=f"{cgroup}/cri-containerd-{ID}.scope")
    node.process(21, "python3", cgroup=f"{cgroup}/cri-containerd-{ID[::-1]}.scope")
    assert node.work == ((told,) if told else ())


@pytest.mark.parametrize(
    ("cgroup", "name"),
    [
        (f"/system.slice/docker-{ID}.scope", "docker ab12ab12ab12"),
        (f"/docker/{ID}", "docker ab12ab12ab12"),
        (f"/machine.slice/libpod-{ID}.scope/container", "libpod ab12ab12ab12"),
        (f"/user.slice/user-7.slice/user@7.service/user.slice/libpod-{ID}.scope", "libpod ab12ab12ab12"),
        ("/lxc.payload.web/init.scope", "web"),
        ("/machine.slice/machine-web.scope/payload", "web"),
    ],
)
def test_containers_of_any_engine_are_work(node, cgroup, name):
    node.process(30, "/usr/bin/python3", "serve.py", cgroup=cgroup)
    node.process(31, "/usr/bin/python3", cgroup=cgroup)
    assert node.work == (f"container {name} (PID 30, python3)",)


def test_a_container_in_which_infrastructure_alone_runs_is_no_work(node):
    node.process(30, "/usr/bin/dcgm-exporter", cgroup=f"/docker/{ID}")
    assert node.work == ()
    node.process(31, "/bin/sh", cgroup=f"/docker/{ID}")
    assert node.work == ("container docker ab12ab12ab12 (PID 30, dcgm-exporter)",)


def test_the_container_that_the_node_itself_is_does_not_count(node):
    node.process(1, "/sbin/init", cgroup=f"/docker/{ID}/init.scope")
    node.process(8, "/usr/sbin/sshd", cgroup=f"/docker/{ID}/system.slice/ssh.service")
    assert node.work == ()


@pytest.mark.parametrize(
    ("program", "cgroup", "opens"),
    [
        ("/usr/bin/qemu-system-x86_64", r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator", []),
        ("/usr/libexec/qemu-kvm", "/user.slice", []),
        ("/opt/bin/vmm", "/system.slice/vmm.service", ["/dev/null", "anon_inode:kvm-vm"]),
        ("/opt/bin/dpdk", "/system.slice/dpdk.service", ["/dev/vfio/17"]),
    ],
)
def test_virtual_machines_and_devices_passed_through_are_work(node, program, cgroup, opens):
    node.process(40, program, cgroup=cgroup, opens=opens)
    assert node.work == (f"virtual machine (PID 40, {program.rpartition('/')[2]})",)
