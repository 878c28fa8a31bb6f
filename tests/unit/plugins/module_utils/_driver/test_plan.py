# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about a node, case by case: packages, holds, files, modules, and what stays owed."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._data.driver_distributions import KEYS, Key
from ansible_collections.accel.gpu.plugins.module_utils._data.driver_system import MODPROBE_FILE
from ansible_collections.accel.gpu.plugins.module_utils._driver import model, parameters, plan_files, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.plan import Plan, decide
from ansible_collections.accel.gpu.plugins.module_utils._driver.plan_choice import choose
from ansible_collections.accel.gpu.plugins.module_utils._driver.plan_names import names
from ansible_collections.accel.gpu.plugins.module_utils._driver.plan_request import request
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

OLD, NEW = "580.95.05", "580.126.16"
KERNEL = "6.8.0-90-generic"
BUSY = (model.Busy("GPU 0000:17:00.0", "Slurm job 4711", True),)
RISK = ("container web (docker)",)
SWITCHES = nodes.gpus(nodes.H100_SWITCH)
LIBRARY = "libnvidia-cfg1-580"  # comes by dependency
INSTALLED = ("libnvidia-compute-580", "nvidia-compute-utils-580", "nvidia-dkms-580-open", "nvidia-utils-580")


def words(made: Plan) -> t.List[str]:
    """The kinds of steps in their order."""
    return [type(step).__name__ for step in made.steps]


def only(made: Plan, kind: t.Type[t.Any]) -> t.Any:
    (found,) = [step for step in made.steps if isinstance(step, kind)]
    return found


def dependency(version: str, before: t.Optional[str] = None) -> t.Tuple[model.Change, ...]:
    return (model.Change(LIBRARY, before and f"{before}-1", f"{version}-1"), model.Change("dkms", None, "3.0.11-1"))


def fresh(wish: t.Optional[model.Wish] = None, **facts: t.Any) -> t.Tuple[model.State, Plan]:
    """A node without a driver and its decision."""
    return nodes.decided(nodes.node(**facts), wish or nodes.mirror(), NEW, OLD, changes=dependency(NEW))


def settled(wish: t.Optional[model.Wish] = None, version: str = OLD, **facts: t.Any) -> model.Node:
    """A node that a run has brought to `version`, with the module loaded."""
    asked = wish or nodes.mirror(version=version)
    state, made = nodes.decided(nodes.node(**facts), asked, version, changes=dependency(version))
    assert made.refusal is None
    return nodes.after(state, made)


def again(node: model.Node, wish: t.Optional[model.Wish] = None, **facts: t.Any) -> Plan:
    _state, made = nodes.decided(node, wish or nodes.mirror(version=OLD), NEW, OLD, **facts)
    assert made.refusal is None
    return made


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
        "enrolment_required", "warnings",
    }  # fmt: skip
    assert result["driver"] == {"installed": None, "loaded": None, "library": None, "wanted": NEW}
    assert (result["branch"], result["flavour"], result["source"]) == ("580", "open", "mirror")
    assert result["repository"] == "https://mirror.example/nvidia/ubuntu2404/x86_64/"
    assert result["diff"]["after"]["package nvidia-utils-580"] == f"{NEW}-1"
    assert result["diff"]["after"]["package dkms"] == "3.0.11-1"
    assert result["diff"]["after"]["kernel modules"] == NEW


def test_the_files_of_a_repository_for_apt() -> None:
    _state, made = fresh()
    files = {step.path: step.content for step in made.steps if isinstance(step, steps.WriteFile)}
    assert files == {
        "/etc/apt/keyrings/accel-gpu-driver.asc": nodes.KEY,
        "/etc/apt/sources.list.d/accel-gpu-driver.sources": (
            "# Managed by accel.gpu (gpu_driver); changes by hand are taken back.\n"
            "X-Repolib-Name: accel-gpu-driver\nTypes: deb\n"
            "URIs: https://mirror.example/nvidia/ubuntu2404/x86_64/\nSuites: /\n"
            "Signed-By: /etc/apt/keyrings/accel-gpu-driver.asc\n"
        ),
        MODPROBE_FILE: (
            "# Managed by accel.gpu (gpu_driver); changes by hand are taken back.\n"
            "blacklist nouveau\noptions nouveau modeset=0\n"
        ),
    }


