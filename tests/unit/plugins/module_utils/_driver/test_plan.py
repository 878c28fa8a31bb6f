# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about a node, case by case: packages, holds and the life of branches."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._data.driver_system import MODPROBE_FILE
from ansible_collections.accel.gpu.plugins.module_utils._driver import steps
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    INSTALLED,
    KERNEL,
    LIBRARY,
    NEW,
    OLD,
    again,
    dependency,
    fresh,
    only,
    settled,
    words,
)

# --- a first installation ------------------------------------------------------------------------------------------


def test_a_first_installation_from_repository_to_module() -> None:
    _state, made = fresh()
    assert words(made) == [
        "WriteFile", "WriteFile", "RefreshIndex", "ChangePackages", "HoldPackages", "WriteFile", "LoadModules",
        "SetUnit",
    ]  # fmt: skip
    change = only(made, steps.ChangePackages)
    assert change.first == (("nvidia-driver-pinning-580", "580-1"),)
    assert dict(change.install) == dict.fromkeys(INSTALLED, f"{NEW}-1")
    assert (change.downgrade, change.remove, change.stream, change.download) == (False, (), None, False)
    assert only(made, steps.RefreshIndex).max_age == 0  # the repository is new
    assert only(made, steps.HoldPackages).names == tuple(sorted([*INSTALLED, LIBRARY, "nvidia-driver-pinning-580"]))
    assert only(made, steps.LoadModules) == steps.LoadModules(("nvidia", "nvidia_uvm"))
    assert only(made, steps.SetUnit) == steps.SetUnit("nvidia-persistenced.service", True, True)
    assert (made.changed, made.warnings, made.owed) == (True, (), steps.Owed())


def test_the_result_tells_what_was_decided() -> None:
    _state, made = fresh()
    result = made.result()
    assert set(result) == {
        "changed", "diff", "actions", "driver", "branch", "flavour", "source", "repository", "packages",
        "upgrade_pending", "reload_required", "reboot_required", "reboot_pending", "daemon_reload_required",
        "enrolment_required", "fabric_deferred", "boot_without_driver", "warnings",
    }  # fmt: skip
    assert result["driver"] == {"installed": None, "loaded": None, "library": None, "wanted": NEW}
    assert (result["branch"], result["flavour"], result["source"]) == ("580", "open", "mirror")
    assert result["repository"] == "https://mirror.example/nvidia/ubuntu2404/x86_64/"
    assert result["diff"]["after"]["package nvidia-utils-580"] == f"{NEW}-1"
    assert result["diff"]["after"]["package dkms"] == "3.0.11-1"
    assert result["diff"]["after"]["kernel modules"] == NEW


def test_streams_of_dnf_are_enabled_only_where_packages_come_from_them() -> None:
    node = nodes.node("rocky", "9.4")
    state, made = nodes.decided(node, nodes.mirror(), NEW)
    assert only(made, steps.ChangePackages).stream == "nvidia-driver:580-open"
    _state, second = nodes.decided(nodes.after(state, made), nodes.mirror(), NEW)
    assert (second.steps, second.changed) == ((), False)


def test_the_stream_of_another_branch_is_left_for_the_wished_one() -> None:
    node = dataclasses.replace(nodes.node("rocky", "9.4"), stream="nvidia-driver:570-open")
    _state, made = nodes.decided(node, nodes.mirror(), NEW)
    assert only(made, steps.ChangePackages).stream == "nvidia-driver:580-open"
    assert made.record is not None
    assert made.record["stream"] == "nvidia-driver:580-open"


