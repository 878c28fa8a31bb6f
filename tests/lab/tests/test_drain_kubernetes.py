# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task files that drain a node of Kubernetes, with the genuine collection kubernetes.core.

`make test` has an API server in memory, `make test-full` a genuine kube-apiserver with etcd. There is no kubelet: the
tests take away what it would.
"""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import kube_memory
import pytest
from kube_cluster import Cluster, Genuine, InMemory
from labctl import apiserver

OURS = "accel.gpu driver_upgrade run7: new driver"
EARLIER = "accel.gpu driver_upgrade run6: upgrade failed"
PLUGIN = "nvidia.com/gpu.deploy.device-plugin"
PAUSED = "paused-for-driver-upgrade"
SERVES = "put back into service meanwhile"
GPU = {"limits": {"nvidia.com/gpu": "1"}}


@pytest.fixture
def cluster(tmp_path: Path) -> t.Iterator[Cluster]:
    with kube_memory.serve() as (store, url):
        yield InMemory(store, url, tmp_path)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[apiserver.Started]:
    with apiserver.run(tmp_path_factory.mktemp("kube")) as found:
        yield found


@pytest.fixture
def genuine(started: apiserver.Started, tmp_path: Path) -> t.Iterator[Cluster]:
    one = Genuine(started, tmp_path)
    one.clear()
    yield one


def drain_and_lift(cluster: Cluster) -> None:
    cluster.put_node(labels={PLUGIN: "true"})
    cluster.put_pod("train", GPU, owner="")
    cluster.put_pod("plugin", owner="DaemonSet", nodeSelector={PLUGIN: "true"})
    with (
        cluster.meanwhile(lambda: cluster.node() == (True, OURS), lambda: cluster.end_pod("train")),
        cluster.meanwhile(lambda: cluster.labels() == {PLUGIN: PAUSED}, lambda: cluster.end_pod("plugin")),
    ):
        told = cluster.drain("drained", timeout=60)
    assert (told["drained"], told["drained_by_us"], told["timed_out"], told["working"]) == (True, True, False, [])
    assert (cluster.node(), cluster.labels(), cluster.pods()) == ((True, OURS), {PLUGIN: PAUSED}, [])
    assert cluster.drain("undrained")["drained_by_us"] is False
    assert (cluster.node(), cluster.labels()) == ((False, None), {PLUGIN: "true"})


def test_the_drain_waits_for_pods_and_services_and_is_lifted_again(cluster: Cluster) -> None:
    drain_and_lift(cluster)


@pytest.mark.parametrize("ends", [pytest.param(True, marks=pytest.mark.full), False])
def test_a_node_that_is_uncordoned_while_work_is_waited_for_stays_in_service(cluster: Cluster, ends: bool) -> None:
    cluster.put_node(labels={PLUGIN: "true"})
    cluster.put_pod("train", GPU, owner="")
    cluster.put_pod("plugin", owner="DaemonSet", nodeSelector={PLUGIN: "true"})

    def serve() -> None:
        cluster.patch_node({"spec": {"unschedulable": None}})
        if ends:
            cluster.end_pod("train")

    began = time.monotonic()
    with cluster.meanwhile(lambda: cluster.node() == (True, OURS), serve):
        told = cluster.drain("drained", timeout=200)
    assert (told["foreign"], told["drained_by_us"], told["timed_out"]) == (SERVES, False, False)
    assert (cluster.node(), cluster.labels()) == ((False, None), {PLUGIN: "true"})
    assert time.monotonic() < began + 200


@pytest.mark.full
def test_a_node_that_is_uncordoned_while_services_pause_gets_them_back(cluster: Cluster) -> None:
    cluster.put_node(labels={PLUGIN: "true"})
    cluster.put_pod("plugin", owner="DaemonSet", nodeSelector={PLUGIN: "true"})

    def serve() -> None:
        cluster.patch_node({"spec": {"unschedulable": None}})
        cluster.end_pod("plugin")

    with cluster.meanwhile(lambda: cluster.labels() == {PLUGIN: PAUSED}, serve):
        told = cluster.drain("drained", timeout=60)
    assert (told["foreign"], told["drained_by_us"]) == (SERVES, False)
    assert (cluster.node(), cluster.labels()) == ((False, None), {PLUGIN: "true"})


@pytest.mark.full
def test_a_node_that_is_uncordoned_while_its_driver_changes_gets_its_services_back(cluster: Cluster) -> None:
    cluster.put_node(labels={PLUGIN: "true"})
    assert cluster.drain("drained")["drained_by_us"] is True
    assert cluster.labels() == {PLUGIN: PAUSED}
    cluster.patch_node({"spec": {"unschedulable": None}})
    told = cluster.drain("undrained")
    assert (told["foreign"], told["drained_by_us"]) == (None, False)
    assert (cluster.node(), cluster.labels()) == ((False, None), {PLUGIN: "true"})


@pytest.mark.full
def test_what_a_run_left_on_a_node_in_service_goes_with_the_next_look(cluster: Cluster) -> None:
    cluster.put_node(labels={PLUGIN: PAUSED})
    left = {"accel.gpu/drain": EARLIER, "accel.gpu/paused": PLUGIN}
    cluster.patch_node({"metadata": {"annotations": left}})
    # Another run's, about which only a look or a drain may decide.
    cluster.drain("undrained")
    assert (cluster.node(), cluster.labels()) == ((False, EARLIER), {PLUGIN: PAUSED})
    cluster.drain("seen", "--check")
    assert (cluster.node(), cluster.labels()) == ((False, EARLIER), {PLUGIN: PAUSED})
    assert cluster.drain("seen")["drained_by_us"] is False
    assert (cluster.node(), cluster.labels()) == ((False, None), {PLUGIN: "true"})


@pytest.mark.full
def test_a_cordon_that_another_run_took_over_is_left_alone(cluster: Cluster) -> None:
    later = "accel.gpu driver_upgrade run8: newer driver"
    why = f"drained: {later}"
    cluster.put_node()
    cluster.put_pod("train", GPU, owner="")
    taken = {"metadata": {"annotations": {"accel.gpu/drain": later}}}
    with cluster.meanwhile(lambda: cluster.node() == (True, OURS), lambda: cluster.patch_node(taken)):
        told = cluster.drain("drained", timeout=60)
    assert (told["foreign"], told["drained_by_us"], told["timed_out"]) == (why, False, False)
    assert cluster.drain("undrained")["foreign"] == why
    assert cluster.drain("kept", __drain_run="run6", __drain_note="upgrade failed")["foreign"] == why
    assert (cluster.node(), cluster.drain("seen")["adopted"]) == ((True, later), "run8")


def drained_by_run6(cluster: Cluster) -> None:
    cluster.drain("kept", __drain_run="run6", __drain_note="upgrade failed")
    assert (cluster.node(), cluster.drain("seen")["adopted"]) == ((True, EARLIER), "run6")


@pytest.mark.full
def test_a_cordon_that_is_younger_than_our_annotation_is_somebody_elses(cluster: Cluster) -> None:
    """With the managers that an API server would note; the one that is built here from Debian's sources notes none."""
    cluster.put_node()
    drained_by_run6(cluster)
    # As kubectl does it: neither takes the annotation away.
    for unschedulable in (None, True):
        cluster.patch_node({"spec": {"unschedulable": unschedulable}})
    entry = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    reason = {"f:metadata": {"f:annotations": {"f:accel.gpu/drain": {}}}}
    managers = [
        {**entry, "manager": "OpenAPI-Generator", "fieldsV1": reason},
        {**entry, "manager": "kubectl-cordon", "fieldsV1": {"f:spec": {"f:unschedulable": {}}}},
    ]
    cluster.patch_node({"metadata": {"managedFields": managers}})
    for state in ("seen", "drained", "undrained"):
        told = cluster.drain(state)
        assert (told["drained_by_us"], told["adopted"], told["timed_out"]) == (False, None, False)
        assert told["foreign"].startswith("drained: cordoned anew by kubectl-cordon; ")
    assert cluster.node() == (True, EARLIER)


