# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel modules on disk, in memory and in the initramfs: their parameters, and whether they come with a change."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import parameters
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    BUSY,
    KERNEL,
    NEW,
    OLD,
    again,
    dependency,
    fresh,
    image,
    only,
    settled,
    words,
)


def test_a_parameter_of_the_loaded_module_is_a_reason_to_reload() -> None:
    node = settled()
    wish = nodes.mirror(version=OLD, parameters={"nvidia": {"NVreg_EnableMSI": 0, "NVreg_Other": 1}})
    live = {"nvidia": {"NVreg_EnableMSI": "1"}}
    made = again(dataclasses.replace(node, live_parameters=live, busy=BUSY), wish)
    assert made.owed.reload == (
        "nvidia runs with NVreg_EnableMSI=1, wished is 0; the node is busy: GPU 0000:17:00.0 is used by Slurm job 4711",
    )


# What an earlier run recorded that the driver makes of a wish for 0 -> why it is reloaded, what is told.
ADJUSTED = (
    "nvidia was loaded with NVreg_EnableMSI=0 and runs with 1; "
    "the driver may have adjusted it: wish what it makes of it"
)
REMEMBERED: t.List[t.Tuple[t.Any, t.Optional[str], t.Tuple[str, ...]]] = [
    (None, "nvidia runs with NVreg_EnableMSI=1, wished is 0", ()),
    ({"nvidia": {"NVreg_EnableMSI": ["0", "1"]}}, None, (ADJUSTED,)),
    ({"nvidia": {"NVreg_EnableMSI": ["0", "2"]}}, "nvidia runs with NVreg_EnableMSI=1, wished is 0", ()),
    ({"nvidia": {"NVreg_EnableMSI": ["3", "1"]}}, "nvidia runs with NVreg_EnableMSI=1, wished is 0", ()),
    ({"nvidia_uvm": {"NVreg_EnableMSI": ["0", "1"]}}, "nvidia runs with NVreg_EnableMSI=1, wished is 0", ()),
]


@pytest.mark.parametrize(("recorded", "why", "told"), REMEMBERED)
def test_what_the_driver_makes_of_a_parameter_is_reloaded_once(
    recorded: t.Any, why: t.Optional[str], told: t.Tuple[str, ...]
) -> None:
    wish = nodes.mirror(version=OLD, parameters={"nvidia": {"NVreg_EnableMSI": 0}})
    node = settled(wish)
    records = {**node.records, **({"adjusted": recorded} if recorded else {})}
    made = again(dataclasses.replace(node, records=records, live_parameters={"nvidia": {"NVreg_EnableMSI": "1"}}), wish)
    assert [one["reason"] for one in made.actions if one["action"] == "reload_modules"] == ([why] if why else [])
    assert made.warnings == told


DROPPED = "nvidia runs with NVreg_EnableMSI=0, which nothing wishes any more"


def test_a_parameter_that_is_no_longer_wished_is_owed_until_the_modules_are_loaded_again() -> None:
    node = settled(nodes.mirror(version=OLD, parameters={"nvidia": {"NVreg_EnableMSI": 0}}), boot_id="one")
    node = dataclasses.replace(
        node, live_parameters={"nvidia": {"NVreg_EnableMSI": "0", "NVreg_Other": "0"}}, busy=BUSY
    )
    state, made = nodes.decided(node, nodes.mirror(version=OLD), OLD)
    assert words(made) == ["WriteFile"]
    assert made.owed.reload == (f"{DROPPED}; the node is busy: GPU 0000:17:00.0 is used by Slurm job 4711",)
    # The file says nothing of it any more.
    waiting = nodes.after(state, made)
    assert again(waiting).owed.reload == made.owed.reload
    idle = again(dataclasses.replace(waiting, busy=()))
    assert [one["reason"] for one in idle.actions if one["action"] == "reload_modules"] == [DROPPED]
    for facts in (
        {"live_parameters": {"nvidia": {"NVreg_EnableMSI": "1"}}},  # somebody has loaded them since
        {"boot_id": "two"},
        {"loaded": None},
    ):
        later = dataclasses.replace(waiting, **facts)
        assert again(later).owed.reload == ()
        assert DROPPED not in str(again(later).actions)
    wished = again(waiting, nodes.mirror(version=OLD, parameters={"nvidia": {"NVreg_EnableMSI": 0}}))
    assert wished.owed.reload == ()


def test_a_parameter_that_was_never_in_force_leaves_nothing() -> None:
    node = settled(nodes.mirror(version=OLD, parameters={"nvidia": {"NVreg_EnableMSI": 0}}))
    live = {"nvidia": {"NVreg_EnableMSI": "1"}}
    assert words(again(dataclasses.replace(node, live_parameters=live))) == ["WriteFile"]


