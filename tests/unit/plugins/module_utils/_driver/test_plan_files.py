# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a wish puts on a node, and the keys in them."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._data.driver_distributions import KEYS, Key
from ansible_collections.accel.gpu.plugins.module_utils._data.driver_system import MODPROBE_FILE
from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan_files
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan import decide
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan_choice import choose
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    NEW,
    OLD,
    again,
    dependency,
    fresh,
    only,
    settled,
    words,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages import keys


def test_the_files_of_a_repository_for_apt() -> None:
    _state, made = fresh()
    files = {step.path: step.content for step in made.steps if isinstance(step, steps.WriteFile)}
    assert files == {
        "/etc/apt/keyrings/accel-gpu-driver.asc": keys.KEY,
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


def test_debians_own_packages_bring_the_blacklist_and_name_their_modules() -> None:
    wish = nodes.wish(
        source="distribution", parameters={"nvidia": {"NVreg_B": 1, "NVreg_A": 2}, "nvidia_uvm": {"x": 1}}
    )
    _state, made = nodes.decided(nodes.node("debian", "12"), wish, "535.309.01")
    assert only(made, steps.WriteFile).content.splitlines()[1:] == [
        "options nvidia-current NVreg_A=2 NVreg_B=1",
        "options nvidia-current-uvm x=1",
    ]


# A mirror of NVIDIA's own content, whose key is pinned by its fingerprint and fetched from there.
PINNED = {"source": "mirror", "mirror": {"url": "https://mirror.example/nvidia", "fingerprint": keys.FINGERPRINT}}
KEY_PATH = "/etc/apt/keyrings/accel-gpu-driver.asc"


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> model.Wish:
    monkeypatch.setitem(KEYS, keys.FINGERPRINT, Key("test.pub"))
    return nodes.wish(version=OLD, **PINNED)


def test_a_key_that_lies_beside_the_pinned_one_is_refused(pinned: model.Wish) -> None:
    _state, made = nodes.decided(nodes.node(), pinned, OLD, key=keys.KEY + keys.OTHER_KEY)
    assert made.refusal is not None
    assert made.refusal.message == (
        f"https://mirror.example/nvidia/ubuntu2404/x86_64/test.pub: beside key {keys.FINGERPRINT} there is "
        f"{keys.OTHER_FINGERPRINT}, which nobody named; do not trust this repository, or give the one key that signs "
        "it in gpu_driver_mirror"
    )


def test_a_key_that_was_added_by_hand_goes_again(pinned: model.Wish) -> None:
    state, made = nodes.decided(nodes.node(), pinned, OLD, changes=dependency(OLD), key=keys.KEY)
    node = nodes.after(state, made)
    assert again(node, pinned).steps == ()
    drifted = dataclasses.replace(node, files={**node.files, KEY_PATH: keys.KEY + keys.OTHER_KEY})
    found = plan_files.repository(pinned, node, choose(pinned, node))
    assert found is not None
    assert (plan_files.lacks_key(pinned, drifted, found), plan_files.lacks_key(pinned, node, found)) == (True, False)
    state, made = nodes.decided(drifted, pinned, OLD, key=keys.KEY)
    assert (words(made), made.changed) == (["WriteFile", "RefreshIndex"], True)
    assert nodes.after(state, made).files == node.files


def test_files_of_another_source_go() -> None:
    node = settled(wish=nodes.mirror(branch="580"))
    wish = nodes.wish(source="distribution", branch="580")
    made = again(dataclasses.replace(node, loaded=None), wish)
    gone = [step.path for step in made.steps if isinstance(step, steps.RemoveFile)]
    assert gone == ["/etc/apt/keyrings/accel-gpu-driver.asc", "/etc/apt/sources.list.d/accel-gpu-driver.sources"]


def test_files_may_change_under_a_loaded_module() -> None:
    wish = nodes.mirror(version=NEW, parameters={"nvidia": {"NVreg_X": 1}})
    made = again(settled(), wish, changes=dependency(NEW, OLD))
    assert (words(made), made.owed.upgrade) == (["WriteFile"], (OLD, NEW))


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
