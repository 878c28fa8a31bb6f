# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a reset: who is meant, whole refusals, the order of the steps."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._holders.objects import Holder, Holders
from ansible_collections.accel.gpu.plugins.module_utils._mig.decide import Wish as MigWish
from ansible_collections.accel.gpu.plugins.module_utils._mig.model import Options
from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse as parse_node
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Busy, Claim
from ansible_collections.accel.gpu.plugins.module_utils._reset.model import State
from ansible_collections.accel.gpu.plugins.module_utils._reset.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._reset.plan import plan
from ansible_collections.accel.gpu.plugins.module_utils._reset.targets import select
from ansible_collections.accel.gpu.plugins.module_utils._select import parse_selector
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

A, H = "a100-80gb", "h100-80gb-sxm5"
LOST = GpuFailure(2, "gpu_lost", "RESET_REQUIRED", pci="0000:3d:00.0", uuid="GPU-00000002-lost")
NAMELESS = GpuFailure(2, "gpu_lost", "GPU_IS_LOST")
SWITCH = {"nvlinks": [{"link": 0, "active": True, "remote_pci": "0000:c1:00.0"}]}
JOB = Claim("slurm", "job 42", False)
WORK = Claim("process", "77 (train)", True, 77)


def node(*gpus, failures=()):
    return dataclasses.replace(boards.node(*gpus), failures=tuple(failures))


def pair(key=H, **changes):
    return [boards.gpu(key, index=index, mig=False, minor=index, **changes) for index in (0, 1)]


def planned(snapshot, gpus="all", state=None, **options):
    return plan(parse({"gpus": gpus, **options}), State(snapshot, **(state or {})))


def steps(made):
    return [type(step).__name__ for step in made.steps]


@pytest.mark.parametrize(
    ("selector", "exclude", "found"),
    [
        ("all", None, [0, 1, 2]),
        ("all", [{"index": 2}], [0, 1]),
        ("all", [{"uuid": "GPU-00000001"}], [0, 2]),
        ({"index": 1}, None, [1]),
        ({"index": 2}, None, [2]),
        ({"uuid": "GPU-00000002"}, None, [2]),
        ({"pci": "3d:00.0"}, None, [2]),
        ({"model": "*H100*"}, None, [0, 1]),
        ({"model": "*A100*"}, None, []),
    ],
)
def test_gpus_without_an_answer_are_meant_by_what_they_still_tell(selector, exclude, found):
    targets = select(parse_selector(selector, "gpus", exclude), node(*pair(), failures=[LOST]))
    assert [target.index for target in targets] == found


def test_a_gpu_that_tells_nothing_may_be_the_one_that_is_meant():
    targets = select(parse_selector({"uuid": "GPU-9"}, "gpus"), node(*pair(), failures=[NAMELESS]))
    assert [(target.index, target.uuid) for target in targets] == [(2, "")]
    with pytest.raises(WishError, match="GPU-9 matches no GPU of this node"):
        select(parse_selector({"uuid": "GPU-9"}, "gpus"), node(*pair(), failures=[LOST]))


BEGIN = "gpus (GPU-00000000-0000-4000-8000-000000000000, NVIDIA H100 80GB HBM3): the GPU cannot be reset"
SILENT = "gpus (GPU-00000002-lost, 0000:3d:00.0): the GPU cannot be reset"


