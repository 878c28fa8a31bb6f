# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of a loaded driver with real packages: MIG that nobody declares, and whose change is taken back.

tests/component/driver shows the same without a node.
"""

from __future__ import annotations

import typing as t

import pytest
from driver_call import bare_node, call, die_at
from simulated import Node

OLD, NEW = "580.95.05", "580.126.16"
JOURNAL = "/var/lib/accel-gpu/driver/journal.json"
HALF = "dpkg-query -W -f '${db:Status-Abbrev}' nvidia-kernel-open-dkms | grep -q ^.F"


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    """With a driver, and MIG instances made by hand."""
    with bare_node("way", "h100-80gb-sxm5") as made:
        good(made, version=OLD)
        made.out("systemctl stop nvidia-persistenced && nvidia-smi -mig 1 && nvidia-smi mig -cgi 19,9 -C")
        made.out("systemctl start nvidia-persistenced")
        yield made


def good(node: Node, **options: t.Any) -> dict[str, t.Any]:
    answer = call(node, change_loaded=True, **options)
    assert "msg" not in answer, answer["msg"]
    return answer


def layout(node: Node) -> list[t.Any]:
    (gpu,) = node.show()["gpus"]
    return [gpu["mig"]["current"], sorted((one["profile"], one["placement"]["start"]) for one in gpu["instances"])]


@pytest.mark.full
def test_a_change_keeps_mig_and_only_its_own_run_is_taken_back(node: Node) -> None:
    before = layout(node)
    assert len(before[1]) == 2
    foretold = call(node, check=True, change_loaded=True, version=NEW)
    assert "restore_geometry" in [one["action"] for one in foretold["actions"]]
    answer = good(node, version=NEW, run="R1")
    assert (layout(node), len(answer["geometry_restored"])) == (before, 1)
    # A change that never began takes nothing back.
    answer = good(node, state="restored", restore_runs=["R2"])
    assert (answer["changed"], answer["restored"], answer["driver"]["loaded"]) == (False, False, NEW)
    answer = good(node, state="restored", restore_runs=["R2", "R1"], run="R2")
    assert (answer["restored"], answer["driver"]["loaded"], layout(node)) == (True, OLD, before)
    assert not good(node, state="restored", restore_runs=["R1"])["changed"]


@pytest.mark.full
def test_a_download_after_a_killed_run_leaves_its_way_back(node: Node) -> None:
    before = layout(node)
    node.out("accel-lab dkms --seconds 30")
    die_at(node, HALF, change_loaded=True, version=NEW, run="R3")
    node.out("accel-lab dkms")
    journal = node.out(f"cat {JOURNAL}")
    answer = good(node, version=NEW, download_only=True)
    assert not answer["changed"]
    assert node.out(f"cat {JOURNAL}") == journal
    # Of another run it takes nothing back, of its own all.
    assert not good(node, state="restored", restore_runs=["R4"])["restored"]
    assert node.out(f"cat {JOURNAL}") == journal
    answer = good(node, state="restored", restore_runs=["R4", "R3"], run="R4")
    assert (answer["restored"], answer["driver"]["loaded"], layout(node)) == (True, OLD, before)
    assert node.run(f"test -e {JOURNAL}").returncode != 0
    assert node.run("dpkg --audit").stdout == ""


@pytest.mark.full
def test_a_version_that_does_not_compile_is_refused_while_the_node_serves(node: Node) -> None:
    node.out("accel-lab dkms --fail")
    answer = call(node, change_loaded=True, version=NEW, download_only=True)
    assert answer["msg"].startswith("building the kernel modules failed: dkms ended with 10 for nvidia 580.126.16 and")
    assert (answer["changed"], answer["error"]["kind"], answer["error"]["restored"]) == (False, "blocked", True)
    assert node.run("test -e /var/lib/accel-gpu/driver/build").returncode != 0
    node.out("accel-lab dkms --seconds 2")
    assert good(node, version=NEW, download_only=True)["seconds"]["build"] >= 2
    assert good(node, version=NEW)["seconds"]["build"] >= 2
