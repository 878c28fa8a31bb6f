# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resets of GPUs that give no answer: by which name they are found, where their state comes from."""

from __future__ import annotations

import json

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders_probe
from ansible_collections.accel.gpu.plugins.module_utils._settings.decide import WISH_FILE as SETTINGS_FILE
from ansible_collections.accel.gpu.tests.component.mig.changes import H100
from ansible_collections.accel.gpu.tests.component.reset.calls import (
    PCI,
    SPLIT,
    good,
    kinds,
    made_of,
    opened,
    power_limit,
    reset,
    resets,
    uuid,
)


@pytest.mark.parametrize("selector", ["all", "uuid", "pci", "index"])
def test_a_gpu_that_requires_a_reset_gives_no_answer_and_is_reset(node, selector):
    made = made_of(node, f"{H100},{H100}")
    made.sim.control("set 1 requires_reset 1")
    gpus = {"all": "all", "uuid": {"uuid": uuid(made, 1)}, "pci": {"pci": PCI[1]}, "index": {"index": 1}}[selector]
    done = good(made, gpus)
    assert uuid(made, 1) in done["gpus_reset"]
    assert resets(made) == [int(selector == "all"), 1]
    with made.seen():
        assert not made.sim.smi("-i", "1", "-q").returncode


def test_a_silent_gpu_gets_its_geometry_from_the_stored_wish(node):
    made = made_of(node, H100)
    made.make(SPLIT, persist=True)
    old = made.layouts()
    made.sim.control("set 0 requires_reset 1")
    done = good(made)
    assert kinds(done) == ["reset_gpu", "note", "note", "note", "note", "deferred"]
    assert made.layouts() == old


@pytest.mark.parametrize(
    ("wish", "limit", "told", "warned"),
    [
        ({"gpus": "all", "power_limit": 300}, "300.00", True, False),
        ({"gpus": "all", "power_limit": 9000}, "700.00", False, True),
        ({"gpus": {"model": "*A100*"}, "power_limit": 300}, "700.00", False, False),
    ],
    ids=["set", "refused", "not meant"],
)
def test_a_silent_gpu_gets_its_settings_from_the_stored_wish(node, wish, limit, told, warned):
    made = made_of(node, f"{H100},{H100}")
    made.files.write(SETTINGS_FILE, json.dumps({"version": 1, "options": {"settings": [wish]}}).encode())
    made.sim.control("set 0 requires_reset 1")
    done = good(made, {"index": 0})
    assert ("deferred", "settings") in [(line["action"], line["object"]) for line in done["actions"]]
    assert (power_limit(made, 0), power_limit(made, 1)) == (limit, "700.00")
    assert (bool(done["settings_reapplied"]), bool(done["warnings"])) == (told, warned)


def test_a_silent_gpu_that_somebody_has_open_is_busy(node, monkeypatch):
    monkeypatch.setattr(holders_probe, "_PAUSE", 0)
    made = made_of(node, f"{H100},{H100}")
    made.sim.control("set 1 requires_reset 1")
    opened(made, "/dev/nvidia1")
    result = reset(made, {"index": 1})
    assert result["error"]["kind"] == "busy"
    assert "it gives no answer, and Xorg (PID 4711) has a GPU open that gives none; stop it" in result["msg"]
    assert good(made, when_busy="defer")["gpus_reset"] == [uuid(made)]


def test_a_gpu_off_the_bus_needs_a_reboot(node):
    made = made_of(node, f"{H100},{H100}")
    made.sim.control("set 1 lost 1")
    result = reset(made, {"index": 1})
    assert (result["error"]["kind"], resets(made)) == ("blocked", [0, 0])
    assert result["msg"].startswith(
        "gpus (GPU 1, no answer): the GPU cannot be reset: it does not even tell its UUID and PCI address, so "
        "nvidia-smi cannot reach it either; drain the node and reboot it ("
    )


def test_a_gpu_that_hangs_needs_a_reboot(node):
    made = made_of(node, f"{H100},{H100}")
    made.deadline = 0.8
    made.sim.control("set 1 hung 1")
    result = reset(made, {"index": 1})
    assert (result["error"]["kind"], resets(made)) == ("blocked", [0, 0])
    assert "the GPU cannot be reset: it does not even tell its UUID and PCI address" in result["msg"]