@pytest.mark.full
def test_a_cordon_with_another_taint_than_ours_is_somebody_elses(genuine: Cluster) -> None:
    """The controller that adds the taint does not run here."""
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    genuine.put_node()
    genuine.drain("kept")
    genuine.patch_node({"spec": {"taints": [{**taint, "timeAdded": "2026-11-25T22:31:04Z"}]}})
    drained_by_run6(genuine)
    genuine.patch_node({"spec": {"taints": [{**taint, "timeAdded": "2026-12-20T08:00:00Z"}]}})
    told = genuine.drain("drained")
    assert (told["drained_by_us"], told["foreign"].partition(";")[0]) == (False, "drained: cordoned anew")
    assert genuine.node() == (True, EARLIER)


@pytest.mark.full
def test_a_genuine_api_server_is_told_the_same(genuine: Cluster) -> None:
    drain_and_lift(genuine)


@pytest.mark.full
def test_check_mode_changes_nothing(genuine: Cluster) -> None:
    genuine.put_node(labels={PLUGIN: "true"})
    genuine.put_pod("web", GPU)
    genuine.drain("drained", "--check", kubernetes={"evict": True})
    assert (genuine.node(), genuine.labels(), genuine.pods()) == ((False, None), {PLUGIN: "true"}, ["web"])
    genuine.drain("kept")
    assert genuine.drain("undrained", "--check")["drained_by_us"] is True
    assert genuine.node() == (True, OURS)


