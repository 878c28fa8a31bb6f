# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._mig.names import (
    ProfileName,
    compute_slices,
    find_by_figures,
    find_by_name,
    parse_name,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1g.10gb", ProfileName(1, 10)),
        ("1g.10gb+me", ProfileName(1, 10, ("+me",))),
        ("1g.24gb+me.all", ProfileName(1, 24, ("+me.all",))),
        ("2g.48gb-me", ProfileName(2, 48, ("-me",))),
        ("4g.96gb+gfx", ProfileName(4, 96, ("+gfx",))),
        ("1g.24gb+me+gfx", ProfileName(1, 24, ("+gfx", "+me"))),
        ("1c.3g.20gb", ProfileName(3, 20, (), 1)),
        ("3c.3g.20gb", ProfileName(3, 20, (), 3)),
        ("1g.0gb", ProfileName(1, 0)),
    ],
)
def test_grammar(text, name):
    assert parse_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "1g", "10gb", "1g.10", "1G.10GB", "g.10gb", "0g.10gb", "1g.10gb+", "1g.10gb+me-gfx", "4c.3g.20gb", "0c.1g.5gb",
     "1g.10gb me", " 1g.10gb", "1g.10gb+me.", "MIG 1g.10gb", "1c"],
)  # fmt: skip
def test_no_names(text):
    assert parse_name(text) is None


@given(
    st.integers(1, 9),
    st.integers(0, 300),
    st.sampled_from([(), ("+me",), ("-me",), ("+gfx",), ("+me.all",)]),
    st.booleans(),
)
def test_a_name_says_what_it_was_made_of(slices, gigabytes, attributes, cut):
    name = ProfileName(slices, gigabytes, attributes, slices if cut else None)
    assert parse_name((f"{slices}c." if cut else "") + name.gpu_instance) == name


@pytest.mark.parametrize(
    ("text", "of", "slices"), [("1c", 3, 1), ("1c.3g.40gb", 3, 1), ("3g.40gb", 3, 3), ("0c", 3, None), ("x", 3, None)]
)
def test_compute_slices(text, of, slices):
    assert compute_slices(text, of) == slices


def renamed(key, **names):
    gpu = boards.gpu(key)
    swap = {old.replace("_", "."): new for old, new in names.items()}
    table = tuple(dataclasses.replace(row, name=swap.get(row.name, row.name)) for row in gpu.mig.profiles)
    return dataclasses.replace(gpu, mig=dataclasses.replace(gpu.mig, profiles=table))


@pytest.mark.parametrize(
    ("wish", "gpu", "live"),
    [
        # Names that drifted between drivers, and mig-parted's rounding (NVIDIA/mig-parted#31, #227).
        ("3g.39gb", boards.gpu("h100-80gb-sxm5"), "3g.40gb"),
        ("3g.40gb", renamed("h100-80gb-sxm5", **{"3g_40gb": "3g.39gb"}), "3g.39gb"),
        ("1g.24gb", boards.gpu("b200-180gb"), "1g.23gb"),
        ("7g.189gb", renamed("b200-180gb", **{"7g_180gb": "7g.186gb"}), "7g.186gb"),
        ("3g.95gb", renamed("b200-180gb", **{"3g_90gb": "3g.93gb"}), "3g.93gb"),
        ("1g.24gb+me", boards.gpu("b200-180gb"), "1g.23gb+me"),
        ("1g.12gb", renamed("h100-94gb-nvl", **{"1g_12gb": "1g.11gb"}), "1g.11gb"),
    ],
)
def test_drifted_names_are_found_and_told(wish, gpu, live):
    profile, note = find_by_name(wish, gpu, "geometry[0]")
    assert profile.name == live
    assert note == f"geometry[0]: profile {wish} is named {live} by this driver"


def test_the_exact_name_goes_before_a_near_one():
    gpu = boards.gpu("h100-94gb-nvl")
    for row in gpu.mig.profiles:
        assert find_by_name(row.name, gpu, "x") == (row, None)


@pytest.mark.parametrize(
    ("wish", "key"),
    [("3g.20gb", "h100-80gb-sxm5"), ("1g.12gb", "a100-80gb"), ("1g.5gb", "a30-24gb"), ("1g.20gb", "h200-141gb"),
     ("1g.10gb+me.all", "a100-80gb"), ("2g.40gb", "a100-80gb"), ("1g.0gb", "a100-80gb")],
)  # fmt: skip
def test_names_of_other_boards_are_not_near(wish, key):
    with pytest.raises(WishError, match="does not exist on this GPU"):
        find_by_name(wish, boards.gpu(key), "geometry[0]")


@pytest.mark.parametrize(
    ("slices", "memory", "attributes", "key", "live"),
    [
        (1, 10, (), "a100-80gb", "1g.10gb"),
        (1, 20, (), "h100-80gb-sxm5", "1g.20gb"),
        (1, 10, ("+me",), "a100-80gb", "1g.10gb+me"),
        (1, 22, (), "b200-180gb", "1g.23gb"),
        (1, 18, (), "h200-141gb", "1g.18gb"),
        (1, 16, (), "h200-141gb", "1g.18gb"),
        (3, None, (), "a100-80gb", "3g.40gb"),
        (1, 24, ("-me",), "rtx-pro-6000-blackwell-96gb", "1g.24gb-me"),
        (1, 24, (), "rtx-pro-6000-blackwell-96gb", "1g.24gb"),
    ],
)
def test_figures(slices, memory, attributes, key, live):
    assert find_by_figures(slices, memory, attributes, boards.gpu(key), "geometry[0]").name == live


def test_the_name_of_every_board_is_found_by_its_figures():
    for key in boards.rows():
        gpu = boards.gpu(key)
        for row in gpu.mig.profiles:
            name = parse_name(row.name)
            assert name is not None
            assert find_by_figures(row.slices, name.gigabytes, name.attributes, gpu, "x") == row
            assert find_by_figures(row.slices, row.memory_mib / 1024, name.attributes, gpu, "x") == row