@pytest.mark.parametrize(
    ("snapshot", "gpus", "state", "kind", "message"),
    [
        pytest.param(
            node(boards.gpu(H, mig=False, virtualization="vgpu")),
            "all",
            {},
            "blocked",
            f"{BEGIN}: it is a vGPU, whose reset belongs to the hypervisor",
            id="vgpu",
        ),
        pytest.param(
            node(*pair()),
            {"index": 0},
            {"holders": Holders(reset_reachable=False)},
            "blocked",
            f"{BEGIN}: nvidia-smi, which does it, cannot be run on this node; install it",
            id="no nvidia-smi",
        ),
        pytest.param(
            node(*pair()),
            {"index": 0},
            {"busy": Busy({"GPU-00000000-0000-4000-8000-000000000000": (JOB,)})},
            "busy",
            f"{BEGIN} now: it is in use by slurm job 42; drain it first, or give allow_reset_allocated: true, or give "
            "when_busy: defer",
            id="allocation",
        ),
        pytest.param(
            node(*pair()),
            {"index": 0},
            {"busy": Busy({"GPU-00000000-0000-4000-8000-000000000000": (JOB, WORK)})},
            "busy",
            f"{BEGIN} now: it is in use by slurm job 42, process 77 (train); drain it first, or give when_busy: defer",
            id="process",
        ),
        pytest.param(
            node(*pair(), failures=[LOST]),
            {"index": 2},
            {"busy": Busy(unknown=(Claim("kubelet", "(could not be asked: x)", True),))},
            "busy",
            f"{SILENT} now: it is in use by kubelet (could not be asked: x); drain it first, or give when_busy: defer",
            id="silent owner",
        ),
        pytest.param(
            node(*pair(), failures=[LOST]),
            {"index": 2},
            {"silent_claims": (JOB,)},
            "busy",
            f"{SILENT} now: it is in use by slurm job 42; drain it first, or give allow_reset_allocated: true, or give "
            "when_busy: defer",
            id="allocation of no answering GPU",
        ),
        pytest.param(
            node(*pair(), failures=[LOST]),
            {"index": 2},
            {"strangers": ("python (PID 5)",)},
            "busy",
            f"{SILENT} now: it gives no answer, and python (PID 5) has a GPU open that gives none; stop it, or give "
            "when_busy: defer",
            id="open device of no answering GPU",
        ),
        pytest.param(
            node(*pair(), failures=[NAMELESS]),
            {"index": 2},
            {},
            "blocked",
            "gpus (GPU 2, no answer): the GPU cannot be reset: it does not even tell its UUID and PCI address, so "
            "nvidia-smi cannot reach it either; drain the node and reboot it (GPU_IS_LOST)",
            id="off the bus",
        ),
        pytest.param(
            node(*pair(A, health=SWITCH), failures=[LOST]),
            {"index": 2},
            {"fabric_manager": False},
            "blocked",
            f"{SILENT} by itself: GPUs of this node are coupled by NVLink, and one without an answer cannot be reset "
            "together with others; drain the node and reboot it",
            id="silent among coupled ones",
        ),
        pytest.param(
            node(*pair("a100-80gb", architecture="volta", health=SWITCH)),
            {"index": 1},
            {},
            "blocked",
            "gpus (GPU-00000001-0000-4000-8000-000000000000, NVIDIA A100-SXM4-80GB): the GPU cannot be reset by "
            "itself: NVLink couples it with 0000:3b:00.0 (GPU-00000000-0000-4000-8000-000000000000); name all of them "
            "in gpus",
            id="coupled before Ampere",
        ),
        pytest.param(
            node(*pair()),
            {"index": 0},
            {"holders": Holders(known=(Holder("x-holder", pid=9),))},
            "blocked",
            f"{BEGIN} now: it is held open by x-holder (PID 9), which is not known to be safe to stop; stop it and run "
            "again",
            id="holder",
        ),
        pytest.param(
            node(*pair()),
            "all",
            {"root": False},
            "permission",
            "a reset of GPUs needs root, this runs as another user; set become: true",
            id="no root",
        ),
    ],
)
def test_refusals(snapshot, gpus, state, kind, message):
    made = planned(snapshot, gpus, state)
    assert made.refusal is not None
    assert (made.refusal.kind, made.refusal.message) == (kind, message)
    assert made.result()["gpus_reset"] == []
    assert made.diff == {"before": {}, "after": {}}


def test_all_refusals_are_told_at_once():
    made = planned(node(*(dataclasses.replace(gpu, virtualization="vgpu") for gpu in pair())))
    assert made.refusal is not None and len(made.refusal.message.splitlines()) == 2


