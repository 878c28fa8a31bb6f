# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that were killed, and what the next one makes of them."""

from __future__ import annotations

from ansible_collections.accel.gpu.plugins.module_utils._mig import journal, resident
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, PERSISTENCED, off, on, one
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


def kill_at(made, geometry, fault):
    """A run that is killed in `apply`."""

    def run():
        original = resident.apply
        resident.apply = lambda plan, ports: (made.sim.control(f"fault {fault} killgroup"), original(plan, ports))[1]
        return made.apply({"geometry": geometry})

    assert in_child(run) is None, "the run was not killed"
    made.sim.control("clearfaults")


def names(result, action):
    return [line["object"] for line in result["actions"] if line["action"] == action]


def test_the_next_run_finishes_and_maps_the_uuids_of_before(node):
    made = node(H100)
    made.make([on([one("3g.40gb", 4), one("1g.10gb", 0)])])
    before = made.mig_uuids()
    wish = [on([one("3g.40gb", 4), one("2g.20gb", 0)])]
    kill_at(made, wish, f"{CREATE} nth=1")
    assert made.has_journal
    assert [entry[0] for entry in made.layouts()[0][2]] == ["3g.40gb"]
    result = made.make(wish)
    assert names(result, "finish_interrupted") == ["journal"]
    rows = [(row["profile"], row["old"], row["new"]) for row in result["uuid_map"]]
    after = made.mig_uuids()
    assert rows == [("1g.10gb", before[0, 0, 0], None), ("2g.20gb", None, after[0, 0, 0])]
    assert not made.has_journal
    assert made.make(wish)["changed"] is False


def test_a_gpu_that_the_next_wish_does_not_mean_gets_its_old_layout(node):
    made = node(f"{H100},{H100}")
    made.make([on([one("3g.40gb", 4, "1c", "2c"), one("1g.10gb", 0)])])
    old = made.layouts()
    kill_at(made, [on({"2g.20gb": 3}, {"index": 1})], f"{CREATE} nth=2")
    other = [on({"1g.10gb": 3}, {"index": 0})]
    predicted = made.apply({"geometry": other}, check=True)
    result = made.make(other)
    assert (result["diff"], result["actions"]) == (predicted["diff"], predicted["actions"])
    assert names(result, "restore_layout") == ["; ".join(result["diff"]["after"][_key(made, 1)])]
    assert made.layouts()[1] == old[1]
    assert [entry[0] for entry in made.layouts()[0][2]] == ["1g.10gb"] * 3
    assert not made.has_journal


def _key(made, index):
    gpu = made.sim.gpu(index)
    return f"{gpu['pci'][-12:].lower()} {gpu['name']} {gpu['uuid']}"


def test_a_finished_gpu_of_a_killed_run_stays_finished(node):
    """The first GPU had reached its wish; only the second one goes back."""
    made = node(f"{H100},{H100}")
    made.make([on({"1g.10gb": 2})])
    old = made.layouts()
    kill_at(made, [on({"3g.40gb": 1})], f"{CREATE} nth=2")
    made.make([])
    assert [entry[0] for entry in made.layouts()[0][2]] == ["3g.40gb"]
    assert (made.layouts()[1], made.has_journal) == (old[1], False)


def test_services_that_a_killed_run_left_stopped_are_started(node):
    made = node(A100)
    for unit in (DCGM, PERSISTENCED):
        made.services.add(unit, made.sim.occupy(0, kind="holder"), [0])
    wish = [on({"1g.10gb": 1})]
    kill_at(made, wish, "nvmlDeviceSetMigMode nth=1")
    assert made.services.active() == {DCGM: False, PERSISTENCED: False}
    predicted = made.apply({"geometry": [off()]}, check=True)
    assert (predicted["changed"], names(predicted, "start_holder")) == (True, [PERSISTENCED, DCGM])
    result = made.make([off()])
    assert result["actions"] == predicted["actions"]
    assert made.services.active() == {DCGM: True, PERSISTENCED: True}
    assert (made.has_journal, made.layouts()) == (False, [(False, False, ())])


def test_a_mode_change_is_taken_back_with_the_services_stopped(node):
    """Killed after the reset: going back needs another reset, and nobody may hold the GPU then."""
    made = node(A100)
    made.services.add(PERSISTENCED, made.sim.occupy(0, kind="holder"), [0])
    kill_at(made, [on({"1g.10gb": 1})], f"{CREATE} nth=1")
    assert made.layouts() == [(True, True, ())]
    made.services(["systemctl", "start", PERSISTENCED])
    result = made.apply({"geometry": [on({"9g.99gb": 1})]})
    assert (result["failed"], result["error"]["kind"]) == (True, "wish")
    assert made.layouts() == [(False, False, ())]
    assert made.services.active() == {PERSISTENCED: True}


