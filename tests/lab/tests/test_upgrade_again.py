# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbook driver_upgrade on nodes that an earlier run left behind, and where something is wrong beside the driver.

The driver's packages are a stand-in, and the scheduler is a program of the site. Each test leaves nodes that serve.
"""

from __future__ import annotations

import json
import os
import typing as t

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from upgrade_fleet import NEW, NEWER, NEWEST, OLD, Fleet, kill, reason, wait_for

SCENARIO = f"upgradeagain-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SPECS = (
    NodeSpec("left", ("a30-24gb",)),
    NodeSpec("next", ("a30-24gb",)),
    NodeSpec("bare", ("a30-24gb",), state="no_module"),
    NodeSpec("switched", ("h100-80gb-sxm5",), nvswitches=("22a3",)),
)
MIG = {"mig_geometry": [{"gpus": "all", "instances": {"1g.6gb": 4}}]}
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    nodes.up(SCENARIO, SPECS, image.ensure())
    one = Fleet(tmp_path_factory.mktemp("fleet"), SCENARIO)
    one.own = {host: one.site_scheduler(host) for host in ("left", "next", "switched")}
    yield one
    nodes.down(SCENARIO)


def done(fleet: Fleet, hosts: str, run: str, version: str) -> None:
    told = fleet.upgrade(hosts, run, version=version, serial="100%")
    assert set(told.results().values()) <= {"done", "already"}, told.text
    for host in hosts.split():
        assert (fleet.node(host).driver(), fleet.reason(host)) == ((version, version), "")


# --- what an earlier run left ---------------------------------------------------------------------------------------


def test_a_broken_node_stays_drained_until_it_is_proven(fleet: Fleet) -> None:
    left, other = fleet.node("left"), fleet.node("next")
    left.wrong("broken")
    assert fleet.upgrade("left", "one").results() == {"left": "failed"}
    why = reason("one", "upgrade failed")
    assert (left.driver(), fleet.reason("left")) == (("", NEW), why)
    # The limit is reached while it waits for its turn.
    left.wrong("")
    other.out("gpusim set 0 lost 1")
    told = fleet.upgrade("next left", "two", serial="100%")
    other.wrong("")
    assert told.results() == {"next": "failed", "left": "not_started"}, told.text
    assert (fleet.reason("left"), fleet.reason("next")) == (why, "")
    assert (told.report["left"]["drained"], told.report["next"]["drained"]) == (True, False)
    # Somebody works in spite of the drain; a run under the id of the first one knows no better.
    left.wrong("hindered")
    for run in ("three", "one"):
        told = fleet.upgrade("left", run)
        assert told.results() == {"left": "busy"}, told.text
        assert (fleet.reason("left"), told.report["left"]["drained"]) == (why, True)
    left.wrong("")
    (fleet.kept("left") / "work").write_text("somebody\n")
    told = fleet.upgrade("left", "four", drain_timeout=2)
    (fleet.kept("left") / "work").unlink()
    assert told.results() == {"left": "drain_timeout"}, told.text
    assert (fleet.reason("left"), told.report["left"]["why"]) == (why, "somebody")
    # The modules do not load again. The call finds none, so it brings back none: the run has to go further back.
    left.wrong("install")
    told = fleet.upgrade("left", "five")
    assert told.results() == {"left": "failed_restored"}, told.text
    assert (left.driver(), fleet.reason("left")) == (
        (OLD, OLD),
        reason("five", "upgrade failed, the old driver is back"),
    )
    left.wrong("")
    done(fleet, "left", "six", NEW)


def test_work_that_does_not_end_gets_its_node_back(fleet: Fleet) -> None:
    (fleet.kept("next") / "work").write_text("somebody\n")
    told = fleet.upgrade("next", "patient", drain_timeout=2)
    (fleet.kept("next") / "work").unlink()
    assert (told.status, told.results()) == (0, {"next": "drain_timeout"}), told.text
    assert (fleet.node("next").driver(), fleet.reason("next")) == ((OLD, OLD), "")


def test_a_control_node_that_dies_between_batches(fleet: Fleet) -> None:
    playbook = fleet.start("left next", "halved", version=NEWER, serial=1)
    try:
        wait_for(lambda: fleet.report("halved").get("left", {}).get("result") == "done", "the first node is done")
    finally:
        kill(playbook)
    assert fleet.report("halved")["next"]["result"] != "done"
    done(fleet, "left next", "whole", NEWER)


def test_a_control_node_that_dies_inside_a_node(fleet: Fleet) -> None:
    left = fleet.node("left")
    left.wrong("slow")
    playbook = fleet.start("left", "dying", version=NEW)
    try:
        wait_for(lambda: left.run("test -e /run/standin-middle").returncode == 0, "the change is under way")
    finally:
        kill(playbook)
    left.out("kill $(cat /run/standin-middle)")
    left.wrong("")
    assert (left.driver(), fleet.reason("left")) == ((NEWER, NEW), reason("dying", f"driver {NEWER} to {NEW}"))
    done(fleet, "left", "reborn", NEW)


@pytest.mark.parametrize(("dies", "result"), [(False, "done"), (True, "failed_restored")])
def test_a_run_that_took_the_drain_over_keeps_it(fleet: Fleet, dies: bool, result: str) -> None:
    left = fleet.node("left")
    wanted = NEWER if left.driver()[0] == NEW else NEW
    other = reason("other", "driver 1 to 2")
    left.out("rm -f /run/standin-middle")
    left.wrong("slow")
    with fleet.start("left", f"beaten-{result}", version=wanted) as playbook:
        try:
            wait_for(
                lambda: playbook.poll() is not None or left.run("test -e /run/standin-middle").returncode == 0,
                "the change is under way",
            )
            assert playbook.poll() is None, playbook.communicate()[0]
            (fleet.kept("left") / "reason").write_text(f"{other}\n")
            left.wrong("")
            left.out(f"{'kill $(cat /run/standin-middle);' if dies else ''} rm /run/standin-middle")
            text = playbook.communicate(timeout=900)[0]
        finally:
            if playbook.poll() is None:
                kill(playbook)
    row = fleet.report(f"beaten-{result}")["left"]
    assert (row["result"], row["drained"], fleet.reason("left")) == (result, False, other), text
    assert row["why"].endswith(f"out of service: drained: {other}")
    (fleet.kept("left") / "reason").unlink()


# --- what is not the driver's fault ----------------------------------------------------------------------------------


def test_each_trouble_has_its_own_end(fleet: Fleet) -> None:
    """At once, because a run takes its time: a refusal, a scheduler, a first installation, a fabric."""
    left, after, bare, switched = (fleet.node(host) for host in ("left", "next", "bare", "switched"))
    was = left.driver()
    # The record of an older change is nobody's to restore.
    left.wrong("refuse")
    older = {"run": "older", "library": "570.195.03", "loaded": "570.195.03"}
    left.out(f"echo '{json.dumps(older)}' > /var/lib/standin-previous")
    (fleet.kept("next") / "mute").touch()
    bare.out("cd /usr/lib/*-linux-gnu && mv libnvidia-ml.so.*.* /var/lib/standin-aside && rm libnvidia-ml.so.1")
    bare.wrong("dead")
    told = fleet.upgrade(
        "left next bare switched", "troubled", version=NEWEST, serial="100%", max_failures=4, verify_timeout=4
    )
    report = told.report
    assert told.results() == {
        "left": "failed",
        "next": "failed",
        "bare": "failed_restored",
        "switched": "failed",
    }, told.text
    assert report["left"]["why"] == "gpu_driver: stand-in: refuse"
    assert (left.driver(), fleet.reason("left"), report["left"]["drained"]) == (was, "", False)
    # A proven driver stays, and so does the drain.
    assert "the scheduler is away" in report["next"]["why"]
    assert (after.driver(), report["next"]["drained"]) == ((NEWEST, NEWEST), True)
    assert fleet.reason("next") == reason("troubled", "upgraded, but not put back")
    assert bare.run("ls /usr/lib/*-linux-gnu/libnvidia-ml.so.* /sys/module/nvidia").stdout == ""
    why = "the NVLink fabric is not_started and not completed"
    assert report["switched"]["why"] == f"{why}; and the way back failed: {why}"
    # Another run goes on, and waits for the fabric.
    left.wrong("")
    bare.wrong("")
    (fleet.kept("next") / "mute").unlink()
    switched.out(
        f"setsid sh -c 'until grep -q {NEWEST} /sys/module/nvidia/version; do sleep 0.2; done; sleep 4; "
        "gpusim set 0 fabric.state 3' > /dev/null 2>&1 &"
    )
    done(fleet, "left next bare switched", "mended", NEWEST)
    assert fleet.report("mended")["switched"]["seconds"]["fabric"] > 1


def test_a_node_that_was_changed_is_not_put_back_for_a_refusal_before_its_reboot(fleet: Fleet) -> None:
    """The library of the new driver under the old module: no program can use the GPUs."""
    left = fleet.node("left")
    was, usual = left.driver(), fleet.own["left"]
    fleet.own["left"] = {**usual, "gpu_driver_reboot": "if_needed"}
    left.wrong("owing")
    told = fleet.upgrade("left", "late", version=NEWEST if was[1] != NEWEST else NEWER)
    fleet.own["left"] = usual
    left.wrong("")
    assert told.results() == {"left": "failed_restored"}, told.text
    assert told.report["left"]["why"] == "gpu_driver: busy with somebody who came late"
    assert (left.driver(), fleet.reason("left")) == (was, reason("late", "upgrade failed, the old driver is back"))
    done(fleet, "left", "later", was[1])


def test_the_way_back_tells_what_it_brought_back(fleet: Fleet) -> None:
    """One node's change was of no package, so nothing comes back; the other one's began in an earlier run."""
    left, other = fleet.node("left"), fleet.node("next")
    was, before, usual = left.driver(), other.driver(), fleet.own["next"]
    newer = NEWEST if before[1] != NEWEST else NEWER
    other.wrong("stuck")
    assert fleet.upgrade("next", "begun", version=newer).results() == {"next": "failed"}
    assert other.driver() == (newer, newer)
    other.wrong("")
    left.wrong("parameters")
    fleet.own["next"] = {**usual, "gpu_driver_version": newer, "gpu_settings": [{"gpus": "all", "ecc": False}]}
    fleet.own["left"] = {**fleet.own["left"], "gpu_driver_version": was[1]}
    told = fleet.upgrade("left next", "ended", version="", serial="100%", max_failures=1)
    fleet.own["next"] = usual
    del fleet.own["left"]["gpu_driver_version"]
    left.wrong("")
    assert told.results() == {"left": "failed", "next": "failed_restored"}, told.text
    assert told.report["left"]["why"] == (
        "gpu_driver: the NVLink fabric is not completed; and the way back failed: nothing was restored: stand-in"
    )
    assert fleet.reason("left") == reason("ended", "upgrade failed")
    assert "still owed: reset of GPU-" in told.report["next"]["why"]
    assert other.driver() == before
    done(fleet, "left", "anew", was[1])
    done(fleet, "next", "anew too", before[1])


def test_a_node_that_does_not_answer_once_is_not_proven(fleet: Fleet) -> None:
    once = {
        "left": "__verify_version is defined and __after is not defined",
        "next": "role_name | default('') == 'gpu_settings' and __gpu_settings_result is not defined",
        "bare": "role_name | default('') == 'mig' and __mig_result is not defined",
    }
    fleet.node("bare").out("modprobe nvidia_uvm && modprobe nvidia_modeset")
    was = {host: fleet.node(host).driver() for host in once}
    usual = {host: fleet.own.get(host, {}) for host in once}
    for host, lost in once.items():
        fleet.own[host] = {
            **usual[host],
            "ansible_connection": f"{{{{ 'ssh' if {lost} else 'community.docker.docker' }}}}",
            "ansible_host": f"{{{{ '127.0.0.1' if {lost} else '{fleet.node(host).name}' }}}}",
            "ansible_port": 1,
        }
    told = fleet.upgrade(" ".join(once), "flapped", version="615.12.01", serial="100%", max_failures=3)
    fleet.own.update(usual)
    assert told.results() == dict.fromkeys(once, "failed_restored"), told.text
    assert {host: fleet.node(host).driver() for host in once} == was
    for host in once:
        assert "Connection refused" in told.report[host]["why"]
    for version in {version for _loaded, version in was.values()}:
        same = " ".join(host for host in once if was[host][1] == version)
        done(fleet, same, f"settled-{version}", version)


def test_what_is_declared_may_not_wait(fleet: Fleet) -> None:
    left = fleet.node("left")
    usual = fleet.own["left"]
    # In daily work it may: the upgrade has the node for itself.
    fleet.own["left"] = {**usual, **MIG, "mig_apply": "next_boot", "accel_gpu_when_busy": "defer"}
    done(fleet, "left", "declared", NEW)
    assert [one["profile"] for one in left.show()["gpus"][0]["instances"]] == ["1g.6gb"] * 4
    # What only a reset brings is told, and nothing is reported as done.
    fleet.own["left"] = {**usual, **MIG, "gpu_settings": [{"gpus": "all", "ecc": False}]}
    told = fleet.upgrade("left", "owing", version=NEWER)
    assert told.results() == {"left": "failed_restored"}, told.text
    assert "still owed: reset of GPU-" in told.report["left"]["why"]
    # The stand-in does not bring back a layout that nobody declares, and the role that does may fail.
    # The way back has applied the ECC mode, so nothing is owed for it.
    fleet.own["left"] = {**usual, "gpu_settings": [{"gpus": "all", "ecc": False}]}
    told = fleet.upgrade("left", "lost", version=NEWER)
    assert told.results() == {"left": "failed"}, told.text
    assert told.report["left"]["why"].startswith("MIG of GPU-")
    assert "1g.6gb at 0, 1g.6gb at 1, 1g.6gb at 2, 1g.6gb at 3, as before the change" in told.report["left"]["why"]
