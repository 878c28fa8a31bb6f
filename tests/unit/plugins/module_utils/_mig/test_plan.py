# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan says and does where the search is not the point: modes, busy GPUs, owners, boots, reports."""

from __future__ import annotations

import dataclasses
import datetime
import random
import time

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import BlockedError, BusyError, GpuHungError, WishError
from ansible_collections.accel.gpu.plugins.module_utils._holders.objects import Holder, Holders
from ansible_collections.accel.gpu.plugins.module_utils._mig import model
from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._mig.plan import plan
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure, Placement, Process
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Busy, Claim
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._mig import machine, oracle

A = "a100-80gb"
H = "h100-80gb-sxm5"


def wish(mig=True, instances=None, **more):
    item = {"gpus": "all", "mig": mig, **more}
    return parse([{**item, "instances": instances} if instances is not None else item])


def planned(gpu, wished, busy=None, holders=None, **options):
    return plan(wished, boards.node(gpu), busy or Busy(), holders or Holders(), model.Options(**options))


def kinds(made):
    return [type(step).__name__ for step in made.steps]


def told(made, action):
    return [(line["object"], line["reason"]) for line in made.actions if line["action"] == action]


# --- modes (live_node rules 12 and 13) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "current", "pending", "mig", "steps"),
    [
        (A, False, False, True, ["SetMigMode", "ResetGpu"]),
        (A, True, True, False, ["SetMigMode", "ResetGpu"]),
        (A, False, True, True, ["ResetGpu"]),
        (A, False, True, False, ["SetMigMode"]),
        (A, True, False, True, ["SetMigMode"]),
        (A, True, True, True, []),
        (A, False, False, False, []),
        (H, False, False, True, ["SetMigMode"]),
        (H, True, True, False, ["SetMigMode"]),
        (H, False, True, True, ["SetMigMode"]),
        (H, False, True, False, ["SetMigMode"]),
        (H, True, True, True, []),
    ],
)
def test_mode(key, current, pending, mig, steps):
    gpu = boards.gpu(key, mig=current, pending=pending)
    made = planned(gpu, wish(mig))
    assert kinds(made) == steps
    after = machine.apply(key, gpu, made.steps)
    assert (after.mig.current, after.mig.pending) == (mig, mig)
    assert not planned(after, wish(mig)).changed


def test_mode_and_instances_in_one_plan():
    made = planned(boards.gpu(A, mig=False), wish(instances={"3g.40gb": 2}))
    assert kinds(made) == ["SetMigMode", "ResetGpu"] + ["CreateGpuInstance", "CreateComputeInstance"] * 2
    assert made.gpus[0].before.lines() == ["mig off"]
    assert made.gpus[0].after.lines() == ["mig on", "3g.40gb at 0:4", "3g.40gb at 4:4"]


def test_instances_go_before_the_mode():
    made = planned(boards.gpu(A, instances=[("1g.10gb", 0)]), wish(False))
    assert kinds(made) == ["DestroyComputeInstance", "DestroyGpuInstance", "SetMigMode", "ResetGpu"]


def test_only_the_gpu_that_differs_is_touched():
    gpus = [boards.gpu(A, mig=number == 1, index=number) for number in range(3)]
    made = plan(wish(False), boards.node(*gpus))
    assert {getattr(step, "gpu", None) for step in made.steps} == {gpus[1].uuid}
    assert [gpu.changed for gpu in made.gpus] == [False, True, False]
    assert list(made.diff["after"]) == [f"{gpus[1].pci} {gpus[1].name} {gpus[1].uuid}"]


@pytest.mark.parametrize(
    ("gpu", "why"),
    [
        (boards.gpu(A, mig=False, virtualization="passthrough"), "could strand the GPU"),
        (boards.gpu(A, mig=False, virtualization="vgpu"), "belongs to the hypervisor"),
        (boards.gpu(H, mig=False, virtualization="vgpu"), "belongs to the hypervisor"),
    ],
)
@pytest.mark.parametrize("apply", ["now", "next_boot"])
def test_a_guest_that_cannot_complete_the_change_is_refused(gpu, why, apply):
    made = planned(gpu, wish(), apply=apply, when_busy="defer")
    assert isinstance(made.refusal, BlockedError)
    assert why in made.refusal.message
    assert not made.changed


def test_hopper_in_a_guest_needs_no_reset():
    assert kinds(planned(boards.gpu(H, mig=False, virtualization="passthrough"), wish())) == ["SetMigMode"]