@pytest.mark.full
def test_a_pod_that_stays_keeps_the_node(genuine: Cluster) -> None:
    genuine.put_node()
    genuine.put_pod("train", GPU, owner="")
    genuine.put_pod("elsewhere", GPU, nodeName="n2")
    told = genuine.drain("drained")
    assert (told["timed_out"], told["drained_by_us"], told["working"]) == (True, False, ["pod default/train"])
    assert (genuine.node(), "train" in genuine.pods()) == ((False, None), True)


@pytest.mark.full
@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (None, "drained, without a reason"),
        ("accel.gpu RMA-4711: bad DIMM", "drained: accel.gpu RMA-4711: bad DIMM"),
    ],
)
def test_a_cordon_of_somebody_else_stays(genuine: Cluster, reason: str | None, why: str) -> None:
    genuine.put_node(reason, cordoned=True)
    for state in ("drained", "undrained"):
        told = genuine.drain(state)
        assert (told["foreign"], told["drained_by_us"]) == (why, False)
    assert genuine.node() == (True, reason)


@pytest.mark.full
def test_a_cordon_that_was_taken_over_is_given_back(genuine: Cluster) -> None:
    genuine.put_node()
    drained_by_run6(genuine)
    genuine.put_pod("train", GPU)
    told = genuine.drain("drained")
    assert (told["timed_out"], told["adopted"], told["adopted_note"]) == (True, "run6", "upgrade failed")
    assert genuine.node() == (True, EARLIER)
    genuine.end_pod("train")
    assert genuine.drain("drained")["drained_by_us"] is True
    assert genuine.node() == (True, OURS)
    genuine.drain("kept", __drain_run="run6", __drain_note="upgrade failed")
    assert genuine.node() == (True, EARLIER)


@pytest.mark.full
def test_pods_are_evicted_once_their_budget_allows_it(genuine: Cluster) -> None:
    genuine.put_node()
    genuine.put_pod("web", GPU)
    genuine.protect("web")
    began = time.monotonic()
    with genuine.meanwhile(lambda: time.monotonic() > began + 30, lambda: genuine.unprotect("web")):
        told = genuine.drain("drained", timeout=200, kubernetes={"evict": True})
    assert (told["drained"], told["timed_out"], genuine.pods()) == (True, False, [])
    assert time.monotonic() > began + 30


@pytest.mark.full
@pytest.mark.parametrize(
    ("pod", "why"),
    [
        ({}, "disruption budget"),
        ({"owner": ""}, "cannot delete Pods not managed by"),
        ({"volumes": [{"name": "scratch", "emptyDir": {}}]}, "cannot delete Pods with local storage: default/web"),
    ],
)
def test_pods_that_may_not_be_evicted_are_named(genuine: Cluster, pod: dict[str, t.Any], why: str) -> None:
    genuine.put_node()
    genuine.put_pod("web", GPU, **pod)
    genuine.protect("web")
    told = genuine.drain("drained", kubernetes={"evict": True})
    assert (told["timed_out"], told["drained_by_us"], genuine.node()) == (True, False, (False, None))
    assert told["working"][0] == "pod default/web" and why in told["working"][1] and "web" in told["working"][1]


@pytest.mark.full
def test_services_that_nothing_takes_away_are_refused_before_the_drain(genuine: Cluster) -> None:
    genuine.put_node()
    container = {"name": "main", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0"}
    genuine.put_pod("plugin", owner="DaemonSet", containers=[container])
    out = genuine.drain("drained", fails=True)["out"]
    assert "pod default/plugin" in " ".join(out.split())
    assert genuine.node() == (False, None)


@pytest.mark.full
def test_an_api_server_that_restarts_ends_no_drain(cluster: Cluster) -> None:
    cluster.put_node()
    cluster.put_pod("train", GPU)
    store = t.cast("InMemory", cluster).store

    def away() -> None:
        store.away = True
        time.sleep(10)
        store.away = False
        cluster.end_pod("train")

    with cluster.meanwhile(lambda: cluster.node() == (True, OURS), away):
        told = cluster.drain("drained", timeout=120)
    assert (told["drained"], told["drained_by_us"], cluster.node()) == (True, True, (True, OURS))


@pytest.mark.full
def test_a_node_that_the_cluster_does_not_know(genuine: Cluster) -> None:
    assert "Kubernetes has no node n1" in genuine.drain("drained", fails=True)["out"]
