# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the module, the wish file, the way back from a backup, and what a no-change run costs."""

from __future__ import annotations

import datetime
import json
import os
import time

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._mig import probe, resident
from ansible_collections.accel.gpu.plugins.module_utils._mig.decide import WISH_FILE
from ansible_collections.accel.gpu.plugins.module_utils._mig.document import export_node
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owner, Owners
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, H100, off, on, one


def profiles(made, index=0):
    return [entry[0] for entry in made.layouts()[index][2]]


def test_busy_gpus_are_deferred_and_the_others_changed(node):
    made = node(f"{H100},{H100}")
    made.make([on({"1g.10gb": 2})])
    made.occupy(0, made.layouts()[0][2][0][1])
    workers, old = made.workers(), made.layouts()
    result = made.make([on({"7g.80gb": 1})], when_busy="defer")
    assert (result["changed"], result["deferred"]) == (True, [made.sim.gpu(0)["uuid"]])
    assert (made.layouts()[0], profiles(made, 1)) == (old[0], ["7g.80gb"])
    assert made.workers() == workers
    again = made.make([on({"7g.80gb": 1})], when_busy="defer")
    assert (again["changed"], again["deferred"]) == (False, [made.sim.gpu(0)["uuid"]])


def test_next_boot_touches_nothing_and_leaves_the_wish(node):
    made = node(A100)
    wish = [on({"1g.10gb": 7})]
    result = made.make(wish, mig_apply="next_boot", persist=True)
    assert (result["changed"], result["reboot_required"], result["deferred"]) == (
        True,
        True,
        [made.sim.gpu(0)["uuid"]],
    )
    assert list(result["diff"]["after"]) == [WISH_FILE]
    assert made.layouts() == [(False, False, ())]
    again = made.make(wish, mig_apply="next_boot", persist=True)
    assert (again["changed"], again["reboot_required"]) == (False, True)
    # What the node agent does at boot.
    options = made.files.read_json(WISH_FILE)["options"]
    booted = made.apply({**options, "mig_apply": "now"})
    assert (booted["changed"], booted["reboot_required"], profiles(made)) == (True, False, ["1g.10gb"] * 7)


def test_the_wish_file_is_kept_true(node):
    made = node(H100)
    params = {"geometry": [on({"1g.10gb": 2})], "geometry_host": [], "takeover": True, "persist": True}
    checked = made.apply(params, check=True)
    assert not made.files.exists(WISH_FILE)
    done = made.apply(params)
    assert (checked["diff"], checked["actions"]) == (done["diff"], done["actions"])
    assert made.files.read_json(WISH_FILE) == {
        "version": 1,
        "options": {"geometry": [on({"1g.10gb": 2})], "takeover": True},
    }
    assert made.apply(params)["changed"] is False
    made.files.write(WISH_FILE, b'{"version": 1, "options": {}}')
    layouts = made.layouts()
    mended = made.apply(params)
    assert (mended["changed"], [line["action"] for line in mended["actions"]]) == (True, ["write_wish", "keep"])
    assert (made.layouts(), made.apply(params)["changed"]) == (layouts, False)


def test_a_failed_change_writes_no_wish(node):
    made = node(H100)
    made.sim.control("fault nvmlDeviceCreateGpuInstanceWithPlacement nth=1 code=NVML_ERROR_UNKNOWN")
    result = made.apply({"geometry": [on({"1g.10gb": 2})], "persist": True})
    assert result["failed"] and not made.files.exists(WISH_FILE)


def test_drift_by_hand_is_found_and_only_it_is_mended(node):
    made = node(H100)
    wish = [on([one("3g.40gb", 4), one("1g.10gb", 0), one("1g.10gb", 1)])]
    made.make(wish)
    uuids = made.mig_uuids()
    gone = next(entry["id"] for entry in made.sim.gpu(0)["instances"] if entry["placement"]["start"] == 1)
    made.sim.smi("mig", "-dci", "-gi", str(gone), check=True)
    made.sim.smi("mig", "-dgi", "-gi", str(gone), check=True)
    predicted = made.apply({"geometry": wish}, check=True)
    result = made.make(wish)
    assert result["actions"] == predicted["actions"]
    created = [line["object"] for line in result["actions"] if line["action"].startswith("create")]
    assert created == ["1g.10gb at 1:1", "1g.10gb in 1g.10gb at 1:1"]
    after = made.mig_uuids()
    assert {key: after[key] for key in uuids if key != (0, 1, 0)} == {
        key: uuid for key, uuid in uuids.items() if key != (0, 1, 0)
    }
    assert made.make(wish)["changed"] is False


def test_allocations_without_a_process(node, monkeypatch):
    made = node(H100)
    made.make([on([one("1g.10gb", 0)])])
    uuid = made.mig_uuids()[0, 0, 0]
    owners = Owners((Owner("kubelet"),), (Allocation("kubelet pod default/notebook", uuid),))
    monkeypatch.setattr(probe, "probe_owners", lambda ports: owners)
    wish = {"geometry": [on({"7g.80gb": 1})]}
    refused = made.apply(wish)
    assert refused["error"]["kind"] == "busy" and "kubelet pod default/notebook" in refused["msg"]
    assert "allow_destroy_allocated" in refused["msg"]
    done = made.apply({**wish, "allow_destroy_allocated": True})
    assert (done.get("msg"), profiles(made)) == (None, ["7g.80gb"])
    assert any("kubelet pod default/notebook" in line["reason"] for line in done["actions"] if line["action"] == "note")