@pytest.mark.parametrize(
    ("where", "path", "lines"),
    [
        (
            "rocky 9.4",
            "/etc/yum.repos.d/accel-gpu-driver.repo",
            ("baseurl=https://mirror.example/nvidia/rhel9/x86_64/",),
        ),
        (
            "sles 15.6",
            "/etc/zypp/repos.d/accel-gpu-driver.repo",
            ("autorefresh=0", "type=rpm-md", "baseurl=https://mirror.example/nvidia/sles15/x86_64/"),
        ),
    ],
)
def test_the_files_of_a_repository_for_rpm(where: str, path: str, lines: t.Sequence[str]) -> None:
    _state, made = nodes.decided(nodes.node(*where.split()), nodes.mirror(), NEW)
    (content,) = [step.content for step in made.steps if isinstance(step, steps.WriteFile) and step.path == path]
    for line in ("[accel-gpu-driver]", "gpgcheck=1", "enabled=1", *lines):
        assert line in content.splitlines()
    (key,) = [step.path for step in made.steps if isinstance(step, steps.WriteFile) and step.sort == "key"]
    assert f"gpgkey=file://{key}" in content.splitlines()


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


def test_a_stream_that_somebody_else_enabled_is_none_of_ours() -> None:
    node = dataclasses.replace(nodes.node("rocky", "9.4"), stream="nvidia-driver:580-open")
    _state, made = nodes.decided(node, nodes.mirror(), NEW)
    assert only(made, steps.ChangePackages).stream is None
    assert made.record is not None
    assert "stream" not in made.record


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


def test_debians_own_packages_bring_the_blacklist_and_name_their_modules() -> None:
    wish = nodes.wish(
        source="distribution", parameters={"nvidia": {"NVreg_B": 1, "NVreg_A": 2}, "nvidia_uvm": {"x": 1}}
    )
    _state, made = nodes.decided(nodes.node("debian", "12"), wish, "535.309.01")
    assert only(made, steps.WriteFile).content.splitlines()[1:] == [
        "options nvidia-current NVreg_A=2 NVreg_B=1",
        "options nvidia-current-uvm x=1",
    ]


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


# A mirror of NVIDIA's own content, whose key is pinned by its fingerprint and fetched from there.
PINNED = {"source": "mirror", "mirror": {"url": "https://mirror.example/nvidia", "fingerprint": nodes.FINGERPRINT}}
KEY_PATH = "/etc/apt/keyrings/accel-gpu-driver.asc"


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> model.Wish:
    monkeypatch.setitem(KEYS, nodes.FINGERPRINT, Key("test.pub"))
    return nodes.wish(version=OLD, **PINNED)


def test_a_key_that_lies_beside_the_pinned_one_is_refused(pinned: model.Wish) -> None:
    _state, made = nodes.decided(nodes.node(), pinned, OLD, key=nodes.KEY + nodes.OTHER_KEY)
    assert made.refusal is not None
    assert made.refusal.message == (
        f"https://mirror.example/nvidia/ubuntu2404/x86_64/test.pub: beside key {nodes.FINGERPRINT} there is "
        f"{nodes.OTHER_FINGERPRINT}, which nobody named; do not trust this repository, or give the one key that signs "
        "it in gpu_driver_mirror"
    )


def test_a_key_that_was_added_by_hand_goes_again(pinned: model.Wish) -> None:
    state, made = nodes.decided(nodes.node(), pinned, OLD, changes=dependency(OLD), key=nodes.KEY)
    node = nodes.after(state, made)
    assert again(node, pinned).steps == ()
    drifted = dataclasses.replace(node, files={**node.files, KEY_PATH: nodes.KEY + nodes.OTHER_KEY})
    found = plan_files.repository(pinned, node, choose(pinned, node))
    assert found is not None
    assert (plan_files.lacks_key(pinned, drifted, found), plan_files.lacks_key(pinned, node, found)) == (True, False)
    state, made = nodes.decided(drifted, pinned, OLD, key=nodes.KEY)
    assert (words(made), made.changed) == (["WriteFile", "RefreshIndex"], True)
    assert nodes.after(state, made).files == node.files


def test_files_of_another_source_go() -> None:
    node = settled(wish=nodes.mirror(branch="580"))
    wish = nodes.wish(source="distribution", branch="580")
    made = again(dataclasses.replace(node, loaded=None), wish)
    gone = [step.path for step in made.steps if isinstance(step, steps.RemoveFile)]
    assert gone == ["/etc/apt/keyrings/accel-gpu-driver.asc", "/etc/apt/sources.list.d/accel-gpu-driver.sources"]


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


# --- upgrades and rule 5 -------------------------------------------------------------------------------------------


def test_a_loaded_module_keeps_its_packages() -> None:
    node = settled()
    made = again(node, nodes.mirror(version=NEW), changes=dependency(NEW, OLD))
    assert made.owed.upgrade == (OLD, NEW)
    assert (made.steps, made.changed, made.warnings) == ((), False, ())
    assert made.result()["upgrade_pending"] == {"from": OLD, "to": NEW}
    assert [entry["reason"] for entry in made.actions] == [f"upgrade pending {OLD} → {NEW}: a module is loaded"]


