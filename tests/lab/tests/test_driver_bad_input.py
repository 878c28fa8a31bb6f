# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong with repositories, keys, disks and package managers: one clear sentence, and nothing changed."""

from __future__ import annotations

import os
import typing as t

import pytest
from driver_call import URL, bare_node, call, die_at
from labctl.repos import KEYS
from simulated import Node

VERSION = {"version": "580.126.16"}
GOOD = {"key": KEYS["good"].public(), "fingerprint": KEYS["good"].fingerprint}
STATE = "dpkg-query -W; apt-mark showhold; find /etc -name '*accel-gpu*'; find /var/lib -path '*accel-gpu/driver/j*'"


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    with bare_node("bad", "a100-80gb") as made:
        yield made


class Case(t.NamedTuple):
    """`before` brings the trouble and `after` takes it away. `said` is the whole message; "…" stands for what differs
    from run to run."""

    options: dict[str, t.Any]
    said: str
    kind: str
    before: str = "true"
    after: str = "true"


ASKED = "gpu_driver_source: which versions there are cannot be said: "
WAY = "; give the node a way to the repository, or use a mirror"
EXPIRED = {"key": KEYS["expired"].public(), "fingerprint": KEYS["expired"].fingerprint}
HEADERS = "linux-headers-amd64 linux-headers-$(uname -r)"
CASES: dict[str, Case] = {
    "version that is not there": Case(
        {"version": "580.999.99"},
        "gpu_driver_version: driver 580.999.99 is not in the repository of {url}/nvidia; it has 620.12.04, 595.71.05, "
        "590.48.01, 580.126.16, 580.95.05, 570.195.03 and 2 older ones",
        "wish",
    ),
    "repository that cannot be reached": Case(
        {**VERSION, "mirror": {**GOOD, "url": "http://127.0.0.1:9/nvidia"}},
        f"{ASKED}repository http://127.0.0.1:9/nvidia/debian12/x86_64/InRelease cannot be reached (Could not connect "
        "to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)); check the address, the network and the "
        f"proxy of the node{WAY}",
        "blocked",
    ),
    "key that is not there": Case(
        {**VERSION, "mirror": {"url": f"{URL}/nvidia"}},
        f"{ASKED}{{url}}/nvidia/debian12/x86_64/3bf863cc.pub cannot be read: HTTP status 404{WAY}",
        "blocked",
    ),
    "repository signed by another key": Case(
        {**VERSION, "mirror": {**GOOD, "url": f"{URL}/nvidia-sha1"}},
        f"{ASKED}repository {{url}}/nvidia-sha1/debian12/x86_64 is signed by another key than the one given (The "
        "following signatures couldn't be verified because the public key is not available: NO_PUBKEY "
        f"55306D0E5651E393); give the key that signs it now, and its fingerprint{WAY}",
        "blocked",
    ),
    "expired key": Case(
        {**VERSION, "mirror": {**EXPIRED, "url": f"{URL}/nvidia-expired"}},
        f"{ASKED}repository {{url}}/nvidia-expired/debian12/x86_64 is signed by an expired key, or its index is "
        "expired (The following signatures were invalid: EXPKEYSIG C79A12C20B5230C8 accel.gpu lab, expired key "
        f"<expired@lab.invalid>); give the renewed key, or renew the mirror{WAY}",
        "blocked",
    ),
    "unsigned repository": Case(
        {**VERSION, "mirror": {**GOOD, "url": f"{URL}/nvidia-unsigned"}},
        f"{ASKED}repository {{url}}/nvidia-unsigned/debian12/x86_64 is not signed (it has no signature); use a "
        f"repository that is signed; unsigned ones are not accepted{WAY}",
        "blocked",
    ),
    "no headers": Case(
        VERSION,
        "gpu_driver_modules: dkms cannot build for kernel {kernel}: its headers are not installed, and package "
        "linux-headers-{kernel} is in no repository of this node; add the repository that has it, or boot a kernel "
        "whose headers are there",
        "blocked",
        # the lab's own archive has them, too
        f"dpkg --purge --force-all {HEADERS}; mv /etc/apt/sources.list /root; rm -rf /var/lib/apt/lists/*",
        "dpkg -i /srv/accel-lab/repos/installed/linux-headers-*.deb; mv /root/sources.list /etc/apt; apt-get update -q",
    ),
    "full disk": Case(
        VERSION,
        "the file system of /var/cache/apt/archives has not enough room: … are free; make room and run again",
        "disk_full",
        "accel-lab disk full",
        "accel-lab disk free",
    ),
    "locked": Case(
        {**VERSION, "lock_timeout": 1},
        "packages cannot change on this node: the package database is locked by PID … (accel-lab) "
        "(/var/lib/dpkg/lock); waited 1 s; wait for its end and run again, or give it "
        "longer in gpu_driver_lock_timeout",
        "blocked",
        # longer than a call takes on a machine with much to do
        "accel-lab lock 300",
        "pkill -f 'accel-lab [l]ock'; while pgrep -f 'accel-lab [l]ock'; do sleep 0.1; done",
    ),
    "interrupted": Case(
        VERSION,
        "packages cannot change on this node: dpkg was interrupted; run dpkg --configure -a",
        "blocked",
        "accel-lab interrupt",
        "dpkg --configure -a",
    ),
    "script of a package": Case(
        VERSION,
        "changing packages failed: the package transaction failed at nvidia-persistenced: … what was there before is "
        "back",
        "transaction",
        "accel-lab fail nvidia-persistenced",
        "accel-lab fail",
    ),
    # Last: apt holds only what it knows, and it knows the package since the run before.
    "held by somebody else": Case(
        VERSION,
        "libcuda1 would change but is held by somebody else; ask them, or release the hold and run again",
        "held",
        "apt-mark hold libcuda1",
        "apt-mark unhold libcuda1",
    ),
}