def test_a_vgpu_cannot_make_instances():
    made = planned(boards.gpu(H, virtualization="vgpu"), wish(instances={"7g.80gb": 1}))
    assert isinstance(made.refusal, BlockedError)


def test_known_holders_are_stopped_once_and_started_again():
    holders = Holders(
        (Holder("persistenced", "nvidia-persistenced.service"), Holder("dcgm", "nvidia-dcgm.service", 12))
    )
    gpus = [boards.gpu(key, mig=False, index=number) for number, key in enumerate((A, H))]
    made = plan(wish(), boards.node(*gpus), holders=holders)
    assert kinds(made) == ["StopHolder"] * 2 + ["SetMigMode", "ResetGpu", "SetMigMode"] + ["StartHolder"] * 2
    assert kinds(plan(wish(), boards.node(boards.gpu(A)), holders=holders)) == []
    assert told(made, "stop_holder")[0][0] == "nvidia-persistenced.service"


def test_holders_of_other_gpus_stay():
    gpus = [boards.gpu(A, mig=number == 0, index=number) for number in range(2)]
    holders = Holders((Holder("x", "x.service", None, (gpus[0].uuid,)),))
    assert kinds(plan(wish(), boards.node(*gpus), holders=holders)) == ["SetMigMode", "ResetGpu"]


@pytest.mark.parametrize("key", [A, H])
def test_an_unknown_holder_is_named(key):
    made = planned(boards.gpu(key, mig=False), wish(), holders=Holders(unknown=(Holder("nvsm", pid=77),)))
    assert isinstance(made.refusal, BlockedError)
    assert made.refusal.message == (
        f"geometry[0] ({made.gpus[0].uuid}, {made.gpus[0].name}): MIG cannot be switched on now: it is held open by "
        "nvsm (PID 77), which is not known to be safe to stop; stop it and run again, or give mig_apply: next_boot"
    )


def test_without_a_way_to_reset_only_ampere_is_refused():
    holders = Holders(reset_reachable=False)
    assert isinstance(planned(boards.gpu(A, mig=False), wish(), holders=holders).refusal, BlockedError)
    assert planned(boards.gpu(H, mig=False), wish(), holders=holders).refusal is None
    taken_back = planned(boards.gpu(A, mig=False, pending=True), wish(False), holders=holders)
    assert kinds(taken_back) == ["SetMigMode"]


def test_a_pending_mode_that_nobody_wished_is_told():
    gpu = boards.gpu(A, mig=False, pending=True)
    made = plan(parse([]), boards.node(gpu))
    assert not made.changed
    assert made.result() == {"reset_required": [gpu.uuid], "reboot_required": False, "deferred": []}
    assert told(made, "note")[0][0] == "mig on pending"


@pytest.mark.parametrize("when_busy", ["refuse", "defer"])
def test_a_pending_mode_that_cannot_be_completed_now_owes_its_reset(when_busy):
    gpu = boards.gpu(A, mig=False, pending=True, processes=[Process(1, "compute", "x", None, None, None)])
    made = planned(gpu, wish(), when_busy=when_busy)
    assert made.result()["reset_required"] == [gpu.uuid]
    idle = boards.gpu(A, mig=False, processes=[Process(1, "compute", "x", None, None, None)])
    assert planned(idle, wish(), when_busy=when_busy).result()["reset_required"] == []


def test_next_boot_touches_nothing_and_owes_a_reboot():
    gpu = boards.gpu(A, instances=[("1g.10gb", 0)], processes=[Process(1, "compute", "x", None, 1, 0)])
    made = planned(gpu, wish(instances={"7g.80gb": 1}), apply="next_boot")
    assert (made.steps, made.refusal, made.changed) == ((), None, False)
    assert made.result() == {"reset_required": [], "reboot_required": True, "deferred": [gpu.uuid]}
    right = planned(boards.gpu(A, instances=[("7g.80gb", 0)]), wish(instances={"7g.80gb": 1}), apply="next_boot")
    assert right.result() == {"reset_required": [], "reboot_required": False, "deferred": []}


def test_drivers_that_list_no_profiles_while_mig_is_off_are_planned_twice():
    gpu = boards.gpu(A, mig=False)
    blind = dataclasses.replace(gpu, mig=dataclasses.replace(gpu.mig, profiles=()))
    made = planned(blind, wish(instances={"7g.80gb": 1}))
    assert kinds(made) == ["SetMigMode", "ResetGpu"]
    assert made.gpus[0].replan
    on = dataclasses.replace(blind, mig=dataclasses.replace(blind.mig, current=True, pending=True))
    with pytest.raises(WishError, match="lists no GPU instance profiles although MIG is on"):
        planned(on, wish(instances={"7g.80gb": 1}))


