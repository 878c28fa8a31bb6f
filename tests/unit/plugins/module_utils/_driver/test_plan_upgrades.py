# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other versions, flavours and sources: what changes, what waits for a loaded module (rule 5), and the way back."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    INSTALLED,
    LIBRARY,
    NEW,
    OLD,
    SWITCHES,
    again,
    dependency,
    only,
    settled,
    words,
)


def test_a_loaded_module_keeps_its_packages() -> None:
    node = settled()
    made = again(node, nodes.mirror(version=NEW), changes=dependency(NEW, OLD))
    assert made.owed.upgrade == (OLD, NEW)
    assert (made.steps, made.changed, made.warnings) == ((), False, ())
    assert made.result()["upgrade_pending"] == {"from": OLD, "to": NEW}
    assert [entry["reason"] for entry in made.actions] == [f"upgrade pending {OLD} → {NEW}: a module is loaded"]


def test_modules_with_the_kernels_version_stay_held_while_their_upgrade_is_pending() -> None:
    state, made = nodes.decided(
        nodes.node(), nodes.wish(source="distribution", branch="580", modules="precompiled"), OLD
    )
    node = dataclasses.replace(nodes.after(state, made), loaded=nodes.loaded(OLD))
    held = f"linux-modules-nvidia-580-server-open-{node.running.release}"
    assert held in node.holds
    wish = nodes.wish(source="distribution", branch="595", modules="precompiled")
    _state, made = nodes.decided(node, wish, "595.71.05")
    assert (made.owed.upgrade, made.steps) == ((OLD, "595.71.05"), ())
    assert held in dict(made.record or node.records)["holds"]


def test_an_upgrade_under_a_module_that_may_change_ends_with_a_reload() -> None:
    node = settled()
    node = dataclasses.replace(node, loaded=nodes.loaded(OLD, True, "nvidia_uvm"))
    wish = nodes.mirror(version=NEW, change_loaded=True)
    state, made = nodes.decided(node, wish, NEW, OLD, changes=dependency(NEW, OLD))
    assert words(made) == ["RefreshIndex", "ChangePackages", "UnholdPackages", "HoldPackages", "ReloadModules"]
    assert only(made, steps.UnholdPackages).names == ("nvidia-driver-pinning-580.95.05",)
    assert only(made, steps.HoldPackages).names == ("nvidia-driver-pinning-580.126.16",)
    assert only(made, steps.ReloadModules) == steps.ReloadModules(
        ("nvidia_uvm", "nvidia"), ("nvidia", "nvidia_uvm"), ("nvidia-persistenced.service",)
    )
    later = nodes.after(state, made)
    assert later.loaded == nodes.loaded(NEW, True, "nvidia_uvm")
    _state, second = nodes.decided(later, wish, NEW, OLD)
    assert (second.steps, second.owed) == ((), steps.Owed())


def test_a_busy_node_keeps_its_driver_whatever_is_allowed() -> None:
    node = dataclasses.replace(settled(), busy=BUSY)
    made = again(node, nodes.mirror(version=NEW, change_loaded=True), changes=dependency(NEW, OLD))
    assert (made.steps, made.owed.upgrade) == ((), (OLD, NEW))


def test_a_change_by_dependency_counts_as_one() -> None:
    node = settled(wish=nodes.mirror(version=OLD, persistenced=False))
    pulled = (model.Change("libnvidia-compute-580", f"{OLD}-1", f"{NEW}-1"),)
    made = again(node, nodes.mirror(version=OLD), changes=pulled)
    assert (made.owed.upgrade, "ChangePackages" in words(made)) == (
        (f"{OLD} (as installed)", f"{OLD} (packages of nvidia)"),
        False,
    )


def test_libraries_that_came_by_dependency_are_named_in_the_transaction() -> None:
    node = dataclasses.replace(settled(), loaded=None)
    made = again(node, nodes.mirror(version=NEW))
    assert dict(only(made, steps.ChangePackages).install)[LIBRARY] == f"{NEW}-1"


def test_a_downgrade_is_one() -> None:
    node = dataclasses.replace(settled(version=NEW), loaded=None)
    made = again(node, nodes.mirror(version=OLD), changes=dependency(OLD, NEW))
    assert only(made, steps.ChangePackages).downgrade is True


FULL = (
    "nvidia-driver",
    "nvidia-driver-cuda",
    "nvidia-kernel-open-dkms",
    "libcuda1",
    "nvidia-smi",
    "nvidia-kernel-support",
)


def test_what_a_meta_package_brings_is_no_stray_and_follows_it() -> None:
    """NVIDIA's packages for Debian share names with Debian's own."""
    node, wish = nodes.node("debian", "13"), nodes.mirror(version=OLD, profile="full")
    changes = tuple(model.Change(name, None, f"{OLD}-1") for name in FULL)
    state, made = nodes.decided(node, wish, OLD, changes=changes)
    assert set(only(made, steps.HoldPackages).names) >= set(FULL)
    later = nodes.after(state, made)
    assert again(later, wish).steps == ()
    newer = again(dataclasses.replace(later, loaded=None), nodes.mirror(version=NEW))
    change = only(newer, steps.ChangePackages)
    assert change.remove == ("nvidia-driver-pinning-580.95.05",)
    assert {name: dict(change.install)[name] for name in FULL} == dict.fromkeys(FULL, f"{NEW}-1")


