# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose restart is owed: units of systemd against the last change of MIG devices."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._holders.objects import StartHolder, StopHolder
from ansible_collections.accel.gpu.plugins.module_utils._mig import model, restarts
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Placement

DCGM, SLURM = "nvidia-dcgm.service", "slurmd.service"
CREATE = model.CreateComputeInstance("GPU-1", Placement(0, 1), 0, "1g.10gb")


def block(name: str, state: str = "active", main: int = 0, active: int = 0, names: str = "") -> str:
    return (
        f"Id={name}\nNames={names or name}\nActiveState={state}\nExecMainStartTimestampMonotonic={main}\n"
        f"ActiveEnterTimestampMonotonic={active}\n"
    )


def notified(*blocks: str, wanted=(DCGM,), changed=None) -> restarts.Notified:
    return restarts.Notified(restarts.units_of("\n".join(blocks), wanted), changed)


@pytest.mark.parametrize(
    ("shown", "changed", "owed"),
    [
        pytest.param(block(DCGM, main=100, active=120), None, [], id="no MIG device changed in this boot"),
        pytest.param(block(DCGM, main=100, active=120), 200, [DCGM], id="started before the change"),
        pytest.param(block(DCGM, main=300, active=320), 200, [], id="started after the change"),
        pytest.param(block(DCGM, main=100, active=300), 200, [DCGM], id="began before the change, ready after it"),
        pytest.param(block(DCGM, active=100), 200, [DCGM], id="no main process"),
        pytest.param(block(DCGM, "reloading", main=100), 200, [DCGM], id="reloading"),
        pytest.param(block(DCGM, "inactive", main=100), 200, [], id="inactive"),
        pytest.param(block(DCGM, "failed", main=100), 200, [], id="failed"),
        pytest.param(block("other.service", main=100), 200, [], id="unknown to systemd"),
        pytest.param(block("dcgm5.service", main=100, names=f"dcgm5.service {DCGM}"), 200, [DCGM], id="an alias"),
    ],
)
def test_what_is_owed_now(shown, changed, owed):
    assert restarts.required(notified(shown, changed=changed)) == owed


def test_each_unit_is_judged_by_itself_and_in_the_order_of_the_wish():
    found = notified(block(DCGM, main=100), block(SLURM, main=300), wanted=(SLURM, DCGM), changed=200)
    assert restarts.required(found) == [DCGM]
    assert restarts.required(found, [CREATE]) == [SLURM, DCGM]


def test_a_plan_foretells_it_for_units_that_run():
    found = notified(block(DCGM, main=1), block(SLURM, "inactive"), wanted=(DCGM, SLURM))
    assert restarts.required(found) == []
    assert restarts.required(found, [CREATE]) == [DCGM]
    assert restarts.required(found, changes=True) == [DCGM]
    bare = model.CreateGpuInstance("GPU-1", 19, "1g.10gb", Placement(0, 1))
    assert restarts.required(found, [bare]) == []  # a GPU instance alone is no device


def test_who_is_stopped_for_the_change_and_started_again_owes_nothing():
    found = notified(block("dcgm5.service", main=1, names=f"dcgm5.service {DCGM}"))
    steps = [StopHolder("dcgm5.service"), CREATE, StartHolder("dcgm5.service")]
    assert restarts.required(found, steps) == []


def test_the_last_change_is_void_after_a_reboot(tmp_path):
    files = Files(str(tmp_path))
    files.write("/proc/sys/kernel/random/boot_id", b"one\n")
    assert restarts.last_change(files) is None
    restarts.remember(files, 4711)
    assert restarts.last_change(files) == 4711
    files.write("/proc/sys/kernel/random/boot_id", b"two\n")
    assert restarts.last_change(files) is None


def test_names_are_completed_and_told_once():
    assert restarts.parse(["slurmd", SLURM, "exporter@0.service", "gpu.target"], "notify") == (
        SLURM,
        "exporter@0.service",
        "gpu.target",
    )
    assert restarts.parse(None, "notify") == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("slurmd", 'notify: "slurmd" is a string; give a list of systemd units'),
        ([7], "notify[0]: 7 is an integer; give a systemd unit such as nvidia-dcgm.service"),
        ([SLURM, "nvidia-*"], 'notify[1]: "nvidia-*" is no name of a unit; give one such as nvidia-dcgm.service'),
        (["--now"], 'notify[0]: "--now" is no name of a unit; give one such as nvidia-dcgm.service'),
        (["nvidia-imex"], "notify[0]: nvidia-imex ends running jobs when it stops; remove it from the list"),
        (["nvlsm@1.service"], "notify[0]: nvlsm@1.service ends running jobs when it stops; remove it from the list"),
    ],
)
def test_bad_names(value, message):
    with pytest.raises(WishError) as raised:
        restarts.parse(value, "notify")
    assert raised.value.message == message