def test_modules_with_the_kernels_version_stay_held_while_their_upgrade_is_pending() -> None:
    node = signed()
    held = f"linux-modules-nvidia-580-server-open-{node.running.release}"
    assert held in node.holds
    wish = nodes.wish(source="distribution", branch="595", modules="precompiled")
    _state, made = nodes.decided(node, wish, "595.71.05")
    assert (made.owed.upgrade, made.steps) == ((OLD, "595.71.05"), ())
    assert held in dict(made.record or node.records)["holds"]


def test_files_may_change_under_a_loaded_module() -> None:
    wish = nodes.mirror(version=NEW, parameters={"nvidia": {"NVreg_X": 1}})
    made = again(settled(), wish, changes=dependency(NEW, OLD))
    assert (words(made), made.owed.upgrade) == (["WriteFile"], (OLD, NEW))


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


def test_units_that_scripts_of_packages_start_go_before_the_modules() -> None:
    node = settled(switches=SWITCHES)
    stopped = {name: unit._replace(active=False) for name, unit in node.units.items()}
    made = again(dataclasses.replace(node, units=stopped), nodes.mirror(version=NEW, change_loaded=True))
    assert only(made, steps.ReloadModules).stop == ("nvidia-fabricmanager.service", "nvidia-persistenced.service")


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


def test_pins_for_a_simulation_are_those_of_the_package() -> None:
    for options, version in (({"version": OLD}, "580.95.05-*"), ({"branch": "580"}, "580.*")):
        _state, made = nodes.decided(nodes.node(), nodes.mirror(**options), NEW, OLD)
        pins = plan_files.pins(only(made, steps.ChangePackages))
        assert pins is not None
        assert (pins.path, pins.content.splitlines()[1:]) == (
            "/etc/apt/preferences.d/accel-gpu-driver",
            [f"Pin: version {version}", "Pin-Priority: 1002"],
        )
    assert plan_files.pins(steps.ChangePackages(())) is None


def test_files_of_other_roles_are_left_alone() -> None:
    node = settled()
    foreign = {**node.files, "/etc/modprobe.d/accel-gpu-access.conf": "options nvidia NVreg_ModifyDeviceFiles=0\n"}
    assert again(dataclasses.replace(node, files=foreign)).steps == ()
    removed = decide(nodes.mirror(state="absent"), model.State(dataclasses.replace(node, files=foreign)))
    gone = [step.path for step in removed.steps if isinstance(step, steps.RemoveFile)]
    assert sorted(gone) == sorted(node.files)


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


# --- rules 6 and 7 -------------------------------------------------------------------------------------------------


def test_the_fabric_manager_runs_where_nvswitches_are() -> None:
    _state, made = fresh(switches=SWITCHES)
    found = [step for step in made.steps if isinstance(step, steps.SetUnit)]
    assert steps.SetUnit("nvidia-fabricmanager.service", True, True) in found


def test_the_fabric_manager_is_left_alone_on_a_busy_node() -> None:
    node = settled(switches=SWITCHES)
    stopped = {**node.units, **nodes.unit("nvidia-fabricmanager.service", active=False)}
    assert words(again(dataclasses.replace(node, units=stopped))) == ["SetUnit"]
    assert words(again(dataclasses.replace(node, units=stopped, busy=BUSY))) == []


def test_a_missing_fabric_manager_waits_for_running_work() -> None:
    node = settled(switches=SWITCHES)
    lacking = {name: version for name, version in node.packages.items() if name != "nvidia-fabricmanager"}
    made = again(dataclasses.replace(node, packages=lacking, busy=BUSY))
    assert made.steps == ()
    assert [entry["action"] for entry in made.actions] == ["deferred"]


