# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._drain.kubernetes import judge
from ansible_collections.accel.gpu.plugins.module_utils._drain.model import Wish

SERVES = "put back into service meanwhile"
OURS = {"accel.gpu/drain": "accel.gpu upgrade run7: new driver"}
EARLIER = {"accel.gpu/drain": "accel.gpu upgrade run6: failed"}
PERSON = {"accel.gpu/drain": "accel.gpu RMA-4711: bad DIMM"}
PLUGIN = "nvidia.com/gpu.deploy.device-plugin"
DCGM = "nvidia.com/gpu.deploy.dcgm-exporter"


def wish(adopt=False, adopt_run=""):
    return Wish("drained", "kubernetes", "", "run7", "new driver", "upgrade", adopt, adopt_run=adopt_run)


def node(unschedulable=None, annotations=None, labels=None, managers=None, added=None):
    spec = {} if unschedulable is None else {"unschedulable": unschedulable}
    if added:
        spec["taints"] = [
            {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": added},
        ]
    metadata = {"name": "gpu1", "annotations": annotations, "labels": labels, "managedFields": managers}
    return {"metadata": metadata, "spec": spec}


def manager(name, *fields, operation="Update"):
    """As the API server of 1.20 and later tells who wrote which fields."""
    known = {
        "cordon": {"f:spec": {"f:unschedulable": {}}},
        "reason": {"f:metadata": {"f:annotations": {".": {}, "f:accel.gpu/drain": {}}}},
        "label": {"f:metadata": {"f:labels": {"f:zone": {}}}},
    }
    written = {key: value for field in fields for key, value in known[field].items()}
    entry = {"manager": name, "operation": operation, "apiVersion": "v1", "time": "2026-11-25T22:31:04Z"}
    return {**entry, "fieldsType": "FieldsV1", "fieldsV1": written}


def pod(name, phase="Running", limits=None, owner="ReplicaSet", image="web:1", env=(), **spec):
    container = {"name": "main", "image": image, "env": list(env), "resources": {"limits": limits} if limits else {}}
    return {
        "metadata": {"name": name, "namespace": "ai", "ownerReferences": [{"kind": owner}] if owner else None},
        "spec": {"containers": [container], **spec},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("given", "adopt", "drained", "by_us", "foreign"),
    [
        (node(), False, False, False, None),
        (node(False, OURS), False, False, False, None),
        (node(True, OURS), False, True, True, None),
        (node(True), True, True, False, "drained, without a reason"),
        (node(True, {"other": "x"}), True, True, False, "drained, without a reason"),
        (node(True, EARLIER), False, True, False, "drained: accel.gpu upgrade run6: failed"),
        (node(True, EARLIER), True, True, True, None),
        (node(True, PERSON), True, True, False, "drained: accel.gpu RMA-4711: bad DIMM"),
    ],
)
def test_whose_cordon_it_is(given, adopt, drained, by_us, foreign):
    told = judge(given, [], wish(adopt))
    assert (told["drained"], told["drained_by_us"], told["foreign"]) == (drained, by_us, foreign)


def test_the_run_whose_cordon_is_adopted():
    told = judge(node(True, EARLIER), [], wish(adopt=True))
    assert (told["adopted"], told["adopted_note"]) == ("run6", "failed")
    assert judge(node(True, OURS), [], wish(adopt=True))["adopted"] is None


ANSIBLE = "OpenAPI-Generator"
STALE = "its annotation accel.gpu/drain is an old one (accel.gpu upgrade run7: new driver)"


@pytest.mark.parametrize(
    ("managers", "foreign"),
    [
        ([manager(ANSIBLE, "cordon", "reason"), manager("kubectl", "label")], None),
        (
            [manager(ANSIBLE, "reason"), manager("kubectl-cordon", "cordon")],
            f"cordoned anew by kubectl-cordon; {STALE}",
        ),
        # The same program, and another one of its ways.
        (
            [manager(ANSIBLE, "reason"), manager(ANSIBLE, "cordon", operation="Apply")],
            f"cordoned anew by {ANSIBLE}; {STALE}",
        ),
        # Somebody has applied the cordon that was there, so two have it.
        ([manager(ANSIBLE, "cordon", "reason"), manager("argocd", "cordon", operation="Apply")], None),
        # Nothing is known.
        ([], None),
        ([manager("kubectl", "cordon")], None),
        ([manager(ANSIBLE, "reason")], None),
        ([manager(ANSIBLE, "reason"), manager("ancient-changes", "cordon")], None),
    ],
)
def test_a_cordon_that_is_younger_than_our_annotation_is_somebody_elses(managers, foreign):
    told = judge(node(True, OURS, managers=managers), [], wish())
    assert (told["drained_by_us"], told["foreign"]) == (foreign is None, foreign and f"drained: {foreign}")


@pytest.mark.parametrize(
    ("noted", "added", "ours"),
    [
        ("2026-11-25T22:31:04Z", "2026-11-25T22:31:04Z", True),
        ("2026-11-25T22:31:04Z", "2026-12-20T08:00:00Z", False),
        (None, "2026-12-20T08:00:00Z", True),
        ("2026-11-25T22:31:04Z", None, True),
    ],
)
def test_a_cordon_with_another_taint_than_ours_is_somebody_elses(noted, added, ours):
    annotations = {**EARLIER, **({"accel.gpu/drained-since": noted} if noted else {})}
    # By the same program, so that managers tell nothing.
    given = node(True, annotations, managers=[manager(ANSIBLE, "cordon", "reason")], added=added)
    told = judge(given, [], wish(adopt=True))
    assert (told["drained_by_us"], told["adopted"]) == ((True, "run6") if ours else (False, None))
    assert ours or told["foreign"].startswith("drained: cordoned anew; its annotation")


def test_a_drain_that_is_left_for_later_notes_the_taint_of_its_cordon():
    given = node(True, OURS, added="2026-11-25T22:31:04Z")
    assert judge(given, [], wish())["patches"]["keep"]["metadata"]["annotations"] == {
        **OURS,
        "accel.gpu/drained-since": "2026-11-25T22:31:04Z",
        "accel.gpu/paused": None,
    }
    # That of a cordon which is gone is not ours.
    gone = judge(node(None, OURS, added="2026-11-25T22:31:04Z"), [], wish())
    assert gone["patches"]["cordon"]["metadata"]["annotations"] == {**OURS, "accel.gpu/drained-since": None}


def test_a_node_that_was_uncordoned_meanwhile_is_not_ours():
    told = judge(node(None, OURS), [], wish(), cordoned=True)
    assert (told["drained"], told["drained_by_us"], told["foreign"]) == (False, False, SERVES)
    assert judge(node(True, OURS), [], wish(), cordoned=True)["foreign"] is None
    assert judge(node(True), [], wish(), cordoned=True)["foreign"] == "drained, without a reason"


@pytest.mark.parametrize(
    ("given", "wished", "left"),
    [
        (node(None, OURS), wish(), True),
        (node(None, {"accel.gpu/paused": PLUGIN}), wish(), True),
        (node(None, EARLIER), wish(adopt=True), True),
        # Another run may be about to cordon it.
        (node(None, EARLIER), wish(), False),
        (node(None, {**EARLIER, "accel.gpu/paused": PLUGIN}), wish(), False),
        (node(None, PERSON), wish(adopt=True), False),
        (node(), wish(adopt=True), False),
        (node(True, OURS), wish(), False),
        (node(True, {"accel.gpu/paused": PLUGIN}), wish(), False),
        (node(True, OURS, managers=[manager(ANSIBLE, "reason"), manager("kubectl", "cordon")]), wish(), True),
        (node(True, EARLIER, managers=[manager(ANSIBLE, "reason"), manager("kubectl", "cordon")]), wish(True), False),
    ],
)
def test_what_is_left_behind_where_our_cordon_is_gone(given, wished, left):
    assert judge(given, [], wished)["left_behind"] is left


def test_the_cordon_of_one_other_run_is_ours_where_it_is_named():
    assert judge(node(True, EARLIER), [], wish(adopt_run="run6"))["drained_by_us"] is True
    assert judge(node(True, EARLIER), [], wish(adopt_run="run5"))["drained_by_us"] is False


def test_pods_that_hold_gpus():
    pods = [
        pod("train", limits={"nvidia.com/gpu": "8"}),
        pod("starts", "Pending", {"nvidia.com/mig-1g.10gb": 1}),
        pod("ended", "Succeeded", {"nvidia.com/gpu": "8"}),
        pod("web", limits={"cpu": "1"}),
        pod("none", limits={"nvidia.com/gpu": "0"}),
        pod("claims", resourceClaims=[{"name": "gpu"}]),
        pod("prepares", initContainers=[{"resources": {"requests": {"nvidia.com/gpu": 1}}}]),
    ]
    told = judge(node(True, OURS), pods, wish())
    assert told["working"] == ["pod ai/train", "pod ai/starts", "pod ai/claims", "pod ai/prepares"]
    assert (told["drained"], told["drained_by_us"]) == (False, True)


def test_pods_that_stay_on_a_cordoned_node():
    mirror = pod("etcd-gpu1", owner="Node")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "b1c2"}
    pods = [
        pod("web"),
        pod("batch", owner="Job"),
        pod("exporter-x2x4z", owner="DaemonSet"),
        pod("ended-abcde", "Failed", owner="DaemonSet"),
        pod("by-hand", owner=None),
        mirror,
    ]
    assert judge(node(True, OURS), pods, wish())["staying"] == ["pod ai/exporter-x2x4z", "pod ai/etcd-gpu1"]


