# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each representative change: check mode tells exactly what the run does, and a second run does nothing."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.tests.component.mig.changes import CHANGES, Change, Prepared


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_check_run_and_second_run(change: Change, short):
    prepared = Prepared(change, short / "0")
    node = prepared.node
    try:
        node.files.remove("/run/accel-gpu/lock")
        node.sessions.clear()
        predicted = node.apply(change.params, check=True)
        assert not predicted.get("failed"), predicted["msg"]
        assert (node.layouts(), node.has_journal) == (prepared.old, False)
        assert not any(session.write_calls for session in node.sessions)
        assert not node.files.exists("/run/accel-gpu/lock")
        done = node.apply(change.params)
        assert not done.get("failed"), done["msg"]
        for key in ("changed", "diff", "actions", "reset_required", "reboot_required", "deferred"):
            assert done[key] == predicted[key], key
        assert done["changed"] is True
        assert node.workers() == prepared.workers
        assert not node.has_journal
        assert all(node.services.active().values())
        again = _second_run(prepared)
        assert again["gpus"] == done["gpus"]
    finally:
        prepared.close()


def _second_run(prepared: Prepared):
    node = prepared.node
    layouts, uuids = node.layouts(), node.mig_uuids()
    node.sessions.clear()
    node.commands.clear()
    again = node.apply(prepared.change.params)
    assert (again.get("msg"), again["changed"], again["diff"]) == (None, False, {"before": {}, "after": {}})
    assert (node.layouts(), node.mig_uuids()) == (layouts, uuids)
    assert [session.snapshots for session in node.sessions] == [1]
    assert not any(session.write_calls for session in node.sessions)
    assert node.commands == []
    return again