def test_what_waits_of_the_fabric_is_told_as_such_and_no_part_of_the_transaction() -> None:
    node = settled(switches=SWITCHES)
    lacking = {
        name: version
        for name, version in node.packages.items()
        if name not in ("nvidia-fabricmanager", "nvidia-utils-580")
    }
    node = dataclasses.replace(node, packages=lacking, busy=BUSY)
    wish = nodes.mirror(version=OLD)
    offers = nodes.offers(node, names(wish, node), OLD)
    # This is what is simulated.
    assert request(wish, node, offers) == steps.ChangePackages((("nvidia-utils-580", f"{OLD}-1"),))
    made = again(node, wish)
    assert only(made, steps.ChangePackages).install == (("nvidia-utils-580", f"{OLD}-1"),)
    assert [(one["action"], one["object"]) for one in made.actions if "nvidia-fabricmanager" in one["object"]] == [
        ("deferred", "nvidia-fabricmanager")
    ]
    assert "package nvidia-fabricmanager" not in made.diff["after"]
    # A dependency brings one all the same: then nothing is installed.
    _state, made = nodes.decided(node, wish, OLD, changes=(model.Change("nvidia-fabricmanager", None, f"{OLD}-1"),))
    assert (made.refusal, made.steps) == (None, ())
    assert [(one["action"], one["object"]) for one in made.actions] == [
        ("deferred", "driver packages, which bring nvidia-fabricmanager")
    ]
    _state, made = nodes.decided(node, nodes.mirror(version=OLD, when_busy="refuse"), OLD)
    assert made.refusal is not None
    assert made.refusal.message == (
        "gpu_driver_when_busy=refuse: nvidia-fabricmanager cannot be installed, the node is busy: GPU 0000:17:00.0 is "
        "used by Slurm job 4711; drain the node and run again"
    )


LOAD_FILE = "/etc/modules-load.d/accel-gpu.conf"


def test_the_fabric_of_b200_boards_gets_its_modules_before_its_manager() -> None:
    node = nodes.node("ubuntu", "24.04", "blackwell", nvlink5=True, lacking_modules=("ib_umad", "mlx5_ib"))
    state, made = nodes.decided(node, nodes.mirror(version=OLD), OLD)
    assert words(made)[-4:] == ["LoadModules", "InsertModules", "SetUnit", "SetUnit"]
    assert only(made, steps.InsertModules).modules == ("ib_umad", "mlx5_ib")
    (text,) = [step.content for step in made.steps if isinstance(step, steps.WriteFile) and step.path == LOAD_FILE]
    assert text.splitlines()[1:] == ["ib_umad", "mlx5_ib"]
    there = nodes.after(state, made)
    assert again(there).steps == ()
    for facts, kind in (
        ({"lacking_modules": ("ib_umad",)}, "InsertModules"),
        ({"files": {**there.files, LOAD_FILE: "ib_umad\n"}}, "WriteFile"),
    ):
        drifted = dataclasses.replace(there, busy=BUSY, **facts)
        state, made = nodes.decided(drifted, nodes.mirror(version=OLD), OLD)
        assert (words(made), nodes.after(state, made).files) == ([kind], there.files)
    gone = decide(nodes.mirror(state="absent"), model.State(there))
    assert LOAD_FILE in [step.path for step in gone.steps if isinstance(step, steps.RemoveFile)]


def test_imex_waits_for_the_addresses_of_its_domain() -> None:
    tray = nodes.node("ubuntu", "24.04", "10de:2941", imex_lacks="/etc/nvidia-imex/nodes_config.cfg")
    state, made = nodes.decided(tray, nodes.mirror(version=OLD), OLD)
    assert "nvidia-imex.service" not in [step.name for step in made.steps if isinstance(step, steps.SetUnit)]
    assert {
        "action": "deferred",
        "object": "nvidia-imex.service",
        "reason": "needs /etc/nvidia-imex/nodes_config.cfg with the addresses of the nodes of its domain",
    } in made.actions
    waiting = again(nodes.after(state, made))
    assert (waiting.steps, waiting.changed, [one["action"] for one in waiting.actions]) == ((), False, ["deferred"])
    told = again(dataclasses.replace(nodes.after(state, made), imex_lacks=""))
    assert only(told, steps.SetUnit) == steps.SetUnit("nvidia-imex.service", True, True)


def test_no_package_changes_where_a_daemon_reload_would_hurt() -> None:
    _state, made = fresh(daemon_reload_risk=RISK)
    assert "ChangePackages" not in words(made) and "SetUnit" not in words(made)
    assert made.owed.daemon_reload == RISK
    _state, allowed = fresh(nodes.mirror(daemon_reload="allowed"), daemon_reload_risk=RISK)
    assert "ChangePackages" in words(allowed)


# --- Secure Boot ---------------------------------------------------------------------------------------------------

SECURE = model.SecureBoot(True)
SENTENCE = (
    "Secure Boot is on and firmware does not know the key {} that DKMS signs the driver's modules "
    "with: reboot, choose Enroll MOK at the console, type the password in "
    "/var/lib/accel-gpu/driver/enrolment-password of this node, and run again"
)


ENROLMENTS = [
    ("ubuntu 24.04", "/var/lib/shim-signed/mok/MOK.der", ("dkms", "mokutil", "shim-signed")),
    ("debian 13", "/var/lib/dkms/mok.pub", ("dkms", "mokutil", "openssl")),
]