def test_ubuntus_own_packages_make_way_for_nvidias() -> None:
    own = nodes.wish(source="distribution", branch="580")
    changes = (model.Change("libnvidia-compute-580-server", None, f"{OLD}-1"),)
    state, made = nodes.decided(nodes.node(gpus=(), switches=SWITCHES), own, OLD, changes=changes)
    later = nodes.after(state, made)
    change = only(again(later, nodes.mirror(branch="580")), steps.ChangePackages)
    assert change.remove == (
        "libnvidia-compute-580-server",
        "nvidia-compute-utils-580-server",
        "nvidia-headless-580-server-open",
        "nvidia-utils-580-server",
    )


def test_another_flavour_replaces_the_packages_of_the_first() -> None:
    node = dataclasses.replace(settled(), loaded=None)
    made = again(node, nodes.mirror(version=OLD, flavour="proprietary"))
    change = only(made, steps.ChangePackages)
    assert (change.remove, change.install) == (("nvidia-dkms-580-open",), (("nvidia-dkms-580", f"{OLD}-1"),))


WAITING: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"busy": BUSY}, "the node is busy: GPU 0000:17:00.0 is used by Slurm job 4711"),
    (
        {"holders": (("python3", None, 4242), ("nv-hostengine", "nvidia-dcgm.service", 811))},
        "python3 (PID 4242) holds GPUs open and is not known to be safe to stop",
    ),
]


@pytest.mark.parametrize(("facts", "why"), WAITING)
def test_a_loaded_driver_is_not_changed_under_those_who_have_it_open(facts: t.Dict[str, t.Any], why: str) -> None:
    made = again(dataclasses.replace(settled(), **facts), nodes.mirror(version=NEW, change_loaded=True))
    assert (made.steps, made.owed.upgrade, made.owed.reload) == ((), (OLD, NEW), ())
    kept = {"action": "keep", "object": "driver packages", "reason": f"upgrade pending {OLD} → {NEW}: {why}"}
    assert kept in made.actions


def test_another_flavour_waits_for_the_loaded_one() -> None:
    made = again(settled(), nodes.mirror(version=OLD, flavour="proprietary"))
    assert (made.steps, made.owed.upgrade) == ((), (f"{OLD} (open)", f"{OLD} (proprietary)"))


def test_the_rename_of_590_takes_the_old_names_along() -> None:
    node = dataclasses.replace(settled(), loaded=None)
    made = nodes.decided(node, nodes.mirror(version="590.48.01"), "590.48.01")[1]
    change = only(made, steps.ChangePackages)
    assert change.remove == tuple(sorted([*INSTALLED, LIBRARY, "nvidia-driver-pinning-580.95.05"]))
    assert set(dict(change.install)) == {"libnvidia-compute", "nvidia-dkms-open", "nvidia-utils", "nvidia-persistenced"}
    assert change.first == (("nvidia-driver-pinning-590.48.01", "590.48.01-1"),)


def test_the_way_back_over_the_rename_takes_the_new_names_along() -> None:
    changes = (model.Change("nvidia-kernel-common", None, "595.71.05-1"),)
    state, made = nodes.decided(nodes.node(gpus=()), nodes.mirror(branch="595"), "595.71.05", changes=changes)
    back = nodes.decided(nodes.after(state, made), nodes.mirror(version=OLD), OLD)[1]
    change = only(back, steps.ChangePackages)
    assert change.remove == (
        "libnvidia-compute",
        "nvidia-dkms-open",
        "nvidia-driver-pinning-595",
        "nvidia-kernel-common",
        "nvidia-persistenced",
        "nvidia-utils",
    )


def test_sles_moves_from_one_generation_of_drivers_to_the_next() -> None:
    state, made = nodes.decided(nodes.node("sles", "15.6", gpus=()), nodes.mirror(branch="580"), NEW)
    later = nodes.decided(nodes.after(state, made), nodes.mirror(branch="595"), "595.71.05")[1]
    change = only(later, steps.ChangePackages)
    assert change.remove == ("nvidia-compute-utils-G06", "nvidia-open-driver-G06")
    assert dict(change.install)["nvidia-persistenced"] == "595.71.05-1"


def test_only_a_download_is_made_where_that_is_wished() -> None:
    made = again(dataclasses.replace(settled(), busy=BUSY), nodes.mirror(version=NEW, download_only=True))
    assert words(made) == ["RefreshIndex", "ChangePackages"]
    assert only(made, steps.ChangePackages).download is True
    assert (made.changed, made.owed.upgrade, made.record) == (False, None, None)


def test_an_upgrade_of_the_pins_alone_is_none_of_the_driver() -> None:
    node = settled(nodes.mirror(branch="580", persistenced=False))
    pins = (model.Change("nvidia-driver-pinning-580", "580-1", "580-2ubuntu1"),)
    made = again(node, nodes.mirror(branch="580"), changes=pins)
    assert (made.owed.upgrade, "ChangePackages" in words(made)) == (None, True)
