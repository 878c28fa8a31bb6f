# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong with repositories, keys, disks and package managers: one clear sentence, and nothing changed."""

from __future__ import annotations

import os
import typing as t

import pytest
from driver_call import URL, call, put
from labctl import image, nodes
from labctl.inventory import NodeSpec
from labctl.repos import KEYS
from simulated import SCENARIO, Node

BAD = f"{SCENARIO}-bad"
SPEC = NodeSpec("bad", ("a100-80gb",), state="no_driver", image="driver", sources="lab")
VERSION = {"version": "580.126.16"}
GOOD = {"key": KEYS["good"].public(), "fingerprint": KEYS["good"].fingerprint}
STATE = "dpkg-query -W; apt-mark showhold; find /etc -name '*accel-gpu*'; find /var/lib -path '*accel-gpu/driver/j*'"


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    try:
        nodes.up(BAD, [SPEC], image.ensure("driver"))
        made = Node("bad", BAD)
        put(made)
        yield made
    finally:
        nodes.down(BAD)


class Case(t.NamedTuple):
    """`before` brings the trouble and `after` takes it away. The message is `said`, with {…} filled in."""

    options: dict[str, t.Any]
    said: str
    kind: str
    before: str = "true"
    after: str = "true"


CASES: dict[str, Case] = {
    "version": Case({"version": "580.1.1"}, "", "wish"),
    "unreachable": Case({**VERSION, "mirror": {**GOOD, "url": "http://127.0.0.1:9/nvidia"}}, "", "blocked"),
    "no_key": Case({**VERSION, "mirror": {"url": f"{URL}/nvidia"}}, "", "blocked"),
    "other_key": Case({**VERSION, "mirror": {**GOOD, "url": f"{URL}/nvidia-sha1"}}, "", "blocked"),
    "expired": Case(
        {
            **VERSION,
            "mirror": {
                "url": f"{URL}/nvidia-expired",
                "key": KEYS["expired"].public(),
                "fingerprint": KEYS["expired"].fingerprint,
            },
        },
        "",
        "blocked",
    ),
    "unsigned": Case({**VERSION, "mirror": {**GOOD, "url": f"{URL}/nvidia-unsigned"}}, "", "blocked"),
    "no_headers": Case(VERSION, "", "blocked", "accel-lab headers hide", "accel-lab headers show"),
    "disk": Case(VERSION, "", "disk_full", "accel-lab disk full", "accel-lab disk free"),
    "held": Case(VERSION, "", "held", "apt-mark hold libcuda1", "apt-mark unhold libcuda1"),
    "locked": Case({**VERSION, "lock_timeout": 1}, "", "blocked", "accel-lab lock 20", "sleep 20"),
    "interrupted": Case(VERSION, "", "blocked", "accel-lab interrupt", "dpkg --configure -a"),
    "script": Case(VERSION, "", "transaction", "accel-lab fail nvidia-persistenced", "accel-lab fail"),
}


@pytest.mark.parametrize("name", CASES)
def test_trouble_is_told_in_one_sentence_and_changes_nothing(node: Node, name: str) -> None:
    case = CASES[name]
    before = node.out(STATE)
    node.out(case.before)
    try:
        answer = call(node, **case.options)
    finally:
        node.run(case.after)
    print(
        "MSG",
        name,
        answer.get("error", {}).get("kind"),
        answer.get("msg"),
        answer.get("error", {}).get("step"),
        flush=True,
    )
    assert answer.get("failed"), answer
    assert answer["changed"] is False
    assert node.out(STATE) == before
    filled = case.said.format(kernel=os.uname().release, url=URL)
    assert (answer["msg"], answer["error"]["kind"]) == (filled, case.kind)
