# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of rolling changes as a template sees them."""

from __future__ import annotations

from ansible_collections.accel.gpu.plugins.filter.rolling import FilterModule

FILTERS = FilterModule().filters()
GPUS = {"accel_gpu_expected": {"count": 8}, "gpu_driver_branch": "580"}


def test_batches_are_what_a_play_needs():
    variables = {
        f"n{number}": {
            **GPUS,
            "accel_gpu_failure_domain": f"r{number % 2}",
            "gpu_driver_upgrade": {"serial": [1, 3]},
        }
        for number in range(4)
    }
    variables.update(c0={}, c1={"accel_gpu_expected": {"count": 0}}, c2={"accel_gpu_expected": {"count": 8}})
    assert FILTERS["upgrade_batches"](["c0", "n0", "c1", "n1", "n2", "n3", "c2"], variables) == {
        "errors": [],
        "left_out": [
            "c0: declares no GPU, see accel_gpu_expected",
            "c1: declares no GPU, see accel_gpu_expected",
            "c2: declares no driver, see gpu_driver_version and gpu_driver_branch",
        ],
        "hosts": ["n0", "n1", "n2", "n3"],
        "sizes": [1, 2, 1],
        "batch": {"n0": 1, "n1": 2, "n2": 2, "n3": 3},
        "capped": False,
        "max_failures": 0,
    }


def test_no_batch_is_larger_than_the_number_of_forks():
    variables = {f"n{number}": {**GPUS, "gpu_driver_upgrade": {"serial": "100%"}} for number in range(5)}
    told = [
        FILTERS["upgrade_batches"](list(variables), variables, **forks) for forks in ({}, {"forks": 5}, {"forks": 2})
    ]
    assert [(one["sizes"], one["capped"]) for one in told] == [([5], False), ([5], False), ([2, 2, 1], True)]


def test_one_wrong_host_leaves_no_batch():
    told = FILTERS["upgrade_batches"](["n0", "n1"], {"n0": GPUS, "n1": {**GPUS, "accel_gpu_scheduler": "pbs"}})
    assert told["errors"] == ['n1: accel_gpu_scheduler: "pbs" is unknown; allowed are none, slurm, kubernetes, command']
    assert (told["hosts"], told["sizes"]) == ([], [])


def test_a_record_goes_from_mark_to_report():
    record = FILTERS["upgrade_mark"]({}, "begin", result="going", batch=1)
    record = FILTERS["upgrade_mark"](record, "drain", result="failed", why="broken")
    told = FILTERS["upgrade_report"](["n0", "n1"], {"n0": {"__upgrade": record}, "n1": {}}, "run7", 0)
    assert told["failures"] == ["n0"]
    assert told["stop"] == "1 failed (n0), and max_failures is 0"
    assert [row["result"] for row in told["document"]["hosts"]] == ["failed", "waiting"]
    assert len(told["table"]) == 4
    assert 0 <= told["document"]["hosts"][0]["seconds"]["drain"] < 60


def test_who_was_passed_over_owes_only_where_that_is_declared():
    owed = {"accel_gpu_pending": "fail"}
    variables = {
        "n0": {"__upgrade": {"result": "busy"}, **owed},
        "n1": {"__upgrade": {"result": "drain_timeout"}},
        "n2": {"__upgrade": {"result": "done"}, **owed},
        "n3": {"__upgrade": {"result": "foreign_drain"}, **owed},
    }
    told = FILTERS["upgrade_report"](list(variables), variables, "run7", 0)
    assert told["stop"] == ""
    assert (told["owed"], told["failures"]) == (["n0 (busy)", "n3 (foreign_drain)"], [])


def test_only_a_gpu_whose_driver_asks_for_a_recovery_is_ailing():
    def gpu(number, **health):
        return {"uuid": f"GPU-{number}", "name": "NVIDIA A30", **({"health": health} if health else {})}

    gpus = [gpu(0), gpu(1, recovery_action=None), gpu(2, recovery_action="none"), gpu(3, recovery_action="gpu_reset")]
    asked = [FILTERS["gpus_to_recover"](some) for some in ([], gpus)]
    assert asked == [[], ["GPU-3 (NVIDIA A30): its driver asks for gpu_reset"]]
