# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every decision: its steps leave nothing to do, a loaded module keeps its versions, kernels stay."""

from __future__ import annotations

import dataclasses
import typing as t

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan_names, plan_request
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan import decide
from ansible_collections.accel.gpu.plugins.module_utils._driver.versions import nvidia
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError, BlockedError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

SETTINGS = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
VERSIONS = {"580": ("580.126.16", "580.95.05"), "595": ("595.71.05",), "570": ("570.211.01",)}
WHERE = (("ubuntu", "24.04"), ("debian", "13"), ("rocky", "9.4"), ("almalinux", "10.1"), ("sles", "15.6"))
GPUS = (("hopper",), ("turing", "ampere"), ("volta",), ("blackwell",), ("10de:31c2",), ())
KERNEL_NAMES = ("linux-image-6.8.0-94-generic", "kernel-core", "kernel-default", "linux-modules-6.8.0-94-generic")
BUSY = (model.Busy("GPU 0000:17:00.0", "Slurm job 4711", True),)


@st.composite
def wishes(draw: st.DrawFn) -> model.Wish:
    options: t.Dict[str, t.Any] = {}
    branch = draw(st.sampled_from([None, *VERSIONS]))
    if branch is not None and draw(st.booleans()):
        options["version"] = draw(st.sampled_from(VERSIONS[branch]))
    elif branch is not None:
        options["branch"] = branch
    for name in ("persistenced", "hold", "blacklist_nouveau", "newest", "change_loaded"):
        options[name] = draw(st.booleans())
    options["flavour"] = draw(st.sampled_from(["auto", "auto", "open", "proprietary"]))
    options["profile"] = draw(st.sampled_from(["compute", "full"]))
    options["parameters"] = draw(st.sampled_from([{}, {"nvidia": {"NVreg_X": 1}}]))
    options["reload"] = draw(st.sampled_from(["if_needed", "never"]))
    return nodes.mirror(**options)


@st.composite
def bare(draw: st.DrawFn) -> model.Node:
    name, version = draw(st.sampled_from(WHERE))
    words = draw(st.sampled_from(GPUS))
    facts: t.Dict[str, t.Any] = {"gpus": nodes.gpus(*words)}
    if words == ("hopper",):
        facts["switches"] = draw(st.sampled_from([(), nodes.gpus(nodes.H100_SWITCH)]))
    image = draw(
        st.sampled_from([None, model.Initramfs("/boot/initrd.img", ("570.86.15",)), model.Initramfs("/x", (), True)])
    )
    release = nodes.KERNELS.get(name, nodes.RHEL_KERNEL)
    facts["running"] = nodes.kernel(release, headers=draw(st.booleans()), initramfs=image)
    return nodes.node(name, version, **facts)


def offered(node: model.Node, wish: model.Wish) -> model.Offers:
    """Every version of every branch, each package where its branch has it."""
    try:
        names = plan_names.names(wish, node)
    except AccelError:
        return model.Offers({})
    every = [version for versions in VERSIONS.values() for version in versions]
    streams = [f"{branch}-{kind}" for branch in VERSIONS for kind in ("open", "dkms")]
    found = nodes.offers(node, names, *sorted(every, reverse=True), streams=streams)
    # A name with a branch in it has that branch's versions alone.
    kept = {name: tuple(one for one in versions if not _other(name, one)) for name, versions in found.versions.items()}
    return found._replace(versions=kept)


def _other(name: str, version: str) -> bool:
    carried = nvidia(version)
    return carried is not None and any(f"-{branch}" in name and not carried.startswith(branch) for branch in VERSIONS)


def state_of(node: model.Node, wish: model.Wish, changes: t.Sequence[model.Change] = ()) -> model.State:
    return model.State(node, offered(node, wish), tuple(changes))


def brought(node: model.Node, wish: model.Wish) -> t.Optional[model.Node]:
    """The node after one run, None where the wish is refused."""
    state = state_of(node, wish)
    made = decide(wish, state)
    return None if made.refusal is not None else nodes.after(state, made)


@SETTINGS
@given(bare(), wishes(), wishes())
def test_a_run_leaves_nothing_to_do(node: model.Node, first: model.Wish, second: model.Wish) -> None:
    for wish in (first, second, first):
        later = brought(node, wish)
        if later is None:
            event("refused")
            continue
        again = decide(wish, state_of(later, wish))
        assert again.refusal is None
        assert (again.steps, again.changed, again.diff) == ((), False, {"before": {}, "after": {}})
        node = later


@SETTINGS
@given(bare(), wishes(), wishes(), st.booleans())
def test_a_loaded_module_keeps_every_version(
    node: model.Node, first: model.Wish, second: model.Wish, busy: bool
) -> None:
    node = dataclasses.replace(node, gpus=node.gpus or nodes.gpus("hopper"))
    there = brought(node, dataclasses.replace(first, reload="if_needed"))
    if there is None or there.loaded is None:
        event("refused at first")
        return
    loaded = there.loaded.version
    there = dataclasses.replace(there, busy=BUSY if busy else ())
    state = state_of(there, second)
    made = decide(second, state)
    if made.refusal is not None or (second.change_loaded and not busy):
        event("refused or allowed")
        return
    event("pending" if made.owed.upgrade else "nothing pending")
    for step in made.steps:
        assert not isinstance(step, (steps.LoadModules, steps.PrepareEnrolment))
        assert not (busy and isinstance(step, steps.ReloadModules))
        if isinstance(step, steps.ChangePackages):
            for name, version in step.install:
                carried = nvidia(version)
                assert there.packages.get(name, version) == version
                assert carried is None or carried == loaded
    later = nodes.after(state, made)
    assert {nvidia(version) for version in later.packages.values()} <= {
        nvidia(version) for version in there.packages.values()
    } | {None}


@SETTINGS
@given(bare(), wishes(), st.sampled_from(KERNEL_NAMES), st.booleans())
def test_no_kernel_changes_by_surprise(node: model.Node, wish: model.Wish, name: str, installed: bool) -> None:
    state = state_of(node, wish, [model.Change(name, "1" if installed else None, "2")])
    made = decide(wish, state)
    if any(isinstance(step, steps.ChangePackages) for step in made.steps):
        raise AssertionError(f"{name} would change with {made.steps}")
    try:
        touched = plan_request.request(wish, node, state.offers or model.Offers({}))
    except AccelError:
        return
    assert touched is None or isinstance(made.refusal, BlockedError) or made.owed.daemon_reload


@SETTINGS
@given(bare(), wishes())
def test_absent_is_the_way_back(node: model.Node, wish: model.Wish) -> None:
    there = brought(node, wish)
    if there is None:
        event("refused")
        return
    removal = nodes.mirror(state="absent")
    state = model.State(there)
    made = decide(removal, state)
    assert made.refusal is None
    later = nodes.after(state, made)
    assert (later.packages, later.files, later.loaded) == (node.packages, node.files, None)
    assert decide(removal, model.State(later)).steps == ()


@SETTINGS
@given(bare(), wishes())
def test_every_package_of_a_driver_has_one_version_and_is_held(node: model.Node, wish: model.Wish) -> None:
    there = brought(node, wish)
    if there is None:
        event("refused")
        return
    carried = {nvidia(version) for version in there.packages.values()} - {None}
    assert len(carried) == 1
    assert there.holds == (frozenset(there.packages) if wish.hold else frozenset())
