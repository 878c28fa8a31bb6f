# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def test_the_old_layout_was_restored(node):
    (gpu,) = node("failing").json("/var/tmp/restored.json")["gpus"]
    assert sorted(instance["profile"] for instance in gpu["instances"]) == ["3g.40gb", "4g.40gb"]
    assert all(instance["compute_instances"] for instance in gpu["instances"])


def test_the_next_run_made_the_wish(node):
    assert node("failing").profiles(0) == ["1g.20gb", "2g.20gb", "2g.20gb", "2g.20gb"]


def test_no_journal_is_left(node):
    assert not node("failing").host.file("/var/lib/accel-gpu/mig/journal.json").exists