@pytest.mark.parametrize(("recorded", "enabled"), [("nvidia-driver:580-open", True), (None, False)])
def test_a_stream_of_ours_that_somebody_left_is_enabled_again(recorded: t.Optional[str], enabled: bool) -> None:
    state, made = nodes.decided(nodes.node("rocky", "9.4"), nodes.mirror(), NEW)
    node = nodes.after(state, made)
    assert node.stream == "nvidia-driver:580-open"
    node = dataclasses.replace(node, stream=None, records={**node.records, "stream": recorded})
    _state, again = nodes.decided(node, nodes.mirror(), NEW)
    told = [(one["action"], one["object"]) for one in again.actions]
    assert told == ([("enable_stream", "nvidia-driver:580-open")] if enabled else [])
    key = "stream of nvidia-driver"
    assert (again.diff["before"], again.diff["after"]) == (
        ({key: None}, {key: "nvidia-driver:580-open"}) if enabled else ({}, {})
    )


def test_a_stream_that_somebody_else_enabled_is_none_of_ours() -> None:
    node = dataclasses.replace(nodes.node("rocky", "9.4"), stream="nvidia-driver:580-open")
    _state, made = nodes.decided(node, nodes.mirror(), NEW)
    assert only(made, steps.ChangePackages).stream is None
    assert made.record is not None
    assert "stream" not in made.record


def test_what_a_hold_needs_comes_along_and_is_not_held_itself() -> None:
    node = dataclasses.replace(nodes.node("rocky", "9.4"), hold_tools=(nodes.LOCKS,))
    state, made = nodes.decided(node, nodes.mirror(), NEW)
    assert nodes.LOCKS in dict(only(made, steps.ChangePackages).install)
    assert nodes.LOCKS not in only(made, steps.HoldPackages).names
    assert made.record is not None
    assert nodes.LOCKS not in made.record["packages"]
    _state, second = nodes.decided(nodes.after(state, made), nodes.mirror(), NEW)
    assert (second.steps, second.changed) == ((), False)
    _state, free = nodes.decided(node, nodes.mirror(hold=False), NEW)
    assert nodes.LOCKS not in dict(only(free, steps.ChangePackages).install)


def test_an_arm_server_has_a_repository_of_its_own() -> None:
    _state, made = nodes.decided(nodes.node("ubuntu", "24.04", "grace-hopper", arch="aarch64"), nodes.mirror(), NEW)
    assert made.result()["repository"] == "https://mirror.example/nvidia/ubuntu2404/sbsa/"


def test_helpers_that_a_repository_does_not_have_are_left_out() -> None:
    names = (
        "nvidia-kernel-dkms",
        "nvidia-smi",
        "libcuda1",
        "libnvidia-ml1",
        "nvidia-persistenced",
        "nvidia-alternative",
    )
    node, wish = nodes.node("debian", "12"), nodes.wish(source="distribution")
    offers = nodes.offers(node, names, "535.309.01")
    state, made = nodes.decided(node, wish, "535.309.01", offers=offers)
    assert set(dict(only(made, steps.ChangePackages).install)) == set(names)
    assert nodes.decided(nodes.after(state, made), wish, offers=offers)[1].steps == ()


@pytest.mark.parametrize("name", ["nvidia-persistenced", "nvidia-compute-utils"])
def test_of_two_names_for_one_thing_the_one_that_is_there_is_taken(name: str) -> None:
    wish = nodes.mirror(version="595.71.05")
    offers = nodes.offers(nodes.node(), ("libnvidia-compute", "nvidia-dkms-open", "nvidia-utils", name), "595.71.05")
    state, made = nodes.decided(nodes.node(), wish, offers=offers)
    assert name in dict(only(made, steps.ChangePackages).install)
    assert nodes.decided(nodes.after(state, made), wish, offers=offers)[1].steps == ()


def test_headers_are_installed_with_the_driver() -> None:
    for name, version, release, package in (
        ("ubuntu", "24.04", KERNEL, ("linux-headers-6.8.0-90-generic", "6.8.0-90.91")),
        ("rocky", "9.4", nodes.RHEL_KERNEL, ("kernel-devel", "5.14.0-503.11.1.el9_5")),
        ("ol", "9.4", "5.15.0-300.163.18.el9uek.x86_64", ("kernel-uek-devel", "5.15.0-300.163.18.el9uek")),
        ("rhel", "9.4", "5.14.0-503.11.1.el9_5.aarch64+64k", ("kernel-64k-devel", "5.14.0-503.11.1.el9_5")),
        ("sles", "15.6", nodes.KERNELS["sles"], ("kernel-default-devel", "6.4.0-150600.23.25.1")),
        ("sles", "15.6", "6.4.0-150600.8.8-azure", ("kernel-azure-devel", "6.4.0-150600.8.8.2")),
    ):
        node = nodes.node(name, version, running=nodes.kernel(release, headers=False))
        _state, made = nodes.decided(node, nodes.mirror(), NEW)
        assert package in only(made, steps.ChangePackages).install