def test_what_came_into_use_half_way_is_left_and_told(node):
    made = node(H100)
    made.make([on([one("3g.40gb", 4)])])
    kill_at(made, [on([one("2g.20gb", 0), one("2g.20gb", 4)])], f"{CREATE} nth=2")
    pid = made.occupy(0, 0)
    workers = made.workers()
    made.sim.smi("mig", "-cgi", "19", check=True)
    half = made.layouts()
    result = made.apply({"geometry": []})
    assert [entry["reason"] for entry in result["actions"] if entry["action"] == "left_alone"][0] == (
        f"an interrupted run left this GPU half-way, yet it is in use by process {pid} (sleep)"
    )
    assert (made.layouts(), made.workers()) == (half, workers)


def test_what_was_left_is_owed_until_it_can_be_settled(node):
    """It is told at each run and is no change; once its work has ended it gets its old layout."""
    made = node(f"{H100},{H100}")
    made.make([on([one("3g.40gb", 4)])])
    old = made.layouts()
    kill_at(made, [on([one("2g.20gb", 0), one("2g.20gb", 4)], {"index": 1})], f"{CREATE} nth=2")
    pid = made.occupy(1, 0)
    other = [on({"1g.10gb": 1}, {"index": 0})]
    assert made.make(other)["changed"]
    again = made.make(other)
    told = [line["reason"] for line in again["actions"] if "left this GPU half-way" in line["reason"]]
    assert (again["changed"], len(told), made.has_journal) == (False, 1, True)
    made.sim.control(f"release 1 pid={pid}")
    assert made.make(other)["changed"]
    assert (made.layouts()[1], made.has_journal) == (old[1], False)


def test_a_wish_without_instances_does_not_leave_a_gpu_empty(node):
    made = node(H100)
    made.make([on({"1g.10gb": 7})])
    old = made.layouts()
    kill_at(made, [on({"3g.40gb": 2})], f"{CREATE} nth=1")
    assert made.layouts() == [(True, True, ())]
    made.make([{"gpus": "all", "mig": True}])
    assert (made.layouts(), made.has_journal) == (old, False)


def test_a_refused_wish_does_not_stop_the_way_back_which_is_told_as_a_change(node):
    made = node(H100)
    made.make([on({"1g.10gb": 7})])
    old = made.layouts()
    kill_at(made, [on({"3g.40gb": 2})], f"{CREATE} nth=1")
    result = made.apply({"geometry": [on({"9g.99gb": 1})]})
    assert (result["failed"], result["changed"], made.layouts()) == (True, True, old)
    result = made.apply({"geometry": [on({"9g.99gb": 1})]})
    assert (result["failed"], result["changed"], result["diff"]) == (True, False, {"before": {}, "after": {}})


def test_what_became_of_settings_then_is_told_with_the_refusal(node):
    made = node(A100)
    made.make([off()])
    made.sim.smi("-i", "0", "-pl", "250", check=True)
    kill_at(made, [on({"3g.40gb": 2})], f"{CREATE} nth=1")
    refused = made.apply({"geometry": [on({"9g.99gb": 1})]})
    assert (refused["failed"], refused["changed"]) == (True, True)
    assert refused["settings_reapplied"] == [f"{made.sim.gpu(0)['uuid']}: power limit is 250.0 again"]
    assert "settings_reapplied" not in made.apply({"geometry": [on({"9g.99gb": 1})]})


def test_a_journal_of_another_version_is_not_overlooked(node):
    made = node(H100)
    made.make([on({"1g.10gb": 7})])
    kill_at(made, [on({"3g.40gb": 2})], f"{CREATE} nth=1")
    document = made.files.read_json(journal.PATH)
    made.files.write_json(journal.PATH, {**document, "version": 9})
    result = made.apply({"geometry": [on({"1g.10gb": 7})]})
    assert result["msg"] == (
        f"{journal.PATH} is no journal of accel.gpu (ValueError('version 9, this collection knows 1')); compare the "
        "GPUs with the wish by hand, then remove the file"
    )


def test_a_journal_is_void_after_a_reboot(node):
    made = node(H100)
    made.make([on({"1g.10gb": 2})])
    kill_at(made, [on({"3g.40gb": 1})], f"{CREATE} nth=1")
    made.sim.gpusim("reboot", check=True)
    made.boot("99999999-8888-7777-6666-555555555555")
    assert made.make([off()])["changed"] is False
    assert made.make([on({"2g.20gb": 1})])["changed"] is True
    assert not made.has_journal


def test_a_check_does_not_settle_anything(node):
    made = node(H100)
    made.make([on({"1g.10gb": 2})])
    kill_at(made, [on({"3g.40gb": 1})], f"{CREATE} nth=1")
    half = made.layouts()
    refused = made.apply({"geometry": [on({"9g.99gb": 1})]}, check=True)
    assert refused["failed"] and made.layouts() == half and made.has_journal