# --- busy (live_node rules 1 and 2) --------------------------------------------------------------------------------

JOB = Claim("slurm", "job 42", False)


def two():
    return boards.gpu(A, instances=[("3g.40gb", 0), ("3g.40gb", 4)])


def mig_uuid(gpu, number):
    return gpu.mig.instances[number].compute_instances[0].uuid


def test_a_busy_instance_stays_and_the_other_goes():
    gpu = two()
    made = planned(gpu, wish(instances={"3g.40gb": 1, "1g.10gb": 3}), Busy({mig_uuid(gpu, 1): (JOB,)}))
    assert made.gpus[0].after.layout[-1].placement == Placement(4, 4)
    assert ("3g.40gb at 4:4", "geometry[0] wishes it, in use by slurm job 42") in told(made, "keep")


def test_refusal_names_owner_process_and_instance():
    gpu = dataclasses.replace(two(), processes=(Process(4711, "compute", "python", 1, 1, 0),))
    made = planned(gpu, wish(instances={"7g.80gb": 1}), Busy({mig_uuid(gpu, 1): (JOB,)}))
    assert isinstance(made.refusal, BusyError)
    assert made.refusal.message == (
        f"geometry[0] ({gpu.uuid}, {gpu.name}): the wish needs GPU instances that are in use: 3g.40gb at 0:4 is "
        "in use by process 4711 (python); 3g.40gb at 4:4 is in use by slurm job 42; drain them first, or give "
        "when_busy: defer, or give allow_destroy_allocated: true for allocations without a process"
    )
    assert made.refusal.facts["owners"] == ["process 4711 (python)", "slurm job 42"]


def test_what_is_refused_makes_no_difference_on_any_gpu():
    busy = boards.gpu(H, instances=[("1g.10gb", 0)], processes=[Process(7, "compute", "x", None, 1, 0)])
    idle = boards.gpu(H, index=1, instances=[("1g.10gb", 0)])
    wished = wish(instances={"7g.80gb": 1})
    refused = plan(wished, boards.node(busy, idle))
    assert isinstance(refused.refusal, BusyError)
    assert refused.diff == {"before": {}, "after": {}}
    deferred = plan(wished, boards.node(busy, idle), options=model.Options(when_busy="defer"))
    assert len(deferred.diff["after"]) == 1


def test_defer_leaves_the_gpu_and_does_the_others():
    gpus = [dataclasses.replace(two(), processes=(Process(9, "compute", "x", 1, 1, 0),)), boards.gpu(A, index=1)]
    made = plan(wish(instances={"7g.80gb": 1}), boards.node(*gpus), options=model.Options(when_busy="defer"))
    assert made.refusal is None
    assert {getattr(step, "gpu", None) for step in made.steps} == {gpus[1].uuid}
    assert made.result()["deferred"] == [gpus[0].uuid]
    assert "process 9 (x)" in told(made, "deferred")[0][1]
    # What happens already is no remedy.
    assert told(made, "deferred")[0][1].endswith("; drain them first")


def test_allow_destroy_allocated_overrides_allocations_only():
    gpu = two()
    idle = Busy({mig_uuid(gpu, 0): (JOB,)})
    assert planned(gpu, wish(instances={"7g.80gb": 1}), idle).refusal is not None
    made = planned(gpu, wish(instances={"7g.80gb": 1}), idle, allow_destroy_allocated=True)
    assert made.refusal is None
    assert made.changed
    assert told(made, "note") == [
        ("3g.40gb at 0:4", "was allocated to slurm job 42 without a process; allow_destroy_allocated lets it go")
    ]
    working = Busy({mig_uuid(gpu, 0): (JOB, Claim("container", "abc", True, 5))})
    assert planned(gpu, wish(instances={"7g.80gb": 1}), working, allow_destroy_allocated=True).refusal is not None


@pytest.mark.parametrize("allowed", [False, True])
def test_an_owner_that_cannot_be_asked_makes_everything_busy(allowed):
    busy = Busy(unknown=(Claim("kubelet", "cannot be asked", False),))
    made = planned(two(), wish(instances={"7g.80gb": 1}), busy, allow_destroy_allocated=allowed)
    assert isinstance(made.refusal, BusyError)
    assert planned(two(), wish(instances={"3g.40gb": 2}), busy).refusal is None


