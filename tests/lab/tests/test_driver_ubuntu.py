# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA's own repository on each Ubuntu, through the change of its packages' names and back, with the real apt."""

from __future__ import annotations

import typing as t

import pytest
from driver_call import bare_node, call
from simulated import Node

OLD, NEW = "580.126.16", "590.48.01"
PACKAGES = (
    "dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\\n' | grep -i nvidia | grep ^.i; apt-mark showhold"
)
RELEASES = ["ubuntu2204", "ubuntu2404", "ubuntu2604"]


def good(node: Node, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    answer = call(node, check=check, change_loaded=True, **options)
    assert "msg" not in answer, answer["msg"]
    return answer


@pytest.mark.full
@pytest.mark.parametrize("release", RELEASES)
def test_up_through_the_change_of_names_and_back(release: str) -> None:
    with bare_node(release, "a100-80gb", os=release) as node:
        foretold = good(node, check=True, version=OLD, profile="full")
        first = good(node, version=OLD, profile="full")
        assert foretold["actions"] == first["actions"]
        assert set(first["driver"].values()) == {OLD}, first["driver"]
        before = node.out(PACKAGES)
        assert f"libnvidia-compute-580 {OLD}" in before
        assert not good(node, version=OLD, profile="full")["changed"]
        good(node, version=NEW, profile="full", download_only=True)
        assert node.out(PACKAGES) == before
        up = good(node, version=NEW, profile="full")
        assert set(up["driver"].values()) == {NEW}, up["driver"]
        assert "-580" not in node.out(PACKAGES)
        assert not good(node, version=NEW, profile="full")["changed"]
        node.out("systemctl stop accel-lab-repos")
        back = good(node, state="restored")
        assert (back["restored"], back["driver"]["loaded"], back["driver"]["library"]) == (True, OLD, OLD)
        assert node.out(PACKAGES) == before
        node.out("systemctl start accel-lab-repos")
        assert not good(node, version=OLD, profile="full")["changed"]
        gone = good(node, state="absent")
        assert (gone["driver"]["installed"], node.run("lsmod | grep nvidia").stdout) == (None, "")
