# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._drain.kubernetes import judge

OURS = {"accel.gpu/drain": "accel.gpu upgrade run7: new driver"}
EARLIER = {"accel.gpu/drain": "accel.gpu upgrade run6: failed"}
PERSON = {"accel.gpu/drain": "accel.gpu RMA-4711: bad DIMM"}


def node(unschedulable=None, annotations=None):
    spec = {} if unschedulable is None else {"unschedulable": unschedulable}
    return {"metadata": {"name": "gpu1", "annotations": annotations}, "spec": spec}


def pod(name, phase="Running", limits=None, **spec):
    container = {"name": "main", "resources": {"limits": limits} if limits else {}}
    return {
        "metadata": {"name": name, "namespace": "ai"},
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
    told = judge(given, [], "run7", "upgrade", adopt)
    assert (told["drained"], told["drained_by_us"], told["foreign"]) == (drained, by_us, foreign)


def test_the_run_whose_cordon_is_adopted():
    told = judge(node(True, EARLIER), [], "run7", "upgrade", True)
    assert (told["adopted"], told["adopted_note"]) == ("run6", "failed")
    assert judge(node(True, OURS), [], "run7", "upgrade", True)["adopted"] is None


def test_pods_that_hold_gpus():
    pods = [
        pod("train", limits={"nvidia.com/gpu": "8"}),
        pod("starts", "Pending", {"nvidia.com/mig-1g.10gb": 1}),
        pod("ended", "Succeeded", {"nvidia.com/gpu": "8"}),
        pod("web", limits={"cpu": "1"}),
        pod("none", limits={"nvidia.com/gpu": "0"}),
        pod("exporter"),
        pod("claims", resourceClaims=[{"name": "gpu"}]),
        pod("prepares", initContainers=[{"resources": {"requests": {"nvidia.com/gpu": 1}}}]),
    ]
    told = judge(node(True, OURS), pods, "run7", "upgrade", False)
    assert told["working"] == ["pod ai/train", "pod ai/starts", "pod ai/claims", "pod ai/prepares"]
    assert (told["drained"], told["drained_by_us"]) == (False, True)
