# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back to an old layout, the map of MIG UUIDs and the journal, without any node."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._boot import boot_id
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._holders.objects import ResetGpu
from ansible_collections.accel.gpu.plugins.module_utils._mig import journal, live, restore
from ansible_collections.accel.gpu.plugins.module_utils._mig.model import (
    CreateComputeInstance,
    CreateGpuInstance,
    DestroyComputeInstance,
    DestroyGpuInstance,
    SetMigMode,
)
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    MigState,
    Placement,
)

UUID = "GPU-1"


def gpu(*instances, mode=True, pending=None, architecture="hopper"):
    mig = MigState(mode, mode if pending is None else pending, 7, (), tuple(instances))
    return Gpu(UUID, 0, "H100", "0000:10:00.0", "10de:2330", architecture=architecture, mig=mig)


def instance(id_, start, size=1, profile="1g.10gb", profile_id=19, inner=((0, 0, 1),)):
    """`inner` are (id, start, size) of compute instances, whose profile id is their size."""
    computes = tuple(
        ComputeInstance(ci, width, f"{width}c", Placement(at, width), f"MIG-{id_}-{ci}-{start}")
        for ci, at, width in inner
    )
    return GpuInstance(id_, profile_id, profile, Placement(start, size), computes)


SMALL = instance(7, 0)
LARGE = instance(2, 4, 4, "3g.40gb", 9, ((0, 0, 1), (1, 1, 2)))


def test_nothing_to_do_where_the_layout_is_the_old_one():
    assert restore.steps_back(gpu(SMALL, LARGE), live.layout_of(gpu(LARGE, SMALL))) == ()


def test_what_is_missing_is_created_at_its_place_and_what_is_new_goes():
    new = instance(8, 1)
    assert restore.steps_back(gpu(new, SMALL), live.layout_of(gpu(SMALL, LARGE))) == (
        DestroyComputeInstance(UUID, Placement(1, 1), 0, 8),
        DestroyGpuInstance(UUID, Placement(1, 1), 8),
        CreateGpuInstance(UUID, 9, "3g.40gb", Placement(4, 4)),
        CreateComputeInstance(UUID, Placement(4, 4), 1, "1c", Placement(0, 1)),
        CreateComputeInstance(UUID, Placement(4, 4), 2, "2c", Placement(1, 2)),
    )


def test_compute_instances_of_a_kept_gpu_instance_are_mended():
    wrong = instance(2, 4, 4, "3g.40gb", 9, ((0, 0, 1), (1, 1, 1)))
    assert restore.steps_back(gpu(wrong), live.layout_of(gpu(LARGE))) == (
        DestroyComputeInstance(UUID, Placement(4, 4), 1, 2),
        CreateComputeInstance(UUID, Placement(4, 4), 2, "2c", Placement(1, 2)),
    )


@pytest.mark.parametrize(("architecture", "reset"), [("ampere", (ResetGpu(UUID, "0000:10:00.0"),)), ("hopper", ())])
def test_the_mode_goes_back_before_instances_are_created(architecture, reset):
    steps = restore.steps_back(gpu(mode=False, architecture=architecture), live.layout_of(gpu(SMALL)))
    assert steps[: 1 + len(reset)] == (SetMigMode(UUID, True), *reset)
    assert [type(step) for step in steps[1 + len(reset) :]] == [CreateGpuInstance, CreateComputeInstance]


def test_a_mode_that_only_waits_is_taken_back_without_a_reset():
    waiting = gpu(SMALL, pending=False, architecture="ampere")
    assert restore.steps_back(waiting, live.layout_of(gpu(SMALL))) == (SetMigMode(UUID, True),)
    # Also where it was waiting before: after a refusal nothing is pending (rule 12).
    assert restore.steps_back(waiting, live.layout_of(waiting)) == (SetMigMode(UUID, True),)


def test_uuids_are_paired_by_place_then_by_profile():
    def device(start, uuid, profile="1g.10gb"):
        return live.Device(profile, Placement(start, 1), profile, Placement(0, 1), uuid)

    old = (device(0, "MIG-a"), device(1, "MIG-b"), device(2, "MIG-c"))
    new = (device(0, "MIG-a"), device(1, "MIG-x"), device(4, "MIG-y"), device(5, "MIG-z"))
    rows = [(row["placement"], row["old"], row["new"]) for row in live.uuid_map(UUID, old, new)]
    assert rows == [("1:1", "MIG-b", "MIG-x"), ("4:1", "MIG-c", "MIG-y"), ("5:1", None, "MIG-z")]


def test_a_layout_is_reached_with_its_compute_instances_only():
    after = live.layout_of(gpu(SMALL, LARGE))
    assert live.reached(gpu(SMALL, LARGE), after)
    without = dataclasses.replace(LARGE, compute_instances=LARGE.compute_instances[:1])
    assert live.difference(gpu(SMALL, without), after) == ""
    assert not live.reached(gpu(SMALL, without), after)
    assert live.difference(gpu(SMALL), after) == (
        "it has 1g.10gb at 0:1 (1c at 0:1), wanted 1g.10gb at 0:1 (1c at 0:1); 3g.40gb at 4:4 (1c at 0:1, 2c at 1:2)"
    )


@pytest.fixture
def files(tmp_path):
    made = Files(str(tmp_path))
    made.write("/proc/sys/kernel/random/boot_id", b"boot-1\n")
    return made


def record(files):
    one = gpu(SMALL, LARGE)
    entry = journal.GpuRecord(UUID, "H100", one.pci, live.layout_of(one), live.layout_of(gpu()), live.devices_of(one))
    return journal.Record(boot_id(files), journal.now(), (entry,), ("nvidia-dcgm.service",))


def test_a_journal_comes_back_as_it_was(files):
    written = record(files)
    journal.write(files, written)
    assert journal.read(files) == written
    journal.remove(files)
    assert journal.read(files) is None


def test_a_journal_of_another_boot_or_version_is_void(files):
    journal.write(files, record(files))
    files.write("/proc/sys/kernel/random/boot_id", b"boot-2\n")
    assert journal.read(files) is None


def test_a_file_that_is_no_journal_is_named(files):
    files.write(journal.PATH, b'{"version": 1, "boot_id": "boot-1"}')
    with pytest.raises(AccelError, match=r"^/var/lib/accel-gpu/mig/journal.json is no journal of accel.gpu"):
        journal.read(files)
