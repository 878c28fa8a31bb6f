# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has the GPUs of a node: NVML, owners, open devices and what may be stopped."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_users
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Busy
from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    BindingWantedError,
    DriverMissingError,
    GpuHungError,
    NvmlError,
)
from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure, Process
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owner, Owners
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import (
    Session,
    Tree,
    process,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils.boards import gpu, node


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def pauses(monkeypatch):
    """What happens in the pauses between looks."""
    happens = []
    clock = SimpleNamespace(sleep=lambda _seconds: happens.pop(0)())
    monkeypatch.setattr(holders, "time", clock)
    return happens


HUNG = GpuHungError("nvmlInit did not answer", call="nvmlInit", gpu=None, deadline=30)


@pytest.mark.parametrize(
    ("library", "module_version", "answer", "wanted"),
    [
        (None, "580.1", None, ("missing", "the NVIDIA library libnvidia-ml.so.1 is not on this node")),
        ("580.1", None, None, ("not_loaded", "the kernel module nvidia is not loaded")),
        (
            "580.2",
            "580.1",
            None,
            ("mismatch", "libnvidia-ml.so.1 is version 580.2 but the loaded kernel module is version 580.1"),
        ),
        ("580.1", "580.1", HUNG, ("hung", "nvmlInit did not answer")),
        ("580.1", "580.1", NvmlError("nvmlInit failed: UNKNOWN"), ("failed", "nvmlInit failed: UNKNOWN")),
        ("580.1", "580.1", DriverMissingError("no module", state="not_loaded"), ("not_loaded", "no module")),
    ],
)
def test_an_answer_that_is_known_is_not_asked_for(tree, library, module_version, answer, wanted):
    def opened():
        assert answer is not None, "NVML was asked"
        return Session(answer)

    found = probe_users.ask(tree.ports(opened), library, module_version, False)
    assert (found.state, found.why) == wanted


def test_a_missing_binding_goes_up(tree):
    with pytest.raises(BindingWantedError):
        probe_users.ask(tree.ports(lambda: Session(BindingWantedError("no pynvml"))), "580.1", "580.1", False)


@pytest.mark.parametrize(
    ("states", "wanted"),
    [(("completed", "completed"), "completed"), (("completed", "in_progress"), "in_progress"), ((None, None), None)],
)
def test_the_fabric_is_complete_where_every_gpu_says_so(tree, states, wanted):
    cards = [
        dataclasses.replace(gpu("h100-80gb-sxm5"), health={"fabric": state and {"state": state}}) for state in states
    ]
    session = Session(node(*cards))
    assert probe_users.ask(tree.ports(lambda: session), "580.1", "580.1", True).fabric == wanted
    assert session.subsets == ("identity", "mig", "processes", "health")


def test_owners_count_without_an_answer_of_the_driver():
    owners = Owners(
        (Owner("kubelet", asked=False, why="refused"), Owner("docker")),
        (Allocation("docker 0123", "all"), Allocation("job 7", "minor:1", 99)),
    )
    assert probe_users.busy_gpus(probe_users.Answer("not_loaded", owners=owners)) == (
        Busy("all GPUs", "kubelet (could not be asked: refused)", True),
        Busy("all GPUs", "docker 0123", False),
        Busy("minor:1", "job 7", True),
    )


HELD = Owners((Owner("docker"),), (Allocation("docker 0123", "GPU-lost"),))
SILENT_OWNER = Owners((Owner("kubelet", asked=False, why="refused"),))


@pytest.mark.parametrize(
    ("kind", "owners", "at_work"),
    [
        ("gpu_hung", Owners(), True),
        ("nvml", Owners(), True),
        # It runs nothing, and who keeps it open is found there; only what an owner holds has no process.
        ("gpu_lost", Owners(), False),
        ("gpu_lost", HELD, True),
        ("gpu_lost", SILENT_OWNER, True),
    ],
)
def test_a_gpu_without_an_answer_may_be_at_work(kind, owners, at_work):
    seen = dataclasses.replace(node(), failures=(GpuFailure(3, kind, "it is away", pci="0000:86:00.0"),))
    found = probe_users.busy_gpus(probe_users.Answer("answers", snapshot=seen, owners=owners))
    assert (Busy("GPU 0000:86:00.0", "it gives no answer (it is away)", True) in found) is at_work


def test_open_devices_are_told_with_the_unit_that_may_be_stopped(tree, pauses):
    process(tree, 70, "nvidia-persiste", "/dev/nvidia0", "nvidia-persistenced.service")
    process(tree, 71, "trainer", "/dev/nvidia0", "job.service")
    process(tree, 72, "worker", "/dev/nvidia0", "other.service")
    process(tree, 73, "sleeper", "/dev/null", "other.service")
    card = dataclasses.replace(gpu("a100-80gb"), processes=(Process(72, "compute"),))
    pauses += [lambda: None] * 3
    assert probe_users.open_devices(tree.ports(), node(card)) == (
        ("nvidia-persiste of nvidia-persistenced.service", "nvidia-persistenced.service", 70),
        ("trainer of job.service", None, 71),
    )


def test_who_opens_a_device_for_a_moment_is_not_told(tree, pauses):
    process(tree, 70, "nvidia-smi", "/dev/nvidiactl", "cron.service")
    process(tree, 71, "trainer", "/dev/nvidia0", "job.service")
    gone = tree.root / "proc/70/fd/3"
    pauses += [gone.unlink, lambda: process(tree, 72, "nvidia-smi", "/dev/nvidia0", "cron.service"), lambda: None]
    assert [pid for _name, _unit, pid in probe_users.open_devices(tree.ports(), node())] == [71]


def test_units_that_may_be_stopped_and_jobs_cost_no_further_look(tree, pauses):
    process(tree, 70, "nvidia-persiste", "/dev/nvidia0", "nvidia-persistenced.service")
    process(tree, 72, "worker", "/dev/nvidia0", "other.service")
    card = dataclasses.replace(gpu("a100-80gb"), processes=(Process(72, "compute"),))
    assert len(probe_users.open_devices(tree.ports(), node(card))) == 1
    assert pauses == []