def test_no_headers_are_needed_where_the_module_is_built() -> None:
    node = dataclasses.replace(settled(), running=nodes.kernel(KERNEL, OLD, headers=False))
    assert again(node).steps == ()


def test_headers_are_needed_for_the_next_kernel_too() -> None:
    node = nodes.node(next=nodes.kernel("6.8.0-94-generic", headers=False))
    _state, made = nodes.decided(node, nodes.mirror(), NEW)
    assert ("linux-headers-6.8.0-94-generic", "6.8.0-90.91") in only(made, steps.ChangePackages).install


def test_a_node_without_a_gpu_gets_packages_and_nothing_is_loaded_or_started() -> None:
    _state, made = fresh(gpus=())
    assert only(made, steps.SetUnit) == steps.SetUnit("nvidia-persistenced.service", True, None)
    assert "LoadModules" not in words(made)


def test_gpus_of_guests_do_not_count() -> None:
    both = (*nodes.gpus("hopper"), *nodes.gpus("volta", driver="vfio-pci"))
    _state, made = fresh(gpus=both)
    assert made.refusal is None and made.result()["flavour"] == "open"


def test_an_unknown_gpu_is_taken_for_a_newer_one() -> None:
    _state, made = fresh(gpus=nodes.gpus("10de:3340"))
    assert made.result()["flavour"] == "open"
    assert made.warnings == (
        "GPU 0000:17:00.0 (10de:3340) is not known here; that the branch supports it was not checked, and open kernel "
        "modules are taken as right for it",
    )


def test_a_branch_means_only_what_knows_every_gpu() -> None:
    node = nodes.node("ubuntu", "24.04", "10de:3182", packages=dict.fromkeys(INSTALLED, "580.65.06-1"))
    _state, made = nodes.decided(node, nodes.mirror(branch="580"), OLD, "580.65.06")
    assert made.result()["driver"]["wanted"] == OLD
    assert dict(only(made, steps.ChangePackages).install)["nvidia-utils-580"] == f"{OLD}-1"


# --- nothing to do, and drift --------------------------------------------------------------------------------------


def test_a_second_run_does_nothing() -> None:
    made = again(settled())
    assert (made.steps, made.changed, made.diff["before"], made.diff["after"]) == ((), False, {}, {})


def test_a_branch_is_content_with_what_is_installed_unless_the_newest_is_wished() -> None:
    node = dataclasses.replace(settled(nodes.mirror(branch="580")), loaded=None)
    assert "ChangePackages" not in words(again(node, nodes.mirror(branch="580")))
    newest = again(node, nodes.mirror(branch="580", newest=True), changes=dependency(NEW, OLD))
    assert dict(only(newest, steps.ChangePackages).install)["nvidia-utils-580"] == f"{NEW}-1"


def test_a_satisfied_node_needs_no_repository() -> None:
    made = again(settled(), offers=None, unreachable="it is down")
    assert (made.steps, made.refusal) == ((), None)


DRIFT: t.List[t.Tuple[str, t.Dict[str, t.Any], str]] = [
    ("a hold", {"holds": frozenset(INSTALLED)}, "HoldPackages"),
    ("a file", {"files": {MODPROBE_FILE: "options nvidia x=1\n"}}, "WriteFile"),
    ("a unit", {"units": nodes.unit("nvidia-persistenced.service", enabled=False)}, "SetUnit"),
    ("a stopped unit", {"units": nodes.unit("nvidia-persistenced.service", active=False)}, "SetUnit"),
]


