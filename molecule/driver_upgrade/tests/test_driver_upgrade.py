# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

OLD, NEW = "580.126.16", "595.71.05"


def after_first(node):
    """(loaded driver, what Slurm said) after the first run."""
    return [node.host.file(f"/var/tmp/{name}").content_string.strip() for name in ("first", "slurm")]


def loaded(node):
    return node.host.file("/sys/module/nvidia/version").content_string.strip()


def slurm(node, name):
    return node.host.check_output(f"scontrol --oneliner show node {name}")


def test_the_job_ended_by_itself_and_the_geometry_is_back(node):
    good = node("good")
    assert "JobState=COMPLETED" in good.host.check_output("scontrol --oneliner show job 1")
    assert (loaded(good), good.profiles(0)) == (NEW, ["1g.10gb"] * 7)
    assert "State=IDLE " in slurm(good, "good")


def test_who_may_open_the_gpus_is_as_before_also_on_the_way_back(node):
    for name in ("good", "sick"):
        assert node(name).host.file("/var/tmp/devices").content_string.splitlines() == [
            "/dev/nvidia0 root video 660",
            "/dev/nvidia-uvm root root 660",
            "/dev/nvidiactl root root 666",
        ]


def test_what_other_packages_want_brought_no_reboot(node):
    # /run is empty after a boot.
    assert node("good").host.file("/run/reboot-required").exists


def test_the_node_that_failed_got_its_old_driver_and_no_work_until_it_was_mended(node):
    sick = node("sick")
    version, state = after_first(sick)
    assert version == OLD
    assert " State=IDLE+DRAIN " in state
    assert " Reason=accel.gpu driver_upgrade first: upgrade failed, the old driver is back [" in state
    assert loaded(sick) == NEW
    assert "State=IDLE " in slurm(sick, "sick")


def test_the_node_that_somebody_else_drained_is_left_alone(node):
    taken = node("taken")
    assert loaded(taken) == OLD
    assert "State=IDLE+DRAIN" in slurm(taken, "taken")
    assert " Reason=bad dimm [" in slurm(taken, "taken")


def test_the_work_on_the_busy_node_has_the_same_pid(node):
    busy = node("busy")
    pid = busy.host.file("/var/tmp/pid").content_string.strip()
    assert loaded(busy) == OLD
    assert busy.host.file(f"/proc/{pid}").is_directory
    assert int(pid) in [process["pid"] for process in busy.gpu(0)["processes"]]