def test_processes_that_cannot_be_listed_make_the_gpu_busy():
    gpu = dataclasses.replace(two(), processes_complete=False)
    assert isinstance(planned(gpu, wish(instances={"7g.80gb": 1})).refusal, BusyError)


def test_a_claim_on_the_whole_gpu_locks_every_instance():
    gpu = two()
    busy = Busy({gpu.uuid: (Claim("vm", "guest7", True),)})
    assert planned(gpu, wish(instances={"3g.40gb": 1}), busy).refusal is not None
    assert planned(gpu, wish(instances={"3g.40gb": 2}), busy).refusal is None


@pytest.mark.parametrize("key", [A, H])
def test_a_busy_gpu_keeps_its_mode(key):
    gpu = boards.gpu(key, mig=False, processes=[Process(9, "compute", "train")])
    assert isinstance(planned(gpu, wish()).refusal, BusyError)
    assert planned(gpu, wish(), when_busy="defer").result()["deferred"] == [gpu.uuid]


def test_a_busy_compute_instance_is_not_mended_away():
    gpu = boards.gpu(A, instances=[("3g.40gb", 0, ("1c.3g.40gb", "1c.3g.40gb"))])
    busy = dataclasses.replace(gpu, processes=(Process(9, "compute", "x", None, 1, 1),))
    assert planned(gpu, wish(instances={"3g.40gb": 1})).refusal is None
    assert isinstance(planned(busy, wish(instances={"3g.40gb": 1})).refusal, BusyError)
    one = [{"profile": "3g.40gb", "compute": ["1c"]}]
    made = planned(busy, wish(instances=one))
    assert [step.compute_id for step in made.steps if isinstance(step, model.DestroyComputeInstance)] == [0]


def test_several_refusals_become_one_error_with_a_line_each():
    gpus = [boards.gpu(A, mig=False, index=number, processes=[Process(number + 1, "compute")]) for number in range(2)]
    made = plan(wish(), boards.node(*gpus))
    assert isinstance(made.refusal, BusyError)
    assert [line.split(" (")[1][:12] for line in made.refusal.message.split("\n")] == [gpu.uuid[:12] for gpu in gpus]


# --- GPUs without an answer ----------------------------------------------------------------------------------------

HUNG = GpuFailure(1, "gpu_hung", "nvmlDeviceGetMigMode did not answer", "0000:3c:00.0", "GPU-dead")


@pytest.mark.parametrize(
    ("gpus", "error"),
    [
        ("all", GpuHungError),
        ({"uuid": "GPU-dead"}, GpuHungError),
        ({"index": 1}, GpuHungError),
        ({"pci": "3c:00.0"}, GpuHungError),
        ({"model": "*A100*"}, None),
        ({"index": 0}, None),
    ],
)
def test_a_wish_for_a_gpu_without_an_answer_is_an_error(gpus, error):
    snapshot = dataclasses.replace(boards.node(boards.gpu(A)), failures=(HUNG,))
    if error is None:
        made = plan(parse([{"gpus": gpus, "mig": True}]), snapshot)
        assert made.refusal is None
        assert told(made, "left_alone")[0][0] == "GPU 1"
    elif gpus == "all":
        assert isinstance(plan(parse([{"gpus": gpus, "mig": True}]), snapshot).refusal, error)
    else:
        with pytest.raises(error, match="did not answer"):
            plan(parse([{"gpus": gpus, "mig": True}]), snapshot)


def test_a_gpu_without_an_answer_can_be_excepted():
    snapshot = dataclasses.replace(boards.node(boards.gpu(A)), failures=(HUNG,))
    made = plan(parse([{"gpus": "all", "except": [{"uuid": "GPU-dead"}], "mig": True}]), snapshot)
    assert made.refusal is None


def test_the_excepted_gpu_may_be_the_one_that_tells_no_uuid():
    mute = GpuFailure(1, "gpu_hung", "nvmlDeviceGetPciInfo did not answer")
    snapshot = dataclasses.replace(boards.node(boards.gpu(A)), failures=(mute,))
    made = plan(parse([{"gpus": "all", "except": [{"uuid": "GPU-dead"}], "mig": True}]), snapshot)
    assert made.refusal is None
    assert told(made, "left_alone")[0][0] == "GPU 1"
    both = dataclasses.replace(snapshot, failures=(mute, dataclasses.replace(HUNG, index=2)))
    assert plan(parse([{"gpus": "all", "except": [{"uuid": "GPU-dead"}], "mig": True}]), both).refusal is None


