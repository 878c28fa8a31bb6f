# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an interrupted run of this boot has taken out of memory comes again, those of other packages too."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, record, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan_modules
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    OLD,
    again,
    only,
    settled,
    words,
)

# As they were taken out.
BEFORE = ("nvidia_peermem", "nvidia_fs", "gdrdrv", "nvidia_uvm", "nvidia_drm", "nvidia_modeset", "nvidia")
REST = ("nvidia_modeset", "nvidia_drm", "gdrdrv", "nvidia_fs", "nvidia_peermem")
WHY = "an interrupted run has unloaded nvidia_peermem"


def journal(boot: str = "one") -> record.Journal:
    return record.Journal(boot, record.AFTER, record.Recorded("2026-11-25T00:00:00Z", modules=BEFORE))


def loaded(*dependents: str) -> model.LoadedModule:
    return nodes.loaded(OLD, True, *dependents)


def recorded(boot: str) -> t.Dict[str, t.Any]:
    return {"unloaded": {"boot": boot, "modules": ["nvidia_peermem"]}}


# What is in memory, the journal, what earlier runs recorded -> what has been taken out, in the order of loading.
TAKEN: t.Dict[str, t.Tuple[t.Any, t.Any, t.Any, t.Tuple[str, ...]]] = {
    "nothing is left": (None, journal(), {}, tuple(reversed(BEFORE))),
    "nvidia is there again": (loaded("nvidia_uvm"), journal(), {}, REST),
    "the outermost have gone": (loaded(*BEFORE[2:-1]), journal(), {}, ("nvidia_fs", "nvidia_peermem")),
    "all is there": (loaded(*BEFORE[:-1]), journal(), {}, ()),
    "in another boot": (None, journal("two"), {}, ()),
    "no run was interrupted": (None, None, {}, ()),
    "an earlier run could not": (loaded("nvidia_uvm"), None, recorded("one"), ("nvidia_peermem",)),
    "an earlier run of another boot": (loaded("nvidia_uvm"), None, recorded("two"), ()),
}


@pytest.mark.parametrize("case", TAKEN, ids=str)
def test_what_was_taken_out_of_memory(case: str) -> None:
    there, found, records, wanted = TAKEN[case]
    node = nodes.node(loaded=there, boot_id="one", records=records)
    assert plan_modules.unloaded(node, found) == wanted


def test_all_that_were_loaded_are_loaded_again() -> None:
    node = dataclasses.replace(settled(), loaded=None, unloaded=tuple(reversed(BEFORE)))
    made = again(node)
    assert only(made, steps.LoadModules) == steps.LoadModules(("nvidia", "nvidia_uvm"), again=REST)


def test_those_that_went_before_the_run_died_come_with_the_reload() -> None:
    stale = nodes.loaded("580.65.06", True, "nvidia_uvm")
    made = again(dataclasses.replace(settled(), loaded=stale, unloaded=REST))
    assert only(made, steps.ReloadModules) == steps.ReloadModules(
        ("nvidia_uvm", "nvidia"), ("nvidia", "nvidia_uvm"), ("nvidia-persistenced.service",), again=REST
    )


@pytest.mark.parametrize("busy", [(), BUSY])
def test_where_nvidia_is_right_they_are_loaded_beside_those_who_work(busy: t.Any) -> None:
    made = again(dataclasses.replace(settled(), loaded=loaded("nvidia_uvm"), unloaded=("nvidia_peermem",), busy=busy))
    assert made.steps == (steps.InsertModules((), again=("nvidia_peermem",)),)
    assert [(one["object"], one["reason"]) for one in made.actions] == [("nvidia_peermem", WHY)]


def test_what_has_to_wait_is_told_and_remembered() -> None:
    stale = nodes.loaded("580.65.06", True, "nvidia_uvm")
    node = dataclasses.replace(settled(), loaded=stale, unloaded=("nvidia_peermem",), boot_id="one", busy=BUSY)
    made = again(node)
    assert words(made) == []
    assert made.owed.reload[0].startswith(f"module 580.65.06 is loaded, {OLD} is installed; {WHY}; the node is busy")
    assert made.record is not None
    assert made.record["unloaded"] == {"boot": "one", "modules": ["nvidia_peermem"]}
    assert again(settled()).record == {key: value for key, value in made.record.items() if key != "unloaded"}
