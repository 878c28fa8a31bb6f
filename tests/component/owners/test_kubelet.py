# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubelet's pod-resources service, played by the genuine gRPC library on a Unix socket."""

from __future__ import annotations

import os
import pathlib
import socket
import tempfile
from concurrent import futures
from types import SimpleNamespace

import pytest

# Other tests of this process fork; the library's own handlers abort such a child.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
import grpc  # reads the variable when it is loaded

from ansible_collections.accel.gpu.plugins.module_utils._owners import probe_kubelet
from ansible_collections.accel.gpu.plugins.module_utils._owners.probe_processes import Process

GPU = "GPU-11111111-2222-3333-4444-555555555555"
MIG = "MIG-66666666-7777-8888-9999-aaaaaaaaaaaa"


def field(number, value):
    """One length-delimited protobuf field."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def container(name, *parts):
    return field(3, field(1, name) + varint(3 << 3) + varint(5) + b"".join(parts))


def plugin(resource, *identifiers):
    topology = field(3, field(1, varint(1 << 3) + varint(0)))
    return field(2, field(1, resource) + b"".join(field(2, name) for name in identifiers) + topology)


def dra(driver, device):
    claim = field(1, field(1, "k8s.gpu.nvidia.com/claim=x")) + field(2, driver) + field(3, "pool") + field(4, device)
    return field(5, field(2, "claim") + field(3, "default") + field(4, claim))


def pod(namespace, name, *containers):
    return field(1, field(1, name) + field(2, namespace) + b"".join(containers))


@pytest.fixture
def short_path():
    """A socket's path may have 107 characters, and pytest's own folders are deep."""
    with tempfile.TemporaryDirectory(prefix="k") as name:
        yield pathlib.Path(name)


@pytest.fixture
def kubelet(short_path):
    """serve(answer) starts the service; answer is bytes, or a status code to refuse with."""
    path = short_path / probe_kubelet.ROOT.lstrip("/") / probe_kubelet.SOCKET
    path.parent.mkdir(parents=True)
    servers = []

    def serve(answer):
        def listing(request, context):
            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "no")
            return answer

        handler = grpc.method_handlers_generic_handler(
            "v1.PodResourcesLister", {"List": grpc.unary_unary_rpc_method_handler(listing)}
        )
        server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_send_message_length", -1)])
        server.add_generic_rpc_handlers((handler,))
        server.add_insecure_port(f"unix://{path}")
        server.start()
        servers.append(server)

    yield SimpleNamespace(serve=serve, path=path, ports=SimpleNamespace(root=str(short_path)))
    for server in servers:
        server.stop(None)


def claims(owners):
    return [(claim.owner, claim.device) for claim in owners.allocations]


def process(*command, cgroup="0::/system.slice/x.service"):
    return Process(7, "/proc/7", command, cgroup)


KUBELET = process("/usr/bin/kubelet", "--config=/etc/kubelet.yaml")
POD = process("python3", cgroup="/kubepods.slice/kubepods-pod1.slice/cri-containerd-ab.scope")


def test_without_a_socket_there_is_no_kubelet(tmp_path):
    assert probe_kubelet.probe(SimpleNamespace(root=str(tmp_path)), [process("/sbin/init")]).present == ()


def test_a_tree_deeper_than_a_socket_may_lie_has_no_kubelet(tmp_path):
    deep = tmp_path / ("d" * 100)
    assert probe_kubelet.probe(SimpleNamespace(root=str(deep)), [process("/sbin/init")]).present == ()


def test_a_socket_of_an_earlier_boot_is_no_kubelet(kubelet):
    """It lies in /var/lib, and the node agent acts at boot before the kubelet."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(kubelet.path))
    assert probe_kubelet.probe(kubelet.ports, [process("/sbin/init")]).present == ()


@pytest.mark.parametrize("found", [KUBELET, POD, process("/usr/local/bin/k3s agent")])
def test_a_kubelet_without_its_socket_is_a_silent_owner(tmp_path, found):
    (owner,) = probe_kubelet.probe(SimpleNamespace(root=str(tmp_path)), [found]).silent
    assert "var/lib/kubelet/pod-resources/kubelet.sock" in owner.why


@pytest.mark.parametrize("option", [("--root-dir=/var/lib/k0s/kubelet",), ("--root-dir", "/var/lib/k0s/kubelet")])
def test_the_kubelet_may_live_elsewhere(tmp_path, option):
    (owner,) = probe_kubelet.probe(SimpleNamespace(root=str(tmp_path)), [process("kubelet", *option)]).silent
    assert "var/lib/k0s/kubelet/pod-resources/kubelet.sock" in owner.why


def test_device_plugin_and_dra_claims(kubelet):
    kubelet.serve(
        pod("ml", "trainer", container("main", plugin("nvidia.com/gpu", GPU), plugin("nvidia.com/mig-1g.10gb", MIG)))
        + pod("ml", "shared", container("a", plugin("nvidia.com/gpu.shared", GPU + "::3")))
        + pod("ml", "share", container("s", plugin("aliyun.com/gpu-mem", GPU + "-_-1")))
        + pod("net", "rdma", container("b", plugin("rdma/hca", "mlx5_0")))
        + pod("ml", "odd", container("c", plugin("nvidia.com/gpu", "nvidia0/vgpu1")))
        + pod(
            "ml", "dra", container("d", dra("gpu.nvidia.com", "gpu-2"), dra("gpu.nvidia.com", "gpu-0-mig-1g20gb-15-6"))
        )
        + pod("ml", "other", container("e", dra("dra.example.com", "gpu-1")))
    )
    assert claims(probe_kubelet.probe(kubelet.ports)) == [
        ("kubernetes pod ml/trainer, container main", GPU),
        ("kubernetes pod ml/trainer, container main", MIG),
        ("kubernetes pod ml/shared, container a", GPU),
        ("kubernetes pod ml/share, container s", GPU),
        ("kubernetes pod ml/odd, container c", "all"),
        ("kubernetes pod ml/dra, container d", "minor:2"),
        ("kubernetes pod ml/dra, container d", "place:gpu0/15/6"),
    ]


def test_an_answer_larger_than_the_usual_windows(kubelet):
    many = b"".join(pod("ml", f"trainer-{n}", container("main", plugin("nvidia.com/gpu", GPU))) for n in range(20000))
    assert len(many) > 1_500_000
    kubelet.serve(many)
    assert len(probe_kubelet.probe(kubelet.ports).allocations) == 20000


@pytest.mark.parametrize("answer", [grpc.StatusCode.PERMISSION_DENIED, b"\x0a\xff\xff\xff"])
def test_a_refusal_or_nonsense_is_a_silent_owner(kubelet, answer):
    kubelet.serve(answer)
    found = probe_kubelet.probe(kubelet.ports)
    assert [owner.name for owner in found.silent] == ["kubelet"]
    assert str(kubelet.path) in found.silent[0].why


@pytest.mark.parametrize(("listening", "words"), [(False, "refused"), (True, "no answer in time")])
def test_a_dead_socket_or_a_mute_kubelet_is_a_silent_owner(kubelet, listening, words, monkeypatch):
    monkeypatch.setattr(probe_kubelet, "TIMEOUT", 0.3)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(kubelet.path))
        if listening:
            peer.listen(1)
        (owner,) = probe_kubelet.probe(kubelet.ports, [KUBELET]).silent
    assert owner.name == "kubelet"
    assert words in owner.why
