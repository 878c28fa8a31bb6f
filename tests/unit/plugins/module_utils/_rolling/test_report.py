# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._rolling import report


def record(result, marks=(), **facts):
    return {"batch": 1, "result": result, "marks": [{"phase": p, "at": at} for p, at in marks], **facts}


DONE = record(
    "done",
    [("begin", 100.0), ("download", 101.5), ("drain", 161.5), ("install", 191.5), ("verify", 195.0)],
    seconds={"build": 12.0, "reload": 3.25},
    **{"from": "580.126.16", "to": "590.48.01"},
)
BACK = record(
    "failed_restored",
    [("begin", 0), ("install", 10), ("verify", 12), ("restore", 20), ("verify", 23)],
    why="the GPUs do not answer",
    drained=True,
    **{"from": "580.126.16", "to": "590.48.01"},
)


def test_seconds_by_phase():
    assert report.seconds(DONE) == {
        "download": 1.5,
        "drain": 60.0,
        "install": 14.8,
        "build": 12.0,
        "reload": 3.2,
        "verify": 3.5,
    }
    assert report.seconds(BACK) == {"install": 10.0, "verify": 5.0, "restore": 8.0}
    assert report.seconds({}) == {}
    # What the module measured belongs into its install, or nowhere.
    assert report.seconds(record("going", [("begin", 0)], seconds={"build": 3.0})) == {}


def test_a_mark_is_the_end_of_a_phase_and_brings_facts():
    first = report.mark({}, "begin", 5.0, {"result": "going"})
    assert report.mark(first, "drain", 7.0, {"drained": True}) == {
        "result": "going",
        "drained": True,
        "marks": [{"phase": "begin", "at": 5.0}, {"phase": "drain", "at": 7.0}],
    }


def test_the_table():
    records = {"gpu1": DONE, "gpu2": BACK, "gpu3": {}}
    assert report.table(records) == [
        "host  batch  result           from        to         download s  drain s  install s  build s  reload s"
        "  verify s  restore s",
        "gpu1  1      done             580.126.16  590.48.01  1.5         60.0     14.8       12.0     3.2     "
        "  3.5       -",
        "gpu2  1      failed_restored  580.126.16  590.48.01  -           -        10.0       -        -       "
        "  5.0       8.0",
        "gpu3  -      waiting          -           -          -           -        -          -        -       "
        "  -         -",
        "gpu2: the GPUs do not answer; it is still drained",
    ]


def test_a_reboot_that_others_want_is_told_and_no_failure():
    told = {"gpu1": {**DONE, "reboot_pending": ["/run/reboot-required is there", "kernel 6.2 boots next"]}}
    assert report.table(told)[-1] == (
        "gpu1: other packages want a reboot (/run/reboot-required is there; kernel 6.2 boots next)"
    )
    assert report.document("run7", told)["hosts"][0]["reboot_pending"] == told["gpu1"]["reboot_pending"]
    assert (report.failures(told), report.owing(told)) == ([], [])


def test_what_a_failure_says_is_not_said_twice():
    lost = ["/dev/nvidia0 had … before and is not there any more", "GPU-1: power limit was 300.0 before"]
    why = f"did not come back after the reload: {lost[0]}"
    told = report.table({"gpu1": {**DONE, "result": "failed_restored", "why": why, "not_restored": lost}})[-1]
    assert told == f"gpu1: {why}; did not come back after the reload: {lost[1]}"


def test_what_came_back_otherwise_is_told():
    told = {"gpu1": {**DONE, "restored_otherwise": ["GPU-1: power limit was 301.5 before and the GPU made 301 of it"]}}
    assert report.table(told)[-1] == "gpu1: GPU-1: power limit was 301.5 before and the GPU made 301 of it"
    assert report.document("run7", told)["hosts"][0]["restored_otherwise"] == told["gpu1"]["restored_otherwise"]


def test_what_did_not_come_back_is_told_and_no_failure():
    told = {"gpu1": {**DONE, "not_restored": ["GPU-1: power limit was 300.0 before", "/dev/nvidia0 had …"]}}
    assert report.table(told)[-1] == (
        "gpu1: did not come back after the reload: GPU-1: power limit was 300.0 before; /dev/nvidia0 had …"
    )
    assert report.document("run7", told)["hosts"][0]["not_restored"] == told["gpu1"]["not_restored"]
    assert report.failures(told) == []
    told = {"gpu1": {**DONE, "not_restored": ["x" * 5000]}}
    assert report.table(told)[-1] == "gpu1: did not come back after the reload: " + "x" * 364 + "..."


def test_the_table_cuts_what_a_package_manager_says():
    told = report.table({"gpu2": {**BACK, "why": "x" * 5000}})[-1]
    assert told == "gpu2: " + "x" * 400 + "...; it is still drained"


def test_the_document_holds_what_the_table_shows():
    told = report.document("run7", {"gpu2": BACK, "gpu3": {}})
    assert (told["version"], told["run"], told["failures"]) == (1, "run7", ["gpu2"])
    assert told["hosts"][0] == {
        "host": "gpu2",
        "batch": 1,
        "result": "failed_restored",
        "why": "the GPUs do not answer",
        "from": "580.126.16",
        "to": "590.48.01",
        "drained": True,
        "reboot_pending": [],
        "not_restored": [],
        "restored_otherwise": [],
        "seconds": {"install": 10.0, "verify": 5.0, "restore": 8.0},
    }
    assert told["hosts"][1]["result"] == "waiting"


@pytest.mark.parametrize(
    ("results", "limit", "expected"),
    [
        ("done already waiting", 0, None),
        ("foreign_drain drain_timeout busy planned not_started", 0, None),
        ("done failed", 1, None),
        ("done failed", 0, "1 failed (n1), and max_failures is 0"),
        ("failed_restored failed unreachable going", 3, "4 failed (n0, n1, n2, n3), and max_failures is 3"),
    ],
)
def test_the_run_stops_beyond_its_limit(results, limit, expected):
    records = {f"n{place}": record(result) for place, result in enumerate(results.split())}
    assert report.stop(records, limit) == expected


def test_hosts_of_the_batch_in_work_are_not_lost_yet():
    records = {"n1": record("going"), "n2": {**record("going"), "batch": 2}, "n3": {**record("failed"), "batch": 2}}
    assert report.failures(records, batch=2) == ["n1", "n3"]
    assert report.failures(records) == ["n1", "n2", "n3"]
