# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.accel.gpu.plugins.module_utils._diff import Tracker


def test_nothing_done_is_nothing_changed():
    tracker = Tracker()
    tracker.keep("limit", "is right", gpu="GPU-1")
    tracker.note("mode", "is pending")
    tracker.act("deferred", "mode", "busy")
    assert not tracker.changed
    assert tracker.diff == {"before": {}, "after": {}}
    assert tracker.actions[0] == {"action": "keep", "gpu": "GPU-1", "object": "limit", "reason": "is right"}
    assert [line["action"] for line in tracker.actions] == ["keep", "note", "deferred"]


def test_a_change_is_in_the_difference_and_in_the_actions():
    tracker = Tracker()
    tracker.change("power_limit", 400, 300, action="set", object="power limit", reason="wished")
    assert tracker.changed
    assert tracker.diff == {"before": {"power_limit": 400}, "after": {"power_limit": 300}}
    assert tracker.actions == [{"action": "set", "object": "power limit", "reason": "wished"}]


def test_of_several_changes_to_one_key_the_ends_count():
    tracker = Tracker()
    tracker.change("mode", "off", "pending", action="set", object="mode", reason="wished")
    tracker.change("mode", "pending", "on", action="reset", object="GPU", reason="needed")
    assert tracker.diff == {"before": {"mode": "off"}, "after": {"mode": "on"}}
    assert len(tracker.actions) == 2