def test_failed_calls_block_what_cannot_be_judged():
    failed = ({"call": "nvmlDeviceGetComputeRunningProcesses", "code_name": "UNKNOWN", "message": ""},)
    gpu = dataclasses.replace(two(), failures=failed)
    assert isinstance(planned(gpu, wish(instances={"7g.80gb": 1})).refusal, BlockedError)
    assert planned(gpu, wish(instances={"3g.40gb": 2})).refusal is None


# --- what is told --------------------------------------------------------------------------------------------------


def test_a_gpu_that_is_right_is_told_in_one_line():
    gpu = two()
    made = planned(gpu, wish(instances={"3g.40gb": 2}))
    assert told(made, "keep") == [("mig on, 3g.40gb at 0:4, 3g.40gb at 4:4", "is as geometry[0] wishes")]
    assert (made.changed, made.diff, made.steps) == (False, {"before": {}, "after": {}}, ())


def test_gpus_without_a_wish_and_without_mig_are_told():
    gpus = [boards.gpu("t4", index=0), boards.gpu(A, index=1)]
    made = plan(parse([{"gpus": {"index": 0}, "mig": False}]), boards.node(*gpus))
    assert told(made, "keep") == [("GPU", "has no MIG, as geometry[0] wishes")]
    assert told(made, "left_alone") == [("GPU", "no item of the wish means it")]


def test_without_instances_in_the_wish_those_that_are_there_stay():
    made = planned(two(), wish())
    assert not made.changed
    assert told(made, "keep") == [("mig on", "is as geometry[0] wishes; it says nothing about instances")]


def test_reason_and_expiry_are_told():
    gpu = boards.gpu(H, instances=[("7g.80gb", 0)])
    item = wish(False, reason="debug", until=datetime.date(2026, 12, 1))
    before = planned(gpu, item, today=datetime.date(2026, 12, 1))
    after = planned(gpu, item, today=datetime.date(2026, 12, 2))
    assert told(before, "set_mig_mode") == [("mig off", "mode differs from the wish: geometry[0] (debug)")]
    assert told(before, "note") == []
    assert told(after, "note") == [("wish", "geometry[0] was meant until 2026-12-01, which has passed")]


def test_every_action_names_its_gpu_and_has_a_reason():
    made = planned(two(), wish(instances={"1g.10gb": 7}))
    assert all(line["gpu"] == made.gpus[0].uuid and line["reason"] and line["object"] for line in made.actions)


def test_the_double_memory_profile_gets_all_its_sms():
    """On Hopper two compute instances span it; the one with 16 SMs wastes ten (NVIDIA/go-nvlib#85)."""
    narrow = boards.gpu(H, instances=[("1g.20gb", 0, ("1g.20gb#0",))])
    made = planned(narrow, wish(instances={"1g.20gb": 1}))
    assert kinds(made) == ["DestroyComputeInstance", "CreateComputeInstance"]
    wide = machine.apply(H, narrow, made.steps)
    inner = wide.mig.instances[0].compute_instances[0]
    assert next(row.sms for row in wide.mig.instances[0].compute_profiles if row.id == inner.profile_id) == 26
    assert not planned(wide, wish(instances={"1g.20gb": 1})).changed


# --- time ----------------------------------------------------------------------------------------------------------


def test_planning_time_of_a_node_with_eight_gpus(record_property):
    """Printed, not asserted: eight different layouts, each to another geometry, no answer remembered from before."""
    chance = random.Random(1)
    everything = [layout for layout in oracle.layouts(H) if len(layout) >= 3]
    worst = 0.0
    for _unused in range(5):
        gpus, items = [], []
        for index in range(8):
            standing = sorted(chance.choice(everything), key=lambda position: position[1])
            gpus.append(boards.gpu(H, instances=standing, index=index))
            target = [{"profile": name} for name, start in chance.choice(everything)]
            items.append({"gpus": {"index": index}, "instances": target})
        begin = time.perf_counter()
        made = plan(parse(items), boards.node(*gpus))
        worst = max(worst, time.perf_counter() - begin)
        assert len(made.gpus) == 8
    record_property("planning_ms", round(worst * 1000, 1))
    print(f"planning an 8-GPU node: {worst * 1000:.1f} ms")
