# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def test_every_gpu_has_its_geometry(node):
    ampere = node("ampere")
    assert ampere.profiles(0) == ["1g.10gb", "1g.10gb+me", "2g.20gb", "3g.40gb"]
    assert ampere.profiles(1) == ["1g.6gb", "1g.6gb", "2g.12gb"]
    assert ampere.mode(0) == ampere.mode(1) == (True, True)


def test_only_gpus_that_change_their_mode_were_reset(node):
    assert [gpu["resets"] for gpu in node("ampere").json("/var/tmp/converged.json")["gpus"]] == [1, 1, 0]


def test_only_the_gpu_that_nobody_works_on_was_reset_afterwards(node):
    assert [gpu["resets"] for gpu in node("ampere").show()["gpus"]] == [1, 2, 0]


def test_the_work_on_the_others_has_the_same_pid(node):
    ampere = node("ampere")
    pid = int(ampere.host.file("/var/tmp/worker").content_string)
    assert ampere.host.file(f"/proc/{pid}").is_directory
    assert pid in [process["pid"] for process in ampere.gpu(2)["processes"]]


def test_the_gpu_that_declares_no_mig_is_untouched(node):
    ampere = node("ampere")
    assert ampere.mode(2) == (False, False)
    assert ampere.layout(2) == []


def test_daemons_that_held_the_gpus_run_again(node):
    ampere = node("ampere")
    assert ampere.active("nvidia-persistenced.service")
    assert ampere.active("nvidia-dcgm.service")


def test_every_gpu_instance_has_a_compute_instance_that_spans_it(node):
    ampere = node("ampere")
    assert all(len(compute) == 1 for index in (0, 1) for compute in ampere.compute(index))


def test_the_wish_is_stored_for_the_agent(node):
    ampere = node("ampere")
    assert ampere.json("/etc/accel-gpu/wish.d/mig.json")["version"] == 1
    assert ampere.host.service("accel-gpu.service").is_enabled
