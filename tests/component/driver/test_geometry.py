# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MIG layouts across a load of the modules on simulated GPUs. The simulator's reboot takes away what a load takes."""

from __future__ import annotations

import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_geometry
from ansible_collections.accel.gpu.plugins.module_utils._driver.change.apply_gpus import Gpus
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept_devices import DeviceFiles
from ansible_collections.accel.gpu.tests.component.mig.changes import A100, DCGM, H100, off, on, one
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

SPLIT = [on([one("3g.40gb", 4, "1c.3g.40gb", "2c.3g.40gb"), one("1g.10gb", 1)])]


@pytest.fixture(params=[A100, H100])
def split(node, request):
    """Two GPUs with MIG instances that no wish declares."""
    made = node(f"{request.param}*2")
    made.make(SPLIT)
    loads(made)
    return made


def loads(node):
    """The directory of the module is another one after each load; the old one stays, so that its number is taken."""
    folder = node.root / "sys/module/nvidia"
    if folder.exists():
        folder.rename(node.root / f"sys/{len(os.listdir(node.root / 'sys'))}")
    folder.mkdir(parents=True)


def take(node):
    with node.seen():
        Gpus(node.ports(), DeviceFiles(node.ports())).take(())


def reload(node):
    node.sim.control("reboot")
    loads(node)


def back(node):
    """The Gpus that brought back what there was to bring back."""
    with node.seen():
        gpus = Gpus(node.ports(), DeviceFiles(node.ports()))
        gpus.back()
    return gpus


def looked(node, reloads=False):
    with node.seen():
        return [one.uuid for one in apply_geometry.look(node.ports(check=True), reloads)]


def uuids(node):
    return [gpu["uuid"] for gpu in node.sim.show()["gpus"]]


def test_a_layout_that_nobody_declares_comes_back_after_the_reload(split):
    before = split.layouts()
    assert looked(split, reloads=True) == uuids(split)
    with split.seen():
        gpus = Gpus(split.ports(), DeviceFiles(split.ports()))
        gpus.take(())
        reload(split)
        assert split.layouts() != before
        gpus.back()
    assert split.layouts() == before
    assert [text.split(",")[0] for text in gpus.geometry] == [f"{uuid}: 1g.10gb at 1:1" for uuid in uuids(split)]
    assert gpus.lost == []
    assert not split.files.exists(apply_geometry.PATH)


@pytest.mark.parametrize("when", ["take", "reload"])
def test_a_run_that_dies_leaves_it_to_the_next_one(split, when):
    before = split.layouts()

    def die():
        take(split)
        if when == "reload":
            reload(split)
        os._exit(9)

    assert in_child(die) is None
    if when == "take":
        # The modules are those of then: nothing is owed.
        assert looked(split) == []
        reload(split)
    assert looked(split) == uuids(split)
    back(split)
    assert split.layouts() == before
    assert looked(split) == []


def test_a_run_that_dies_while_it_brings_it_back_is_finished(split):
    before = split.layouts()
    take(split)
    reload(split)

    def die():
        with split.seen():
            gpus = Gpus(split.ports(), DeviceFiles(split.ports()))
            count = iter(range(99))
            session = gpus._session
            make = session.create_compute_instance

            def made_until_death(*args):
                if next(count) == 2:
                    os._exit(9)
                return make(*args)

            session.create_compute_instance = made_until_death
            gpus.back()

    assert in_child(die) is None
    assert split.layouts() != before
    # The half of it is no layout of its own, were the modules to be reloaded once more.
    take(split)
    back(split)
    assert split.layouts() == before


def test_what_somebody_made_since_is_left_as_it_is(split):
    take(split)
    reload(split)
    split.make([on({"2g.20gb": 1}, gpus={"index": 0})])
    made = split.layouts()[0]
    assert looked(split) == uuids(split)[1:]
    back(split)
    assert split.layouts()[0] == made
    assert not split.files.exists(apply_geometry.PATH)


def test_a_mode_that_somebody_switched_off_stays_off(node):
    ampere = node(A100)
    ampere.make(SPLIT)
    loads(ampere)
    take(ampere)
    reload(ampere)
    ampere.make([off()])
    assert looked(ampere) == []
    back(ampere)
    assert ampere.layouts()[0] == (False, False, ())


def test_layouts_of_modules_that_stayed_are_forgotten(split):
    take(split)
    back(split)
    assert not split.files.exists(apply_geometry.PATH)


def reloaded_under_a_holder(node):
    """A Hopper GPU whose layout and mode went with the modules, and that DCGM holds; the layouts before."""
    hopper = node(H100)
    hopper.make(SPLIT)
    loads(hopper)
    before = hopper.layouts()
    take(hopper)
    reload(hopper)
    hopper.services.add(DCGM, hopper.sim.occupy(0, kind="holder"), [0])
    return hopper, before


def test_a_mode_is_switched_on_again_while_nobody_holds_the_gpu(node):
    hopper, before = reloaded_under_a_holder(node)
    gpus = back(hopper)
    assert (hopper.layouts(), gpus.lost, gpus.layouts_lost) == (before, [], [])
    assert hopper.services.active() == {DCGM: True}


def test_what_does_not_come_back_is_told_and_tried_again(node):
    hopper, before = reloaded_under_a_holder(node)
    hopper.services.make_stubborn(DCGM)
    (text,) = back(hopper).layouts_lost
    assert text.startswith(f"{uuids(hopper)[0]}: the MIG layout 1g.10gb at 1:1, 3g.40gb at 4:4")
    assert text.endswith("the next run tries it")
    hopper.services.make_stubborn(DCGM, False)
    assert looked(hopper) == uuids(hopper)
    gpus = back(hopper)
    assert (gpus.lost, gpus.layouts_lost) == ([], [])
    assert hopper.layouts() == before


def test_a_node_without_mig_writes_nothing_down(node):
    plain = node("t4")
    loads(plain)
    take(plain)
    assert looked(plain, reloads=True) == []
    assert not plain.files.exists(apply_geometry.PATH)
