# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What dnf and zypper share: rpm's answers, its order of versions, and the files of locks.

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._packages import parse_rpm
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Package

FOUND = (
    Package("nvidia-driver", "3:580.1-1.el9", "x86_64"),
    Package("nvidia-driver-libs", "3:580.1-1.el9", "x86_64"),
    Package("old", "1-1", "x86_64"),
)


def test_an_epoch_of_nothing_is_not_written():
    out = "nvidia-driver\t3:580.1-1.el9\tx86_64\nnvidia-driver-libs\t3:580.1-1.el9\tx86_64\nold\t0:1-1\tx86_64\n"
    assert parse_rpm.packages(out) == FOUND


def test_patterns_are_globs_of_whole_names():
    assert [one.name for one in parse_rpm.matching(FOUND, ["nvidia-*", "ol"])] == [
        "nvidia-driver",
        "nvidia-driver-libs",
    ]


def test_what_an_interrupted_transaction_left():
    twice = (
        *FOUND,
        Package("old", "2-1", "x86_64"),
        Package("nvidia-driver-libs", "3:580.1-1.el9", "i686"),
        Package("kernel-core", "5.14-1", "x86_64"),
        Package("kernel-core", "5.14-2", "x86_64"),
        Package("gpg-pubkey", "1-1", "(none)"),
        Package("gpg-pubkey", "2-1", "(none)"),
    )
    assert parse_rpm.twice(twice) == ("old",)
    assert parse_rpm.twice(FOUND) == ()


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("1-1", "1-1", 0),
        ("580.95.05-1", "580.126.16-1", -1),
        ("1:1-1", "2-1", 1),
        ("580.1-1.el9", "580.1-1.el9_4", -1),
        ("1.0~rc1-1", "1.0-1", -1),
        ("1.0^git1-1", "1.0-1", 1),
        ("1.0^git1-1", "1.0.1-1", -1),
        ("1.a-1", "1.1-1", -1),
        ("1.05-1", "1.5-1", 0),
        ("1-2", "1-10", -1),
    ],
)
def test_order_of_versions(one, other, order):
    assert parse_rpm.compare(one, other) == order
    assert [parse_rpm.compare(left, right) for left, right in ((other, one), (one, one))] == [-order, 0]


def test_newest_first_once():
    given = ["3:570.1-1.el9", "3:580.2-1.el9", "3:580.1-1.el9", "3:580.2-1.el9"]
    assert parse_rpm.newest_first(given) == ("3:580.2-1.el9", "3:580.1-1.el9", "3:570.1-1.el9")


LOCKS = "\n# Added lock on Wed Nov 25 22:37:11 2026\nnvidia-driver-3:580.1-1.el9.*\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (LOCKS, {"nvidia-driver"}),
        ("nvidia-driver*-3:580.1-1.el9.*\n", {"nvidia-driver", "nvidia-driver-libs"}),
        # the form that NVIDIA's guide for RHEL 10 shows
        ("*nvidia*580*\n", {"nvidia-driver", "nvidia-driver-libs"}),
        ("*nvidia*570*\n", set()),
        ("!old-0:1-1.*\n", {"old"}),
        ("# old-0:1-1.*\n", set()),
        ("", set()),
    ],
)
def test_held_by_versionlock(text, names):
    assert parse_rpm.versionlock_names(text, FOUND) == names


def test_locks_are_added_once_and_taken_away_alone():
    text = parse_rpm.versionlock_with(LOCKS.rstrip("\n"), FOUND)
    assert text == f"{LOCKS}nvidia-driver-libs-3:580.1-1.el9.*\nold-0:1-1.*\n"
    assert parse_rpm.versionlock_with(text, FOUND) == text
    foreign = f"{text}nvidia*-3:580.1-1.el9.*\n!old-0:2-1.*\n"
    assert parse_rpm.versionlock_without(foreign, {"nvidia-driver", "nvidia-driver-libs", "old"}) == (
        "\n# Added lock on Wed Nov 25 22:37:11 2026\nnvidia*-3:580.1-1.el9.*\n!old-0:2-1.*\n"
    )


def test_held_by_zypper():
    text = (
        "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: nvidia-driver*\n"
        "\ntype: patch\nsolvable_name: old\n"
    )
    assert parse_rpm.zypp_lock_names(text, FOUND) == {"nvidia-driver", "nvidia-driver-libs"}
    assert parse_rpm.zypp_lock_names("", FOUND) == frozenset()
