# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that belong to others: nvidia-persistenced, MPS, and the role mig during its reset."""

from __future__ import annotations

import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._mig import resident as mig
from ansible_collections.accel.gpu.plugins.module_utils._settings import memory
from ansible_collections.accel.gpu.plugins.module_utils._settings.judge import PERSISTENCED
from ansible_collections.accel.gpu.tests.component.settings.machine import A100, H100, LOCK, LOCKS, done, every

UNIT = f"/usr/lib/systemd/system/{PERSISTENCED}"


def control_daemon(made, devices):
    """An MPS control daemon in the node's tree."""
    made.files.write("/proc/77/cmdline", b"/usr/bin/nvidia-cuda-mps-control\0-d\0")
    made.files.write("/proc/77/cgroup", b"0::/system.slice/mps.service\n")
    made.files.write("/proc/77/environ", f"CUDA_VISIBLE_DEVICES={devices}\0".encode())
    # It answers that it has no server and so no client.
    program = made.sim.folder / "gpusim-bin" / "nvidia-cuda-mps-control"
    program.write_text("#!/bin/sh\ncat >/dev/null\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("live", "wished", "words"),
    [
        (1, True, None),
        (1, False, "false contradicts nvidia-persistenced"),
        (0, True, "does not keep it on"),
        (0, False, None),
    ],
)
def test_persistence_belongs_to_its_daemon(machine, live, wished, words):
    made = machine(A100)
    made.files.write(UNIT, b"")
    made.sim.control(f"set 0 persistence_mode {live}")
    result = made.apply({"settings": [every(persistence_mode=wished)]})
    assert made.pair("persistence_mode") == (live,)
    assert not result["changed"]
    assert (words in result["msg"]) if words else not result.get("failed")
    assert UNIT in str(result)


def test_a_masked_daemon_owns_nothing(machine):
    made = machine(A100)
    made.files.write(UNIT, b"")
    mask = made.files.path(f"/etc/systemd/system/{PERSISTENCED}")
    os.makedirs(os.path.dirname(mask))
    os.symlink(os.devnull, mask)
    assert done(made.settle(every(persistence_mode=True))) == ["persistence_mode"]


def test_the_compute_mode_of_gpus_that_mps_serves_is_its_own(machine):
    made = machine(f"{H100},{H100}")
    control_daemon(made, made.sim.gpu(0)["uuid"])
    result = made.apply({"settings": [every(compute_mode="exclusive_process")]})
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, False, "wish")
    assert "contradicts MPS, to which the compute mode of this GPU belongs (MPS daemon (PID 77)" in result["msg"]
    other = {"gpus": {"index": 1}, "compute_mode": "exclusive_process"}
    assert done(made.settle(other)) == ["compute_mode"]
    made.sim.control("set 0 compute_mode 3")
    made.quiet(every(compute_mode="exclusive_process"))


def test_a_daemon_that_does_not_say_which_gpus_serves_all(machine):
    made = machine(f"{H100},{H100}")
    control_daemon(made, "0")
    assert made.apply({"settings": [{"gpus": {"index": 1}, "compute_mode": "prohibited"}]})["failed"]


def test_the_stored_wish_of_role_mps_counts_before_a_daemon_runs(machine):
    made = machine(H100)
    made.files.write("/etc/accel-gpu/wish.d/mps.json", b"{}")
    result = made.apply({"settings": [every(compute_mode="prohibited")]})
    assert "/etc/accel-gpu/wish.d/mps.json declares MPS" in result["msg"]


def test_absent_leaves_to_others_what_is_theirs(machine):
    made = machine(H100)
    made.settle(every(power_limit=500))
    made.files.write(UNIT, b"")
    control_daemon(made, "")
    made.sim.control("set 0 persistence_mode 1")
    made.sim.control("set 0 compute_mode 3")
    result = made.apply({"state": "absent"})
    assert not result.get("failed"), result.get("msg")
    assert made.pair("power_limit", "persistence_mode", "compute_mode") == (700.0, 1, 3)


# --- role mig resets the GPU -----------------------------------------------------------------------------------------


def switch_mig(made):
    """What role mig does, after role gpu_settings in the same run."""
    ports = made.ports()
    with made.seen():
        try:
            wish = mig.parse({"geometry": [{"gpus": "all", "mig": True}]})
            plan = mig.plan(wish, mig.read(wish, ports))
            assert plan.refusal is None, plan.refusal
            return mig.apply(plan, ports).result()
        finally:
            mig.release(ports)


def test_locked_clocks_are_back_after_the_reset_of_role_mig(machine):
    made = machine(A100)
    wish = every(power_limit=300, locked_clocks=LOCK, locked_memory_clocks="default")
    made.settle(wish)
    resets = made.sim.gpu(0)["resets"]
    result = switch_mig(made)
    uuid = made.sim.gpu(0)["uuid"]
    assert made.sim.gpu(0)["resets"] == resets + 1
    assert made.pair("power_limit", *LOCKS) == (300.0, 1200, 1305, 0, 0)
    assert result["settings_reapplied"] == [
        f"{uuid}: power limit is 300.0 again",
        f"{uuid}: locked clocks is [1200, 1305] again",
    ]
    made.quiet(wish)


def test_a_lock_that_does_not_come_back_is_not_remembered(machine):
    made = machine(A100)
    made.settle(every(locked_clocks=LOCK, power_limit=300))
    made.sim.control("fault nvmlDeviceSetGpuLockedClocks nth=1 times=2 code=NVML_ERROR_UNKNOWN")
    result = switch_mig(made)
    uuid = made.sim.gpu(0)["uuid"]
    assert result["warnings"] == [f"{uuid}: locked clocks was [1200, 1305] before and the GPU refuses it now (UNKNOWN)"]
    stored = made.files.read_json(memory.PATH)["gpus"][uuid]
    assert list(stored) == ["power_limit"]
    assert done(made.settle(every(locked_clocks=LOCK, power_limit=300))) == ["locked_clocks"]
    assert made.pair(*LOCKS[:2]) == (1200, 1305)