def test_debians_names_of_modules_are_read_from_the_file_too() -> None:
    names = {"nvidia-current": "nvidia", "nvidia-current-uvm": "nvidia_uvm"}
    content = "# ours\nblacklist nouveau\noptions nvidia-current A=1 B=2\noptions nvidia-current-uvm x=1\n"
    assert parameters.written(content, names) == {"nvidia": {"A": "1", "B": "2"}, "nvidia_uvm": {"x": "1"}}
    assert parameters.written("options nvidia-drm modeset=1\n", {}) == {"nvidia_drm": {"modeset": "1"}}


def test_a_boolean_parameter_reads_as_the_kernel_shows_it() -> None:
    wish = nodes.mirror(version=OLD, parameters={"nvidia_drm": {"modeset": True}})
    node = dataclasses.replace(settled(wish), live_parameters={"nvidia_drm": {"modeset": "Y"}})
    assert again(node, wish).steps == ()


def test_a_kernel_without_a_module_is_told_and_the_next_one_that_has_it() -> None:
    node = dataclasses.replace(
        settled(), running=nodes.kernel(KERNEL), loaded=None, next=nodes.kernel("6.8.0-94-generic", OLD)
    )
    made = again(node)
    assert made.steps == ()
    assert made.owed.reboot == (
        f"the running kernel {KERNEL} has no NVIDIA module, 6.8.0-94-generic, which boots next, has it",
    )
    assert made.warnings == (
        f"kernel {KERNEL}, which runs, has no NVIDIA module though the packages are there; see dkms status, and "
        f"run dkms autoinstall -k {KERNEL}",
    )
    assert made.owed.boot == ()  # what boots next is right


# What is missing of the packages, where, and whether dkms builds for the running kernel when it is installed.
SIDES: t.List[t.Tuple[str, t.Dict[str, t.Any], str, bool]] = [
    ("ubuntu 24.04", {}, "nvidia-compute-utils-580", False),
    ("ubuntu 24.04", {}, "nvidia-dkms-580-open", True),
    ("ubuntu 24.04", {"headers": False}, "", True),  # /etc/kernel/header_postinst.d/dkms
    ("rocky 9.4", {"headers": False}, "", False),
    ("rocky 9.4", {}, "nvidia-persistenced", False),
]


@pytest.mark.parametrize(("where", "kernel", "lacking", "built"), SIDES)
def test_a_module_comes_with_the_packages_that_bring_or_build_it(
    where: str, kernel: t.Dict[str, t.Any], lacking: str, built: bool
) -> None:
    name, version = where.split()
    state, made = nodes.decided(nodes.node(name, version), nodes.mirror(version=OLD), OLD)
    node = nodes.after(state, made)
    node = dataclasses.replace(
        node,
        loaded=None,
        running=nodes.kernel(node.running.release, **kernel),
        next=nodes.kernel("6.9.0-1", OLD),
        packages={one: there for one, there in node.packages.items() if one != lacking},
    )
    _state, made = nodes.decided(node, nodes.mirror(version=OLD), OLD)
    assert "ChangePackages" in words(made)
    assert ("LoadModules" in words(made)) is built
    reboot = f"the running kernel {node.running.release} has no NVIDIA module, 6.9.0-1, which boots next, has it"
    assert (made.owed.reboot, len(made.warnings)) == (((), 0) if built else ((reboot,), 1))


IMAGES = [
    ("nothing of ours", image(), {}, False),
    ("the right version", image(OLD), {}, False),
    ("another version", image("580.65.06"), {}, True),
    ("nouveau", image(nouveau=True), {}, True),
    ("nouveau, left as it is", image(nouveau=True), {"blacklist_nouveau": False}, False),
    ("parameters that change", image(OLD), {"parameters": {"nvidia": {"NVreg_X": 1}}}, True),
    ("parameters without a module", image(), {"parameters": {"nvidia": {"NVreg_X": 1}}}, False),
    ("unread", image("580.65.06", unread="no space left"), {}, False),
]


@pytest.mark.parametrize(("there", "found", "rebuilt"), [("580.65.06", "580.65.06", False), (None, OLD, True)])
def test_an_initramfs_can_carry_only_what_its_kernel_has(there: t.Optional[str], found: str, rebuilt: bool) -> None:
    """Where dkms failed for the next kernel, no rebuild brings the wished version into its image."""
    kernel = nodes.kernel("6.8.0-94-generic", there)
    node = dataclasses.replace(settled(), next=kernel._replace(initramfs=image(found)))
    state, made = nodes.decided(node, nodes.mirror(version=OLD), OLD)
    assert ("RebuildInitramfs" in words(made)) is rebuilt
    assert "kernel 6.8.0-94-generic, which boots next, has" in made.warnings[0]
    assert made.owed.boot == made.warnings
    assert again(nodes.after(state, made)).steps == ()


@pytest.mark.parametrize(("name", "found", "options", "rebuilt"), IMAGES, ids=[entry[0] for entry in IMAGES])
def test_an_initramfs_is_rebuilt_only_for_what_it_carries(
    name: str, found: model.Initramfs, options: t.Dict[str, t.Any], rebuilt: bool
) -> None:
    node = settled()
    node = dataclasses.replace(node, running=node.running._replace(initramfs=found))
    made = again(node, nodes.mirror(version=OLD, **options))
    assert ("RebuildInitramfs" in words(made)) is rebuilt
    assert bool(made.warnings) is bool(found.unread)


