# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who hinders a reboot without a GPU is asked where a reboot is owed, and told in the result."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import core
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import planned
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import State
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.nodes import node, wish

OTHERS = planned.Others(("Slurm job 4 of ada(1001)",), ("root is logged in (session 3)",))


@pytest.mark.parametrize("owed", [(), ("the running kernel has no module",)])
def test_others_are_asked_where_a_reboot_is_owed(monkeypatch, tmp_path, owed):
    real = planned.decide

    def decide(asked, seen):
        plan = real(asked, seen)
        owes = dataclasses.replace(plan.decided.owed, reboot=owed)
        return dataclasses.replace(plan, decided=dataclasses.replace(plan.decided, owed=owes))

    monkeypatch.setattr(core, "decide", decide)
    monkeypatch.setattr(core, "probe", lambda _ports, _packages: node())
    monkeypatch.setattr(core.probe_offers, "look", lambda _wish, found, *_more, **_how: State(found))
    monkeypatch.setattr(core.probe_others, "probe", lambda _ports: OTHERS)
    ports = SimpleNamespace(files=Files(str(tmp_path)), check=True)
    asked = planned.Asked(wish())
    seen = core._seen(asked, ports, None)
    told = decide(asked, seen).result()
    work, logins = ["Slurm job 4 of ada(1001) is on this node"], ["root is logged in (session 3)"]
    assert told["reboot_hindered"] == ([*work, *logins] if owed else [])
    assert told["reboot_hindered_by_work"] == (work if owed else [])


def test_a_process_with_gpus_open_is_work_and_what_keeps_a_module_unseen_is_not():
    refused = "kernel module nvidia_uvm cannot be unloaded (in use)"
    seen = node(refused=refused, holders=(("nv-hostengine", "nvidia-dcgm.service", 811),))
    assert planned.work(seen, planned.Others(sessions=OTHERS.sessions)) == []
    seen = node(refused=refused, holders=(("train.py", None, 4711),))
    assert planned.work(seen, planned.Others()) == ["train.py (PID 4711) holds GPUs open"]
