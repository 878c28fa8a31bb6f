# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run that died left to be set again does not overwrite what is wished since."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._settings import kept
from ansible_collections.accel.gpu.tests.component.settings.machine import A100, every


@pytest.fixture
def owing(machine):
    """A GPU that was set to 300 W and exclusive_process; the driver was loaded again and nothing set."""
    made = machine(A100)
    with made.seen(), made.ports().open_nvml() as session:
        uuid = session.snapshot(("identity",)).gpus[0].uuid
        before = {**session.settings(uuid), "power_limit": 300.0, "compute_mode": "exclusive_process"}
        one = kept.KeptSettings(made.ports(), session)
        one._before[uuid] = before
        one.keep(uuid)
    return made


def finish(made):
    """As the next change of MIG or reset does it."""
    with made.seen(), made.ports().open_nvml() as session:
        one = kept.KeptSettings(made.ports(), session)
        one.finish_earlier()
    return one.told


def test_without_a_wish_it_is_set_again(owing):
    assert len(finish(owing)) == 2
    assert owing.pair("power_limit", "compute_mode") == (300.0, 3)


@pytest.mark.parametrize(("limit", "changed"), [(350, True), (400, False)])
def test_what_is_wished_since_stays_also_where_it_was_so_already(owing, limit, changed):
    wish = every(power_limit=limit)
    assert not owing.apply({"settings": [wish]}, check=True).get("failed")
    assert "power_limit" in next(iter(kept.stored(owing.files).values()))["settings"]
    assert owing.settle(wish)["changed"] is changed
    finish(owing)
    # What nobody wishes is set again all the same.
    assert owing.pair("power_limit", "compute_mode") == (float(limit), 3)
    owing.quiet(wish)
    assert not owing.files.exists(kept.PATH)
