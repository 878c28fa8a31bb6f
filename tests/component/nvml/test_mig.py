# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The MIG changes of the NVML port: one call each, and every refusal by its NVML code."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import NotRootError, NvmlError
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Placement
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import open_session


def profile(session, uuid, name):
    return next(entry for entry in session.mig_state(uuid).profiles if entry.name == name)


@pytest.fixture
def hopper(node, session):
    """(Sim, UUID) of an H100 with MIG on."""
    sim = node("h100-80gb-sxm5")
    uuid = session.snapshot().gpus[0].uuid
    assert session.set_mig_mode(uuid, True) == "success"
    return sim, uuid


def refused(code, function, *args):
    with pytest.raises(NvmlError) as caught:
        function(*args)
    assert caught.value.facts["code_name"] == code
    return caught.value


def test_an_instance_is_made_where_it_is_wished_and_unmade(hopper, session):
    _sim, uuid = hopper
    three = profile(session, uuid, "3g.40gb")
    gi_id = session.create_gpu_instance(uuid, three.id, Placement(4, 4))
    offered = session.compute_profiles(uuid, gi_id)
    assert [entry.name for entry in offered][:3] == ["1c.3g.40gb", "2c.3g.40gb", "3g.40gb"]
    whole = next(entry for entry in offered if entry.name == "3g.40gb")
    ci_id = session.create_compute_instance(uuid, gi_id, whole.id)
    (instance,) = session.mig_state(uuid).instances
    assert (instance.id, instance.profile, instance.placement) == (gi_id, "3g.40gb", Placement(4, 4))
    (compute,) = instance.compute_instances
    assert (compute.id, compute.profile) == (ci_id, "3g.40gb")
    assert compute.uuid.startswith("MIG-")
    session.destroy_compute_instance(uuid, gi_id, ci_id)
    session.destroy_gpu_instance(uuid, gi_id)
    assert session.mig_state(uuid).instances == ()


def test_compute_instances_are_placed_too(hopper, session):
    _sim, uuid = hopper
    gi_id = session.create_gpu_instance(uuid, profile(session, uuid, "3g.40gb").id, Placement(0, 4))
    small = session.compute_profiles(uuid, gi_id)[0]
    last = small.placements[-1]
    session.create_compute_instance(uuid, gi_id, small.id, last)
    session.create_compute_instance(uuid, gi_id, small.id, small.placements[0])
    placed = session.mig_state(uuid).instances[0].compute_instances
    assert [compute.placement for compute in placed] == [small.placements[0], last]


def test_a_double_memory_instance_has_its_own_spanning_profile(hopper, session):
    """On Hopper 1g.20gb has 26 SMs, and compute profile 1c would waste ten of them."""
    _sim, uuid = hopper
    double = profile(session, uuid, "1g.20gb")
    gi_id = session.create_gpu_instance(uuid, double.id, double.placements[0])
    offered = session.compute_profiles(uuid, gi_id)
    assert [(entry.id, entry.slices, entry.sms) for entry in offered] == [(0, 1, 16), (7, 1, 26)]


def test_all_instances_of_a30_are_found_although_it_counts_wrong(node, session):
    sim = node("a30-24gb")
    sim.smi("-i", "0", "-mig", "1", check=True)
    sim.control("reset 0")
    uuid = session.snapshot().gpus[0].uuid
    one = profile(session, uuid, "1g.6gb")
    for placement in one.placements:
        session.create_gpu_instance(uuid, one.id, placement)
    assert [instance.placement.start for instance in session.mig_state(uuid).instances] == [0, 1, 2, 3]


def test_the_mode_of_ampere_waits_for_a_reset(node, session):
    sim = node("a100-80gb")
    uuid = session.snapshot().gpus[0].uuid
    status = session.set_mig_mode(uuid, True)
    state = session.mig_state(uuid)
    assert status != "success" or state.current
    assert state.pending is True
    session.release()
    sim.control("reset 0")
    assert session.mig_state(uuid).current is True


def test_a_busy_gpu_is_told_as_status_not_as_error(node, session):
    sim = node("h100-80gb-sxm5")
    uuid = session.snapshot().gpus[0].uuid
    sim.occupy(0)
    assert session.set_mig_mode(uuid, True) == "in_use"


def test_refusals_carry_code_call_and_gpu(hopper, session):
    sim, uuid = hopper
    three = profile(session, uuid, "3g.40gb")
    gi_id = session.create_gpu_instance(uuid, three.id, Placement(0, 4))
    error = refused("INSUFFICIENT_RESOURCES", session.create_gpu_instance, uuid, three.id, Placement(0, 4))
    pci = sim.gpu(0)["pci"].lower()[-12:]
    assert error.facts["call"] == "nvmlDeviceCreateGpuInstanceWithPlacement"
    assert error.facts["gpu"] == pci
    assert error.message.startswith(f"nvmlDeviceCreateGpuInstanceWithPlacement on GPU {pci} failed: INSUFFICIENT_")
    refused("NOT_FOUND", session.destroy_gpu_instance, uuid, gi_id + 1)
    refused("NOT_FOUND", session.destroy_compute_instance, uuid, gi_id, 5)
    whole = session.compute_profiles(uuid, gi_id)[-1]
    ci_id = session.create_compute_instance(uuid, gi_id, whole.id)
    refused("IN_USE", session.destroy_gpu_instance, uuid, gi_id)
    sim.occupy(0, gi=gi_id, ci=ci_id)
    refused("IN_USE", session.destroy_compute_instance, uuid, gi_id, ci_id)
    assert len(session.mig_state(uuid).instances) == 1


def test_without_mig_there_are_no_instances_to_change(node, session):
    node("a100-80gb")
    uuid = session.snapshot().gpus[0].uuid
    refused("NOT_SUPPORTED", session.create_gpu_instance, uuid, 9, Placement(0, 4))
    refused("NOT_FOUND", session.mig_state, "GPU-00000000-0000-0000-0000-000000000000")


def test_a_change_needs_root_a_look_does_not(node, session, monkeypatch):
    node("h100-80gb-sxm5")
    monkeypatch.setenv("GPUSIM_EUID", "1000")
    uuid = session.snapshot(("identity", "settings", "health")).gpus[0].uuid
    with pytest.raises(NotRootError, match=r"nvmlDeviceSetMigMode on GPU .* NO_PERMISSION .*become root"):
        session.set_mig_mode(uuid, True)


def test_writes_are_counted(hopper, session):
    _sim, uuid = hopper
    session.create_gpu_instance(uuid, profile(session, uuid, "3g.40gb").id, Placement(0, 4))
    assert session.write_calls == {"nvmlDeviceSetMigMode": 1, "nvmlDeviceCreateGpuInstanceWithPlacement": 1}


def test_after_a_release_everything_is_looked_up_again(hopper, session):
    sim, uuid = hopper
    session.create_gpu_instance(uuid, profile(session, uuid, "3g.40gb").id, Placement(0, 4))
    session.release()
    sim.control("reboot")
    assert session.mig_state(uuid).current is False


def test_a_new_session_needs_no_look_up_by_uuid(node, session):
    """By UUID it can take seconds on a loaded node, at every step of a change."""
    node("h100-80gb-sxm5")
    seen = session.snapshot()
    with open_session() as other:
        other.know(seen)
        other.mig_state(seen.gpus[0].uuid)
        assert "nvmlDeviceGetHandleByUUID" not in other.calls
        assert other.calls["nvmlDeviceGetHandleByPciBusId"] == 1