def test_a_coupled_gpu_waits_with_its_busy_peer():
    gpus = pair(A, health=SWITCH)
    busy = Busy({gpus[1].uuid: (WORK,)})
    made = planned(node(*gpus), "all", {"fabric_manager": False, "busy": busy}, when_busy="defer")
    assert (made.changed, made.steps, made.refusal) == (False, (), None)
    assert made.result()["deferred"] == [gpu.uuid for gpu in gpus]
    assert made.actions[0]["reason"] == (
        "it is reset together with GPU-00000001-0000-4000-8000-000000000000, NVIDIA A100-SXM4-80GB, which is busy"
    )


def test_instances_go_before_the_first_reset_and_holders_before_them():
    gpus = [boards.gpu(A, index=0, instances=[("3g.40gb", 4)]), boards.gpu(A, index=1, mig=False, pending=True)]
    units = (Holder("dcgm", "nvidia-dcgm.service"), Holder("pd", "nvidia-persistenced.service"))
    made = planned(node(*gpus), state={"holders": Holders(units)})
    assert steps(made) == [
        "StopHolder",
        "StopHolder",
        "DestroyComputeInstance",
        "DestroyGpuInstance",
        "SetMigMode",
        "ResetSet",
        "ResetSet",
        "StartHolder",
        "StartHolder",
    ]
    assert list(made.diff["after"].values()) == [["reset", "mig on", "3g.40gb at 4:4"], ["reset", "mig off"]]


def test_only_holders_of_what_is_reset_are_stopped():
    gpus = pair()
    units = tuple(Holder(f"{n}", f"{n}.service", devices=(gpu.uuid,)) for n, gpu in enumerate(gpus))
    made = planned(node(*gpus), {"index": 1}, {"holders": Holders(units)})
    assert [step.unit for step in made.steps if hasattr(step, "unit")] == ["1.service", "1.service"]
    silent = planned(node(*gpus, failures=[LOST]), {"index": 2}, {"holders": Holders(units)})
    assert [step.unit for step in silent.steps if hasattr(step, "unit")] == ["0.service", "1.service"] * 2


def wished(geometry, **options):
    return {"geometry": MigWish(parse_node(geometry), Options(**options))}


@pytest.mark.parametrize(
    ("geometry", "options", "after", "note"),
    [
        ([{"gpus": "all", "instances": {"7g.80gb": 1}}], {}, ["mig on", "7g.80gb at 0:8"], ""),
        ([{"gpus": "all", "mig": False}], {}, ["mig off"], ""),
        # It says nothing else than what is there: then the very places stay.
        ([{"gpus": "all", "instances": {"3g.40gb": 1}}], {}, ["mig on", "3g.40gb at 4:4"], ""),
        ([{"gpus": {"model": "*H100*"}, "mig": False}], {}, ["mig on", "3g.40gb at 4:4"], ""),
        ([{"gpus": "all", "mig": False}], {"apply": "next_boot"}, ["mig on", "3g.40gb at 4:4"], ""),
        (
            [{"gpus": {"index": 5}, "mig": False}],
            {},
            ["mig on", "3g.40gb at 4:4"],
            "the stored wish cannot be made (geometry[0].gpus.index: 5 matches no GPU of this node; it has 0: ",
        ),
    ],
)
def test_what_geometry_comes_back(geometry, options, after, note):
    gpu = boards.gpu(A, instances=[("3g.40gb", 4)])
    made = planned(node(gpu), state=wished(geometry, **options))
    assert next(iter(made.diff["after"].values())) == ["reset", *after]
    notes = [line["reason"] for line in made.actions if line["object"] == "wish"]
    assert [text.startswith(note) for text in notes] == ([True] if note else [])


def test_a_gpu_without_mig_and_one_without_an_answer_restore_no_layout():
    made = planned(node(boards.gpu("t4"), failures=[LOST]))
    kinds = [(line["action"], line["object"]) for line in made.actions]
    assert ("deferred", "MIG geometry") in kinds
    assert "restore_layout" not in [action for action, _object in kinds]
