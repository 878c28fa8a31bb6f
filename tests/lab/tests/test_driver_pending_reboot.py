# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An upgrade of libc asks for a reboot of the node; its driver, which is right, does not."""

from __future__ import annotations

import typing as t

import pytest
from driver_call import bare_node, call
from simulated import Node


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    with bare_node("pending", "a100-80gb") as made:
        yield made


@pytest.mark.full
def test_a_reboot_for_other_packages_is_told_and_none_of_the_drivers(node: Node) -> None:
    answer = call(node, version="580.126.16")
    assert (answer.get("msg"), answer["driver"]["loaded"]) == (None, "580.126.16")
    node.out("echo '*** System restart required ***' > /run/reboot-required; echo libc6 > /run/reboot-required.pkgs")
    for check in (True, False):
        answer = call(node, check=check, version="580.126.16")
        owed = {key: answer[key] for key in ("changed", "reboot_required", "reload_required", "warnings")}
        assert owed == {"changed": False, "reboot_required": [], "reload_required": [], "warnings": []}
        assert answer["reboot_pending"] == ["/run/reboot-required is there, for libc6"]
