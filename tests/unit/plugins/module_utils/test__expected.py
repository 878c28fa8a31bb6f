# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared against answering GPUs."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._expected import (
    Expected,
    missing,
    parse_exceptions,
    parse_expected,
)

H100 = "NVIDIA H100 80GB HBM3"
FAULT = {"gpu": "GPU-5c1e", "state": "missing", "reason": "RMA 4711", "until": "2026-12-15"}


def gpus(*names):
    return [(f"GPU-{number}", name) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Expected()),
        ({}, Expected()),
        ({"count": 0}, Expected(0)),
        ({"count": 8, "model": "*H100*", "nvlinks": 18, "compute_nics": 8, "gbps": 400}, Expected(8, "*H100*")),
    ],
)
def test_parse(value, expected):
    assert parse_expected(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([8], "accel_gpu_expected: .* is a list; give a mapping"),
        ({"model": "*H100*"}, "accel_gpu_expected: count is missing"),
        ({"count": -1}, "accel_gpu_expected.count: -1"),
        ({"count": "8"}, 'accel_gpu_expected.count: "8" is a string'),
        ({"count": 8, "modell": "*H100*"}, 'unknown key "modell"; allowed are count, model'),
        ({"count": 8, "model": ""}, "accel_gpu_expected.model: the string is empty"),
    ],
)
def test_wrong_declarations_are_named(value, words):
    with pytest.raises(WishError, match=words):
        parse_expected(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": None}, r"accel_gpu_exceptions\[0\]: reason is missing"),
        ({"until": "soon"}, r'accel_gpu_exceptions\[0\].until: "soon" is not a date'),
        ({"state": "gone"}, r'accel_gpu_exceptions\[0\].state: "gone" is unknown; allowed is missing'),
        ({"who": "me"}, 'unknown key "who"'),
    ],
)
def test_wrong_exceptions_are_named(change, words):
    with pytest.raises(WishError, match=words):
        parse_exceptions([{**FAULT, **change}])


def test_a_date_may_come_from_yaml_or_from_json():
    from_yaml = parse_exceptions([{**FAULT, "until": datetime.date(2026, 12, 15)}])
    assert from_yaml == parse_exceptions([FAULT])


def test_all_there():
    assert missing(Expected(2, "*H100 80GB*"), (), gpus(H100, H100)) is None


def test_a_missing_gpu_fails_the_host_and_tells_what_is_there():
    told = missing(Expected(3, "*H100*"), (), gpus(H100, "NVIDIA T4", H100))
    assert told is not None
    assert "3 GPUs of model *H100* are declared, 2 answer" in told
    assert "NVIDIA T4" in told
    assert "1 missing" in told


def test_a_node_without_any_answer_is_not_a_node_without_gpus():
    told = missing(Expected(8), (), (), ["0000:3b:00.0 is lost"])
    assert told is not None
    assert "0 answer (there: none); no answer: 0000:3b:00.0 is lost; 8 missing" in told


def test_an_exception_excuses_one_gpu():
    faults = parse_exceptions([FAULT])
    assert missing(Expected(3), faults, gpus(H100, H100)) is None
    told = missing(Expected(4), faults, gpus(H100, H100))
    assert told is not None and "excused: GPU-5c1e is missing: RMA 4711" in told


@pytest.mark.parametrize("names", [("GPU-5c1e", "GPU-5C1E-aa"), ("GPU-5c1e-aa", "GPU-5c1e"), ("GPU-5c1e", "GPU-5c1e")])
def test_two_exceptions_for_one_gpu_excuse_one(names):
    faults = parse_exceptions([{**FAULT, "gpu": name} for name in names])
    assert missing(Expected(3), faults, gpus(H100, H100)) is None
    assert "1 missing" in str(missing(Expected(4), faults, gpus(H100, H100)))


def test_an_exception_for_a_gpu_that_answers_excuses_no_other():
    faults = parse_exceptions([{**FAULT, "gpu": "GPU-1"}])
    assert missing(Expected(3), faults, gpus(H100, H100)) is not None


def test_more_than_declared_is_no_failure():
    assert missing(Expected(1), (), gpus(H100, H100)) is None
