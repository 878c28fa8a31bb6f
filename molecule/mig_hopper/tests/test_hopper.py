# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.mark.parametrize("index", [0, 1])
def test_double_memory_slices_get_all_their_multiprocessors(node, index):
    hopper = node("hopper")
    assert hopper.profiles(index) == ["1g.20gb", "2g.20gb", "3g.40gb"]
    (double,) = [instance for text, instance in hopper.instances(index) if text.startswith("1g.20gb")]
    # 1_SLICE would leave 10 of 26 multiprocessors unused on this board.
    assert [compute["sms"] for compute in double["compute_instances"]] == [26]


def test_placement_and_compute_instances_as_declared(node):
    hopper = node("hopper")
    assert hopper.profiles(2) == ["1g.18gb", "1g.18gb", "3g.71gb"]
    assert "3g.71gb 4:4" in hopper.layout(2)
    assert ["1c.3g.71gb", "2c.3g.71gb"] in hopper.compute(2)


def test_a_board_with_twelve_slots(node):
    hopper = node("hopper")
    assert hopper.profiles(3) == ["1g.24gb", "1g.24gb-me", "2g.48gb"]
    assert all(text.split()[1].endswith((":3", ":6")) for text in hopper.layout(3))


def test_no_reset_was_needed(node):
    assert [gpu["resets"] for gpu in node("hopper").show()["gpus"]] == [0, 0, 0, 0]


def test_a_mig_parted_document_means_what_mig_parted_means(node):
    parted = node("parted")
    assert parted.profiles(0) == ["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]
    assert parted.profiles(1) == ["1g.6gb", "1g.6gb", "2g.12gb"]
