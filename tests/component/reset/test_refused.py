# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resets that are refused or put off: who uses a GPU, who else manages it, what the wish lacks."""

from __future__ import annotations

import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders_probe
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owner, Owners
from ansible_collections.accel.gpu.plugins.module_utils._reset import probe
from ansible_collections.accel.gpu.tests.component.mig.changes import H100
from ansible_collections.accel.gpu.tests.component.reset.calls import (
    good,
    kinds,
    label,
    made_of,
    opened,
    reset,
    resets,
    uuid,
)


def test_a_busy_gpu_is_refused_and_its_process_lives(node):
    made = made_of(node, f"{H100},{H100}")
    worker = made.sim.occupy(1, name="train.py")
    result = reset(made)
    assert result["msg"] == (
        f"gpus ({label(made, 1)}): the GPU cannot be reset now: it is in use by process {worker} (train.py); drain it "
        "first, or give when_busy: defer"
    )
    assert (result["changed"], result["error"]["kind"], resets(made)) == (False, "busy", [0, 0])
    assert reset(made, check=True)["msg"] == result["msg"]
    os.kill(worker, 0)
    done = good(made, when_busy="defer")
    assert (done["gpus_reset"], done["deferred"], resets(made)) == ([uuid(made)], [uuid(made, 1)], [1, 0])
    assert [entry[2] for entry in made.workers()] == [worker]


def test_an_allocation_is_given_up_only_where_an_option_says_so(node, monkeypatch):
    made = made_of(node, H100)
    allocated = Owners((Owner("kubelet"),), (Allocation("kubelet pod default/notebook", uuid(made)),))
    monkeypatch.setattr(probe, "probe_owners", lambda ports: allocated)
    assert reset(made)["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset now: it is in use by kubelet pod default/notebook; drain it "
        "first, or give allow_reset_allocated: true, or give when_busy: defer"
    )
    done = good(made, allow_reset_allocated=True)
    assert any("kubelet pod default/notebook" in line["reason"] for line in done["actions"] if line["action"] == "note")
    made.sim.occupy(0)
    assert reset(made, allow_reset_allocated=True)["error"]["kind"] == "busy"


def test_who_is_not_known_to_be_safe_to_stop_is_named(node, monkeypatch):
    monkeypatch.setattr(holders_probe, "_PAUSE", 0)
    made = made_of(node, H100)
    opened(made, "/dev/nvidia0")
    assert reset(made)["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset now: it is held open by Xorg (PID 4711), which is not known to "
        "be safe to stop; stop it and run again"
    )


def test_kernel_mode_setting_holds_every_gpu(node):
    made = made_of(node, H100)
    made.files.write("/sys/module/nvidia_drm/parameters/modeset", b"Y\n")
    assert "it is held open by kernel module nvidia_drm (modeset=Y)" in reset(made)["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"gpus": None},
            "gpus: nothing is given; name the GPUs that are to be reset, such as {pci: 0000:3b:00.0}, or give all",
        ),
        (
            {"gpus": {"index": 7}},
            "gpus.index: 7 matches no GPU of this node; it has 0: {uuid} 0000:10:00.0 NVIDIA H100 80GB HBM3",
        ),
        (
            {"gpus": {"mig": {"profile": "1g.10gb"}}},
            'gpus: unknown key "mig"; allowed are uuid, pci, index, model, device_id, except',
        ),
        ({"when_busy": "kill"}, 'when_busy: "kill" is unknown; allowed is refuse, defer'),
        ({"lock_timeout": -1}, "lock_timeout: -1 is out of range; give a number from 0 to 86400"),
        ({"lock_timeout": 90000}, "lock_timeout: 90000 is out of range; allowed is 0 to 86400"),
        (
            {"except": "all"},
            'except: "all" is a string; give a list of selectors',
        ),
    ],
)
def test_bad_input(node, options, message):
    made = node(H100)
    result = reset(made, **{"gpus": "all", **options})
    assert (result["msg"], result["changed"]) == (message.replace("{uuid}", uuid(made)), False)
    assert (resets(made), result["error"]["kind"]) == ([0], "wish")


def test_another_manager_of_the_node(node):
    made = node(H100)
    made.files.write("/run/nvidia/validations/toolkit-ready", b"")
    assert reset(made)["msg"] == (
        "takeover=false: the state of the GPUs of this node belongs to another manager (GPU Operator's toolkit: "
        "/run/nvidia/validations/toolkit-ready exists); reset them there, or take it out of service, or set "
        "accel_gpu_takeover: true (takeover) to act beside it"
    )
    assert good(made, takeover=True)["changed"]


def test_without_root(node, monkeypatch):
    made = node(H100)
    monkeypatch.setattr(probe.os, "geteuid", lambda: 1000)
    assert reset(made)["msg"] == "a reset of GPUs needs root, this runs as another user; set become: true"


def test_without_a_driver(node):
    made = node("")
    made.boot("11111111-2222-3333-4444-555555555555")
    assert reset(made)["error"]["kind"] == "driver_missing"
    seen = reset(made, check=True)
    assert (seen["changed"], kinds(seen)) == (True, ["deferred"])


def test_without_nvidia_smi(node):
    made = node(H100)
    made.files.remove("/usr/bin/nvidia-smi")
    assert reset(made)["msg"] == (
        f"gpus ({label(made)}): the GPU cannot be reset: nvidia-smi, which does it, cannot be run on this node; "
        "install it"
    )
