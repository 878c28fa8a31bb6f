# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secure Boot: the key is prepared, a person confirms it at the console, and only then the driver comes."""

from __future__ import annotations

import typing as t

import pytest
from driver_call import bare_node, call
from simulated import Node

WISH = {"version": "580.126.16"}
PASSWORD = "/var/lib/accel-gpu/driver/enrolment-password"


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    with bare_node("secure", "a30-24gb", secure_boot=True) as made:
        yield made


def test_nothing_is_half_installed_before_a_person_has_confirmed_the_key(node: Node) -> None:
    foretold = call(node, check=True, **WISH)
    answer = call(node, **WISH)
    assert "msg" not in answer, answer["msg"]
    assert foretold["actions"] == answer["actions"]
    assert answer["changed"] is True
    assert answer["enrolment_required"].startswith("Secure Boot is on and firmware does not know the key ")
    assert PASSWORD in answer["enrolment_required"]
    assert node.out(f"stat -c %a {PASSWORD}") == "600"
    assert node.run("dpkg-query -W libnvidia-ml1").returncode != 0

    again = call(node, **WISH)
    assert (again["changed"], again["enrolment_required"]) == (False, answer["enrolment_required"])

    node.out("accel-lab enrol")
    node.restart()
    done = call(node, **WISH)
    assert "msg" not in done, done["msg"]
    assert (done["driver"]["loaded"], done["enrolment_required"]) == (WISH["version"], None)