def visible(value):
    return [{"name": "NVIDIA_VISIBLE_DEVICES", "value": value}]


@pytest.mark.parametrize(
    ("given", "services", "strangers"),
    [
        (pod("plugin", owner="DaemonSet", nodeSelector={PLUGIN: "true"}), True, False),
        (pod("plugin", owner="DaemonSet", image="nvcr.io/nvidia/k8s-device-plugin:v0.20.0"), False, True),
        (pod("dcgm", owner="DaemonSet", image="nvcr.io/nvidia/k8s/dcgm-exporter@sha256:1f"), False, True),
        (pod("dcgm", owner="DaemonSet", image="localhost:5000/dcgm"), False, True),
        (pod("other", owner="DaemonSet", runtimeClassName="nvidia"), False, True),
        (pod("other", owner="DaemonSet", env=visible("all")), False, True),
        (pod("other", owner="DaemonSet", env=visible("void")), False, False),
        (pod("logs", owner="DaemonSet", nodeSelector={"kubernetes.io/os": "linux"}), False, False),
        # The driver's own DaemonSet is not paused by us.
        (
            pod(
                "d", owner="DaemonSet", runtimeClassName="nvidia", nodeSelector={"nvidia.com/gpu.deploy.driver": "true"}
            ),
            False,
            True,
        ),
        (pod("ended", "Failed", owner="DaemonSet", env=visible("all")), False, False),
        (pod("once", owner=None, env=visible("all")), False, False),
    ],
)
def test_services_that_keep_gpus_open(given, services, strangers):
    told = judge(node(True, OURS), [given], wish())
    assert (bool(told["services"]), bool(told["strangers"]), told["working"]) == (services, strangers, [])


