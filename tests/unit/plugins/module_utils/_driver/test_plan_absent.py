# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes again where no driver is wished, and what is recorded for that."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan import decide
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    INSTALLED,
    LIBRARY,
    NEW,
    OLD,
    image,
    only,
    settled,
    words,
)


@pytest.mark.parametrize(
    ("enabled", "recorded", "wanted"),
    [
        ("nvidia-driver:580-open", "nvidia-driver:580-open", "nvidia-driver"),
        ("nvidia-driver:580-open", None, None),
        # somebody has enabled another one since
        ("nvidia-driver:590-open", "nvidia-driver:580-open", None),
        (None, "nvidia-driver:580-open", None),
    ],
)
def test_absent_leaves_the_stream_that_it_enabled(
    enabled: t.Optional[str], recorded: t.Optional[str], wanted: t.Optional[str]
) -> None:
    state, made = nodes.decided(nodes.node("rocky", "9.4"), nodes.mirror(), NEW)
    node = dataclasses.replace(nodes.after(state, made), loaded=None, stream=enabled)
    node = dataclasses.replace(node, records={**node.records, "stream": recorded})
    gone = decide(nodes.mirror(state="absent"), model.State(node))
    assert only(gone, steps.ChangePackages).stream == wanted
    resets = [action["object"] for action in gone.actions if action["action"] == "reset_stream"]
    assert resets == ([wanted] if wanted else [])


def test_absent_takes_back_what_earlier_runs_put_there() -> None:
    node = settled()
    node = dataclasses.replace(
        node,
        packages={**node.packages, "nvidia-container-toolkit": "1.18.0-1"},
        loaded=nodes.loaded(OLD, True, "nvidia_uvm"),
        running=node.running._replace(initramfs=image(OLD)),
        holders=(("nv-hostengine", "nvidia-dcgm.service", 811),),
    )
    wish = nodes.mirror(state="absent")
    state = model.State(node)
    made = decide(wish, state)
    assert words(made) == [
        "SetUnit", "ReloadModules", "RemoveFile", "RemoveFile", "RemoveFile", "UnholdPackages", "ChangePackages",
        "RebuildInitramfs",
    ]  # fmt: skip
    assert only(made, steps.SetUnit) == steps.SetUnit("nvidia-persistenced.service", None, False)
    assert only(made, steps.ReloadModules) == steps.ReloadModules(
        ("nvidia_uvm", "nvidia"), (), ("nvidia-dcgm.service",)
    )
    assert only(made, steps.ChangePackages).remove == tuple(
        sorted([*INSTALLED, LIBRARY, "nvidia-driver-pinning-580.95.05"])
    )
    assert made.diff["after"][f"package {LIBRARY}"] is None
    later = nodes.after(state, made)
    assert later.packages == {"nvidia-container-toolkit": "1.18.0-1"}
    assert (later.files, later.holds, later.loaded) == ({}, frozenset(), None)
    assert decide(wish, model.State(later)).steps == ()


def test_absent_leaves_what_was_there_before() -> None:
    node = nodes.node(packages={"nvidia-utils-580": f"{OLD}-1"}, loaded=nodes.loaded(OLD))
    made = decide(nodes.mirror(state="absent"), model.State(node))
    assert (made.steps, made.changed) == ((), False)


def test_absent_waits_for_running_work() -> None:
    made = decide(nodes.mirror(state="absent"), model.State(dataclasses.replace(settled(), busy=BUSY)))
    assert made.steps == ()
    assert made.owed.reload == (
        "the driver is to be removed; the node is busy: GPU 0000:17:00.0 is used by Slurm job 4711",
    )


def test_packages_that_were_there_are_not_recorded_as_ours() -> None:
    node = nodes.node(packages={"nvidia-utils-580": f"{OLD}-1", LIBRARY: f"{OLD}-1"})
    _state, made = nodes.decided(node, nodes.mirror(version=OLD), OLD)
    assert made.record is not None
    assert made.record["packages"] == [
        "libnvidia-compute-580", "nvidia-compute-utils-580", "nvidia-dkms-580-open", "nvidia-driver-pinning-580.95.05",
    ]  # fmt: skip