@pytest.mark.parametrize("owner", ["MPS daemon (PID 7), client PID 8", "vGPU 123"])
def test_allocations_that_are_work_cannot_be_overridden(node, monkeypatch, owner):
    made = node(H100)
    made.make([on([one("1g.10gb", 0)])])
    owners = Owners((Owner("x"),), (Allocation(owner, made.mig_uuids()[0, 0, 0], 8),))
    monkeypatch.setattr(probe, "probe_owners", lambda ports: owners)
    result = made.apply({"geometry": [on({"7g.80gb": 1})], "allow_destroy_allocated": True})
    assert (result["error"]["kind"], profiles(made)) == ("busy", ["1g.10gb"])


def test_takeover_acts_beside_another_manager(node):
    made = node(H100)
    made.files.write("/run/nvidia/validations/toolkit-ready", b"")
    assert made.apply({"geometry": [off()]})["error"]["kind"] == "foreign_manager"
    assert made.make([on({"1g.10gb": 1})], takeover=True)["changed"] is True
    # Nothing is wished here, so nobody is in the way.
    assert made.make([])["changed"] is False


def test_expected_gpus_with_an_exception(node):
    made = node(H100)
    tomorrow = str(datetime.date.today() + datetime.timedelta(days=1))
    fault = {"gpu": "GPU-dead", "state": "missing", "reason": "RMA 4711", "until": tomorrow}
    params = {"geometry": [off()], "expected": {"count": 2, "model": "*H100*"}}
    assert made.apply(params)["error"]["kind"] == "gpu_missing"
    assert made.apply({**params, "exceptions": [fault]})["changed"] is False


def test_a_node_without_driver_and_without_wish(node):
    made = node("")
    assert made.make([]) == {
        "changed": False,
        "diff": {"before": {}, "after": {}},
        "actions": [],
        "gpus": [],
        "uuid_map": [],
        "restart_required": [],
        "reset_required": [],
        "reboot_required": False,
        "deferred": [],
    }


def test_an_old_driver_that_lists_profiles_only_in_mig_mode(node):
    made = node(H100, driver="535.161.07")
    wish = [on({"3g.40gb": 1, "1g.10gb": 2})]
    result = made.make(wish)
    assert (result["changed"], sorted(profiles(made))) == (True, ["1g.10gb", "1g.10gb", "3g.40gb"])
    assert made.make(wish)["changed"] is False


def test_a_backup_brings_everything_back(node):
    made = node(f"{A100},{H100}")
    made.make(
        [on([one("3g.40gb", 4, "1c", "2c"), one("2g.20gb", 0), one("1g.10gb", 3)], {"index": 0}), off({"index": 1})]
    )
    old = made.layouts()
    with made.seen(), made.ports().open_nvml() as session:
        backup = json.loads(json.dumps(export_node(session.snapshot())))
    made.make([on({"1g.10gb": 7})])
    assert made.layouts() != old
    assert made.make(backup)["changed"] is True
    assert made.layouts() == old
    assert made.make(backup)["changed"] is False


def test_what_a_run_without_change_costs(node, capsys):
    """Printed, not judged: the benchmark has a budget for it."""
    made = node(",".join([H100] * 8))
    wish = {"geometry": [on({"3g.40gb": 1, "2g.20gb": 1, "1g.20gb": 1})]}
    made.apply(wish)
    made.sessions.clear()
    start = time.monotonic()
    result = made.apply(wish)
    wall = time.monotonic() - start
    assert result["changed"] is False
    calls = sum(sum(session.calls.values()) for session in made.sessions)
    with made.seen():
        parsed = resident.parse(wish)
        state = resident.read(parsed, made.ports(check=True))
        start = time.monotonic()
        resident.plan(parsed, state)
        planning = time.monotonic() - start
    with capsys.disabled():
        plan = f"{planning * 1000:.1f} ms to plan"
        print(f"\nno-change run, 8 GPUs: {calls} NVML calls, {wall * 1000:.0f} ms, of that {plan}")
    assert [(session.snapshots, session.write_calls) for session in made.sessions][:1] == [(1, {})]


@pytest.mark.parametrize("damage", ["{", "mode", "other"])
def test_a_stored_wish_that_somebody_changed_is_written_anew(node, damage):
    made = node(H100)
    params = {"geometry": [off()], "persist": True}
    made.apply(params)
    wanted = made.files.read(WISH_FILE)
    if damage == "mode":
        os.chmod(made.files.path(WISH_FILE), 0o600)
    else:
        made.files.write(WISH_FILE, damage.encode())
    predicted, result = made.apply(params, check=True), made.apply(params)
    assert (predicted["changed"], [line["action"] for line in result["actions"]][0]) == (True, "write_wish")
    assert (result["diff"], result["actions"]) == (predicted["diff"], predicted["actions"])
    assert (made.files.read(WISH_FILE), made.files.mode(WISH_FILE)) == (wanted, 0o644)
    assert not made.apply(params)["changed"]


def test_only_root_may_store_a_wish(node, monkeypatch):
    made = node(H100)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for check in (True, False):
        result = made.apply({"geometry": [off()], "persist": True}, check=check)
        assert (result["error"]["kind"], result["changed"]) == ("permission", False)
    assert not made.files.exists(WISH_FILE)
