# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver that somebody keeps in memory without being seen, as a console does: nothing is taken away from under it."""

from __future__ import annotations

import typing as t

import pytest
from driver_call import bare_node, call
from simulated import Node

VERSION = {"version": "580.126.16"}
OTHER = {"version": "580.95.05", "change_loaded": True}
STATE = "dpkg-query -W; apt-mark showhold; systemctl show -p MainPID,ActiveEnterTimestamp nvidia-persistenced"


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    with bare_node("refused", "a100-80gb") as made:
        answer = call(made, **VERSION)
        assert "msg" not in answer, answer["msg"]
        yield made


@pytest.mark.full
def test_a_module_that_stays_keeps_its_packages_and_is_not_asked_again(node: Node) -> None:
    pid = int(node.out("gpusim occupy 0 --kind holder --spawn").split()[-1])
    packages = node.out("dpkg-query -W; apt-mark showhold")
    failed = call(node, state="absent")
    assert failed["error"]["kind"] == "blocked", failed
    assert "kernel module nvidia cannot be unloaded (in use, and not by other modules alone)" in failed["msg"]
    assert failed["changed"] is False
    assert node.out("dpkg-query -W; apt-mark showhold") == packages
    before = node.out(STATE)
    assert "ActiveEnterTimestamp=\n" not in before  # persistenced runs again
    owed = call(node, state="absent")
    assert (owed["changed"], bool(owed["reload_required"]), bool(owed["reboot_required"])) == (False, True, True), owed
    assert node.out(STATE) == before
    changed = call(node, **OTHER)
    assert (changed.get("msg"), changed["changed"], bool(changed["reboot_required"])) == (None, True, True), changed
    before = node.out(STATE)
    for check in (True, False):
        again = call(node, check=check, **OTHER)
        assert (again["changed"], bool(again["reload_required"])) == (False, True), again
    assert node.out(STATE) == before
    node.out(f"kill {pid}; gpusim release 0 --pid {pid} || true; rm /var/lib/accel-gpu/driver/refused.json")
    done = call(node, **OTHER)
    assert (done.get("msg"), done["changed"], done["reload_required"]) == (None, True, []), done
    gone = call(node, state="absent")
    assert "msg" not in gone, gone["msg"]
    assert "nvidia-persistenced" not in node.out("dpkg-query -W")