# What check mode refuses with the same words; one row for each place where that is found.
FORESEEN = ("version that is not there", "full disk", "held by somebody else")


@pytest.mark.parametrize("name", CASES)
def test_trouble_is_told_in_one_sentence_and_changes_nothing(node: Node, name: str) -> None:
    case = CASES[name]
    before = node.out(STATE)
    node.out(case.before)
    try:
        foreseen = call(node, check=True, **case.options) if name in FORESEEN else None
        answer = call(node, **case.options)
    finally:
        node.run(case.after)
    if foreseen is not None:
        assert (foreseen["msg"], foreseen["error"]["kind"]) == (answer["msg"], answer["error"]["kind"])
    assert answer.get("failed"), answer
    beginning, _dots, end = case.said.format(kernel=os.uname().release, url=URL).partition("…")
    rest = answer["msg"].removeprefix(beginning)
    assert (answer["msg"].startswith(beginning), rest.endswith(end), bool(_dots) or not rest) == (True, True, True), (
        answer
    )
    assert answer["error"]["kind"] == case.kind
    assert answer["changed"] is False
    assert node.out(STATE) == before


@pytest.mark.full
def test_a_package_script_that_fails_both_ways_is_finished_by_a_later_run(node: Node) -> None:
    """The new version cannot be configured, nor the old one again: no run claims that all is well before it is."""
    before = node.out(STATE)
    answer = call(node, version="580.95.05")
    assert "msg" not in answer, answer["msg"]
    node.out("accel-lab fail nvidia-persistenced")
    for _run in range(2):
        answer = call(node, change_loaded=True, **VERSION)
        assert answer["error"]["kind"] == "transaction", answer
        assert answer["error"]["restored"] is False
        assert "failed at nvidia-persistenced: " in answer["msg"]
        assert answer["msg"].endswith("; the next run tries again")
        assert "F" in node.out("dpkg-query -W -f '${db:Status-Abbrev}' nvidia-persistenced")
    node.out("accel-lab fail")
    answer = call(node, change_loaded=True, **VERSION)
    assert "msg" not in answer, answer["msg"]
    assert (answer["actions"][0]["action"], answer["driver"]["loaded"]) == ("finish_interrupted", VERSION["version"])
    assert node.run("dpkg --audit").stdout == ""
    answer = call(node, state="absent")
    assert "msg" not in answer, answer["msg"]
    assert node.out(STATE) == before


@pytest.mark.parametrize("way", ["finished", "undone"])
def test_a_run_that_was_killed_in_the_middle_of_dpkg(node: Node, way: str) -> None:
    """apt, dpkg and the run itself die while the kernel module is built; nothing of dpkg's work is lost."""
    before = node.out(STATE)
    node.out("accel-lab dkms --seconds 30")
    die_at(node, "dpkg-query -W -f '${db:Status-Abbrev}' nvidia-kernel-open-dkms | grep -q ^.F", **VERSION)
    node.out("accel-lab dkms")
    assert "F" in node.out("dpkg-query -W -f '${db:Status-Abbrev}' nvidia-kernel-open-dkms")
    assert node.run("test -e /var/lib/accel-gpu/driver/journal.json").returncode == 0
    if way == "finished":
        answer = call(node, **VERSION)
        assert "msg" not in answer, answer["msg"]
        assert answer["actions"][0]["action"] == "finish_interrupted"
        assert node.out("cat /sys/module/nvidia/version") == VERSION["version"]
        answer = call(node, state="absent")
        assert "msg" not in answer, answer["msg"]
    else:
        answer = call(node, version="580.999.99")
        assert (answer["failed"], answer["changed"]) == (True, True), answer
    assert node.out(STATE) == before
