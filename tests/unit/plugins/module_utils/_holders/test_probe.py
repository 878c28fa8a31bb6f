# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holders in constructed /proc trees (not taken from a machine)."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders
from ansible_collections.accel.gpu.plugins.module_utils._holders.objects import Holder, Holders
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Gpu, Process, Snapshot

GPUS = tuple(Gpu(uuid=f"GPU-{n}", index=n, name="x", pci=f"0000:0{n}:00.0", device_id="", minor=n) for n in (0, 1))
SNAPSHOT = Snapshot("580.126.16", gpus=GPUS)


class Node:
    """A /proc, and answers for systemctl show."""

    def __init__(self, root):
        self.root = str(root)
        self.active = {}
        self.asked = []

    def process(self, pid, name, opened, cgroup="0::/user.slice/session-1.scope", parent=1):
        directory = os.path.join(self.root, "proc", str(pid))
        os.makedirs(os.path.join(directory, "fd"), exist_ok=True)
        for file, text in (("comm", name + "\n"), ("cgroup", cgroup + "\n"), ("stat", f"{pid} ({name}) S {parent} 0")):
            with open(os.path.join(directory, file), "w", encoding="utf-8") as handle:
                handle.write(text)
        for number, target in enumerate(opened):
            os.symlink(target, os.path.join(directory, "fd", str(number)))

    def run(self, argv, timeout=None, stdin=None):
        self.asked.append(tuple(argv[:2]))
        blocks = []
        for unit in argv[3:]:
            state = "active" if unit in self.active else "inactive"
            blocks.append(f"MainPID={self.active.get(unit, 0)}\nId={unit}\nActiveState={state}\n")
        return 0, "\n".join(blocks), ""

    @property
    def ports(self):
        return SimpleNamespace(root=self.root, run=self.run)


@pytest.fixture
def node(tmp_path, monkeypatch):
    monkeypatch.setattr(holders, "_PAUSE", 0)
    return Node(tmp_path)


def test_a_quiet_node_has_none(node):
    node.process(10, "bash", ["/dev/null", "/dev/nvidiactl", "/dev/nvidia-uvm"])
    found = holders.probe(node.ports, SNAPSHOT)
    assert (found.known, found.unknown, found.reset_reachable) == ((), (), False)


def test_stoppable_units_come_in_the_order_of_stopping_with_what_they_hold(node):
    node.active = {"nvidia-persistenced.service": 20, "nvidia-dcgm.service": 21}
    node.process(20, "nvidia-persiste", ["/dev/nvidia1"], "0::/system.slice/nvidia-persistenced.service")
    node.process(21, "nv-hostengine", [], "1:name=systemd:/system.slice/nvidia-dcgm.service")
    assert holders.probe(node.ports, SNAPSHOT).known == (
        Holder("nvidia-dcgm.service", unit="nvidia-dcgm.service", pid=21),
        Holder("nvidia-persistenced.service", unit="nvidia-persistenced.service", pid=20, devices=("GPU-1",)),
    )


def test_fabric_manager_is_never_a_holder(node):
    node.process(30, "nv-fabricmanage", ["/dev/nvidia0"], "0::/system.slice/nvidia-fabricmanager.service")
    node.active = {"nvidia-fabricmanager.service": 30}
    found = holders.probe(node.ports, SNAPSHOT)
    assert (found.known, found.unknown) == ((), ())


def test_whoever_else_has_a_gpu_open_is_named_with_its_unit(node):
    node.process(40, "Xorg", ["/dev/nvidia0", "/dev/nvidia0"], "0::/system.slice/gdm.service")
    node.process(41, "monitor", ["/dev/nvidia1"])
    assert [str(holder) for holder in holders.probe(node.ports, SNAPSHOT).unknown] == [
        "Xorg of gdm.service (PID 40)",
        "monitor (PID 41)",
    ]


def test_work_that_nvml_lists_is_no_holder(node):
    node.process(50, "python", ["/dev/nvidia0"])
    gpu = Gpu(**{**GPUS[0].__dict__, "processes": (Process(50, "compute"),)})
    assert holders.probe(node.ports, Snapshot("x", gpus=(gpu,))).unknown == ()