def patches(annotations, labels):
    return judge(node(True, annotations, labels), [], wish())["patches"]


def test_a_cordon_carries_its_reason():
    assert patches(None, None)["cordon"] == {
        "metadata": {"annotations": {**OURS, "accel.gpu/drained-since": None}, "labels": {}},
        "spec": {"unschedulable": True},
    }


def test_services_are_paused_and_come_back():
    labels = {PLUGIN: "true", DCGM: "false", "nvidia.com/gpu.deploy.driver": "true", "zone": "true"}
    pause = patches(OURS, labels)["pause"]
    assert pause == {
        "metadata": {"annotations": {"accel.gpu/paused": PLUGIN}, "labels": {PLUGIN: "paused-for-driver-upgrade"}}
    }
    paused = ({**OURS, **pause["metadata"]["annotations"]}, {**labels, **pause["metadata"]["labels"]})
    assert patches(*paused)["pause"] == {}
    gone = {"accel.gpu/drain": None, "accel.gpu/drained-since": None, "accel.gpu/paused": None}
    assert patches(*paused)["lift"] == {
        "metadata": {"annotations": gone, "labels": {PLUGIN: "true"}},
        "spec": {"unschedulable": None},
    }
    # The cordon of somebody else stays.
    assert patches(*paused)["clear"] == {"metadata": {"annotations": gone, "labels": {PLUGIN: "true"}}}
    assert patches(*paused)["keep"] == {
        "metadata": {"annotations": {**gone, **OURS}, "labels": {PLUGIN: "true"}},
        "spec": {"unschedulable": True},
    }


def test_only_what_we_paused_comes_back():
    annotations = {**OURS, "accel.gpu/paused": f"{PLUGIN},{DCGM}"}
    labels = {
        PLUGIN: "false",
        DCGM: "paused-for-driver-upgrade",
        "nvidia.com/gpu.deploy.gfd": "paused-for-driver-upgrade",
    }
    assert patches(annotations, labels)["lift"]["metadata"]["labels"] == {DCGM: "true"}


def test_what_is_deployed_again_while_we_pause_is_paused_as_well():
    annotations = {**OURS, "accel.gpu/paused": PLUGIN}
    labels = {PLUGIN: "paused-for-driver-upgrade", DCGM: "true"}
    assert patches(annotations, labels)["pause"]["metadata"]["annotations"] == {"accel.gpu/paused": f"{PLUGIN},{DCGM}"}