@pytest.mark.parametrize(("where", "certificate", "tools"), ENROLMENTS)
def test_an_enrolment_is_prepared_before_anything_is_installed(
    where: str, certificate: str, tools: t.Sequence[str]
) -> None:
    state, made = nodes.decided(nodes.node(*where.split(), secure_boot=SECURE), nodes.mirror(), NEW)
    assert words(made) == ["RefreshIndex", "ChangePackages", "PrepareEnrolment"]
    assert only(made, steps.ChangePackages).install == tuple((name, None) for name in tools)
    assert only(made, steps.PrepareEnrolment).certificate == certificate
    assert (made.owed.enrolment, made.changed, made.record) == (SENTENCE.format(certificate), True, None)
    waiting = nodes.after(state, made)
    assert waiting.packages == {}
    _state, second = nodes.decided(waiting, nodes.mirror(), NEW)
    assert (second.steps, second.changed, second.owed.enrolment) == ((), False, SENTENCE.format(certificate))
    known = dataclasses.replace(waiting, secure_boot=waiting.secure_boot._replace(dkms_key_enrolled=True))
    _state, third = nodes.decided(known, nodes.mirror(), NEW)
    assert third.owed.enrolment is None and "LoadModules" in words(third)


def test_signed_modules_need_no_enrolment() -> None:
    node = nodes.node("sles", "15.6", secure_boot=SECURE)
    _state, made = nodes.decided(node, nodes.mirror(modules="precompiled"), NEW)
    assert made.owed.enrolment is None and "ChangePackages" in words(made)


def signed(**facts: t.Any) -> model.Node:
    """Ubuntu's signed modules are loaded; nothing was ever built on the node."""
    wish = nodes.wish(source="distribution", branch="580", modules="precompiled")
    state, made = nodes.decided(nodes.node(), wish, OLD)
    return dataclasses.replace(nodes.after(state, made), loaded=nodes.loaded(OLD), secure_boot=SECURE, **facts)


def test_modules_to_come_need_an_enrolment_though_signed_ones_are_loaded() -> None:
    key = "/var/lib/shim-signed/mok/MOK.der"
    wish = {"source": "distribution", "branch": "580", "modules": "dkms"}
    _state, made = nodes.decided(signed(), nodes.wish(**wish), OLD)
    assert words(made) == ["RefreshIndex", "ChangePackages", "PrepareEnrolment"]
    assert made.owed.enrolment == SENTENCE.format(key)
    # As long as the loaded driver keeps its packages, nothing is to come.
    _state, made = nodes.decided(signed(), nodes.wish(newest=True, **wish), NEW, OLD)
    assert (made.owed.enrolment, made.owed.upgrade) == (None, (OLD, NEW))


def test_a_loaded_module_that_was_built_on_the_node_proves_its_key() -> None:
    """Its certificate may lie where nobody looks."""
    node = dataclasses.replace(settled(), secure_boot=SECURE)
    made = again(node, nodes.mirror(version=NEW, change_loaded=True), changes=dependency(NEW, OLD))
    assert (made.owed.enrolment, "ReloadModules" in words(made)) == (None, True)


def test_a_download_prepares_no_enrolment() -> None:
    _state, made = fresh(nodes.mirror(download_only=True), secure_boot=SECURE)
    assert words(made) == ["WriteFile", "WriteFile", "RefreshIndex", "ChangePackages"]
    assert only(made, steps.ChangePackages).download is True
    assert made.owed.enrolment == (
        "Secure Boot is on and firmware does not know the key /var/lib/shim-signed/mok/MOK.der that DKMS signs the "
        "driver's modules with: a run without gpu_driver_download_only prepares its enrolment"
    )


def test_a_unit_that_others_start_is_neither_enabled_nor_disabled() -> None:
    static = {"nvidia-persistenced.service": model.Unit("nvidia-persistenced.service", False, True, static=True)}
    node = dataclasses.replace(settled(), units=static)
    assert again(node).steps == ()
    made = again(node, nodes.mirror(version=OLD, persistenced=False))
    assert only(made, steps.SetUnit) == steps.SetUnit("nvidia-persistenced.service", None, False)


# --- modules in memory ---------------------------------------------------------------------------------------------


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


# --- initramfs -----------------------------------------------------------------------------------------------------


def image(*versions: str, nouveau: bool = False, unread: str = "") -> model.Initramfs:
    return model.Initramfs("/boot/initrd.img", versions, nouveau, unread)


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


# --- removal -------------------------------------------------------------------------------------------------------


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