def test_our_own_session_is_no_holder(node):
    node.process(os.getpid(), "python", [])
    node.process(60, "python", ["/dev/nvidia0"], parent=os.getpid())
    assert holders.probe(node.ports, SNAPSHOT).unknown == ()


def test_a_monitor_that_is_gone_at_the_next_look_is_no_holder(node, monkeypatch):
    node.process(70, "nvidia-smi", ["/dev/nvidia0"])
    gone = os.path.join(node.root, "proc", "70", "fd", "0")
    monkeypatch.setattr(holders.time, "sleep", lambda _seconds: os.unlink(gone) if os.path.lexists(gone) else None)
    assert holders.probe(node.ports, SNAPSHOT).unknown == ()


def test_reset_needs_nvidia_smi(node):
    os.makedirs(os.path.join(node.root, "usr/bin"))
    with open(os.path.join(node.root, "usr/bin/nvidia-smi"), "w", encoding="utf-8"):
        pass
    assert holders.probe(node.ports, SNAPSHOT).reset_reachable is True


def test_who_has_only_a_gpu_without_an_answer_open_holds_no_other(node):
    node.process(80, "Xorg", ["/dev/nvidia7"])
    node.process(81, "nv-hostengine", ["/dev/nvidia7"], "0::/system.slice/nvidia-dcgm.service")
    assert holders.probe(node.ports, SNAPSHOT).unknown == ()
    assert [str(one.name) for one in holders.strangers(node.root, SNAPSHOT)] == ["Xorg"]


@pytest.mark.parametrize(("resets", "held"), [(None, ()), (["GPU-1"], ("GPU-1",))])
def test_kernel_mode_setting_holds_what_is_reset(node, resets, held):
    folder = os.path.join(node.root, "sys/module/nvidia_drm/parameters")
    os.makedirs(folder)
    with open(os.path.join(folder, "modeset"), "w", encoding="utf-8") as handle:
        handle.write("Y\n")
    found = holders.probe(node.ports, SNAPSHOT, resets)
    assert tuple(one.devices for one in found.unknown) == ((held,) if held else ())


def test_units_to_stop_and_those_in_the_way_are_told_by_gpu():
    known = (Holder("a", "a.service", devices=("GPU-0",)), Holder("b", "b.service"), Holder("c", pid=3))
    found = Holders(known, unknown=(Holder("x", devices=("GPU-1",)),))
    assert (found.stops("GPU-0"), found.stops("GPU-1")) == (("a.service", "b.service"), ("b.service",))
    assert [str(one) for one in found.in_the_way("GPU-1")] == ["x", "c (PID 3)"]


NODES = [
    ("/dev/nvidia1", True, True),
    ("/dev/nvidiactl", False, True),
    ("/dev/nvidia-uvm", False, True),
    ("/dev/nvidia-modeset", False, True),
    ("/dev/nvidia-caps/nvidia-cap1", False, True),
    ("/dev/dri/card1", False, True),
    ("/dev/dri/renderD128", False, True),
    ("/dev/dri/card0", False, False),  # of the server's own display chip
    ("/dev/nvme0", False, False),
]


@pytest.mark.parametrize(("opened", "holds_gpu", "holds_module"), NODES)
def test_whoever_keeps_a_module_loaded_is_seen_where_modules_go(node, opened, holds_gpu, holds_module):
    for name, driver in (("card0", "ast"), ("card1", "nvidia"), ("renderD128", "nvidia"), ("card1-DP-1", "nvidia")):
        folder = os.path.join(node.root, "sys/class/drm", name, "device")
        os.makedirs(folder)
        os.symlink(f"../../../bus/pci/drivers/{driver}", os.path.join(folder, "driver"))
    node.process(10, "train", ["/dev/null", opened])
    node.process(11, "systemd-logind", ["/dev/dri/card1"], "0::/system.slice/systemd-logind.service")
    assert [one.pid for one in holders.openers(node.root)] == ([10] if holds_gpu else [])
    assert [one.pid for one in holders.openers(node.root, modules=True)] == ([10] if holds_module else [])