@pytest.mark.parametrize(("what", "facts", "kind"), DRIFT, ids=[entry[0] for entry in DRIFT])
def test_drift_is_mended_and_nothing_else(what: str, facts: t.Dict[str, t.Any], kind: str) -> None:
    node = settled()
    drifted = dataclasses.replace(node, **{**facts, "files": {**node.files, **facts.get("files", {})}})
    state, made = nodes.decided(drifted, nodes.mirror(version=OLD), OLD)
    assert (words(made), made.changed) == ([kind], True)
    mended = nodes.after(state, made)
    assert (mended.holds, mended.files, mended.units) == (node.holds, node.files, node.units)
    assert again(mended).steps == ()


def test_a_package_removed_by_hand_comes_back_at_the_version_of_the_others() -> None:
    node = settled()
    lacking = {name: version for name, version in node.packages.items() if name != "nvidia-utils-580"}
    made = again(dataclasses.replace(node, packages=lacking), nodes.mirror(branch="580"))
    assert only(made, steps.ChangePackages).install == (("nvidia-utils-580", f"{OLD}-1"),)
    assert made.owed.upgrade is None


# --- holds ---------------------------------------------------------------------------------------------------------


def test_holds_of_somebody_else_are_not_ours_to_release() -> None:
    node = settled()
    foreign = dataclasses.replace(
        node, holds=node.holds | {"vim"}, records={**node.records, "holds": ["nvidia-utils-580"]}
    )
    made = again(foreign, nodes.mirror(version=OLD, hold=False))
    assert only(made, steps.UnholdPackages).names == ("nvidia-utils-580",)


def test_a_held_package_of_ours_may_change() -> None:
    node = dataclasses.replace(settled(), loaded=None)
    made = again(node, nodes.mirror(version=NEW), changes=dependency(NEW, OLD))
    assert made.owed.upgrade is None and "ChangePackages" in words(made)


# --- life of branches ----------------------------------------------------------------------------------------------

ENDED = "reached its end of life on"
LIVES = [
    ("570", "2026-02-28", ""),
    ("570", "2026-03-01", f"(PB) {ENDED} 2026-02-28 and gets no more security updates; its successor is 580"),
    (
        "590",
        "2026-01-01",
        "(NFB) is at its end of life (NVIDIA names no day) and gets no more security updates; its successor is 595",
    ),
    ("580", "2028-06-30", ""),
    ("580", "2028-07-01", f"(LTSB) {ENDED} 2028-06-30 and gets no more security updates; its successor is 620"),
    ("620", "2030-01-01", f"(LTSB) {ENDED} 2029-09-30 and gets no more security updates"),
]


@pytest.mark.parametrize(("branch", "today", "told"), LIVES)
def test_a_branch_at_its_end_is_told_with_its_successor(branch: str, today: str, told: str) -> None:
    wish = dataclasses.replace(nodes.mirror(branch=branch), today=datetime.date.fromisoformat(today))
    _state, made = nodes.decided(nodes.node(), wish, f"{branch}.95.05")
    assert made.refusal is None
    assert made.warnings == ((f"driver branch {branch} {told}",) if told else ())


@pytest.mark.parametrize(
    ("device", "name", "version", "since"),
    [
        ("10de:31c2", "NVIDIA GB300", NEW, "595.58.03"),
        ("10de:2bb3", "NVIDIA RTX PRO 5000 Blackwell", "575.51.03", "575.57.08"),
        ("10de:2c31", "NVIDIA RTX PRO 4500 Blackwell", "575.57.08", "575.64"),
    ],
)
def test_a_driver_too_old_for_mig_is_told(device: str, name: str, version: str, since: str) -> None:
    _state, made = nodes.decided(nodes.node("ubuntu", "24.04", device), nodes.mirror(version=version), version)
    assert made.warnings[-1] == (
        f"GPU 0000:17:00.0 ({name}, Blackwell) can do MIG from driver {since} on, wished is {version}"
    )