# --- modules in memory -----------------------------------------------------------------------------------------------


def test_nouveau_that_drives_a_gpu_goes_at_a_reboot() -> None:
    _state, made = fresh(nouveau_loaded=True, gpus=nodes.gpus("hopper", driver="nouveau"))
    assert "LoadModules" not in words(made)
    assert made.owed.reboot == ("nouveau is loaded and drives 0000:17:00.0; it is gone after a reboot",)
    assert only(made, steps.SetUnit) == steps.SetUnit("nvidia-persistenced.service", True, None)


def test_nouveau_that_nobody_uses_is_unloaded() -> None:
    _state, made = fresh(nouveau_loaded=True)
    assert only(made, steps.LoadModules) == steps.LoadModules(("nvidia", "nvidia_uvm"), ("nouveau",))


def stale(**facts: t.Any) -> model.Node:
    """The packages are newer than the module in memory."""
    node = settled()
    return dataclasses.replace(node, loaded=nodes.loaded("580.65.06", True, "nvidia_drm", "nvidia_modeset"), **facts)


def test_a_stale_module_is_reloaded_with_all_that_depends_on_it() -> None:
    holders = (("nv-hostengine", "nvidia-dcgm.service", 811), ("nvidia-persiste", "nvidia-persistenced.service", 700))
    made = again(stale(holders=holders))
    assert only(made, steps.ReloadModules) == steps.ReloadModules(
        ("nvidia_drm", "nvidia_modeset", "nvidia"),
        ("nvidia", "nvidia_modeset", "nvidia_drm"),
        ("nvidia-dcgm.service", "nvidia-persistenced.service"),
    )


HINDRANCES: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any], str]] = [
    ({"busy": BUSY}, {}, "the node is busy: GPU 0000:17:00.0 is used by Slurm job 4711"),
    (
        {"holders": (("python3", None, 4242),)},
        {},
        "python3 (PID 4242) holds GPUs open and is not known to be safe to stop; end it and run again",
    ),
    ({}, {"reload": "never"}, "gpu_driver_reload is never"),
]


@pytest.mark.parametrize(("facts", "options", "why"), HINDRANCES)
def test_a_reload_that_cannot_be_stays_owed(facts: t.Dict[str, t.Any], options: t.Dict[str, t.Any], why: str) -> None:
    made = again(stale(**facts), nodes.mirror(version=OLD, **options))
    assert made.steps == ()
    assert made.owed.reload == (f"module 580.65.06 is loaded, {OLD} is installed; {why}",)


@pytest.mark.parametrize("gpus", [(), nodes.gpus("hopper", driver="vfio-pci")], ids=["lost", "passed through"])
def test_a_stale_module_without_a_gpu_of_its_own_is_owed(gpus: t.Tuple[model.PciDevice, ...]) -> None:
    """It could go, but would not come again: module nvidia does not load where it finds no GPU."""
    made = again(stale(gpus=gpus))
    assert made.steps == ()
    why = (
        f"module 580.65.06 is loaded, {OLD} is installed; no GPU of this node is the driver's now, and its modules are "
        "not loaded without one; a reboot mends it"
    )
    assert (made.owed.reload, made.owed.reboot) == ((why,), (why,))
    assert again(dataclasses.replace(stale(gpus=gpus), loaded=None)).owed.reload == ()
    assert again(dataclasses.replace(stale(gpus=gpus), loaded=nodes.loaded(OLD))).owed.reload == ()


def test_packages_that_change_under_a_module_without_a_gpu_owe_its_reload() -> None:
    node = dataclasses.replace(settled(), gpus=())
    wish = nodes.mirror(version=NEW, change_loaded=True)
    _state, made = nodes.decided(node, wish, NEW, OLD, changes=dependency(NEW, OLD))
    assert "ChangePackages" in words(made)
    assert [one.partition(";")[0] for one in made.owed.reload] == [f"module {OLD} is loaded, {NEW} is installed"]


PENDING = "/run/reboot-required is there"
UNTOLD = (
    f"{PENDING}: whether the driver waits for it cannot be told from that, so its modules are judged by what is "
    "loaded; reboot the node when it suits"
)


@pytest.mark.parametrize(
    ("packages", "told"), [(("libc6",), ()), (("libc6", "nvidia-utils-580"), (UNTOLD,)), ((), (UNTOLD,))]
)
def test_a_reboot_for_other_packages_is_none_of_the_drivers(packages: t.Tuple[str, ...], told: t.Any) -> None:
    made = again(dataclasses.replace(settled(), reboot_pending=(PENDING,), reboot_packages=packages))
    result = made.result()
    assert (result["reboot_required"], result["reboot_pending"]) == ([], [PENDING])
    assert (made.steps, made.changed, made.warnings) == ((), False, told)
