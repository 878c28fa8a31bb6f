# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbook driver_upgrade with the genuine role and real packages: up without a mirror, back from kept files."""

from __future__ import annotations

import os
import subprocess
import typing as t

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from upgrade_fleet import NEWER, OLD, Fleet, UpgradeNode, reason

SCENARIO = f"upgradereal-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SPEC = NodeSpec("fallen", ("a30-24gb",), state="no_driver", image="driver", sources="lab")
# Once the module has ended, a GPU falls off the bus, and the mirror has no version of before any more. With the new
# modules gone the GPU is there again.
FALL = f"""
until grep -q {NEWER} /sys/module/nvidia/version && [ ! -e /var/lib/accel-gpu/driver/journal.json ]; do sleep 0.1; done
gpusim set 0 lost 1
rm -f /var/cache/apt/archives/*.deb /var/lib/apt/lists/127.0.0.1*nvidia*
while grep -q {NEWER} /sys/module/nvidia/version; do sleep 0.02; done
gpusim set 0 lost 0
"""
# A module stays until the next boot, which loads none; after it the new one does not load either.
RELUCTANT = f"""
cat > /usr/local/sbin/modprobe << 'end'
#!/bin/sh
if [ -e /run/reluctant ] || ! modinfo -F version nvidia | grep -q {NEWER}; then exec /sbin/modprobe "$@"; fi
echo 'modprobe: ERROR: could not insert' >&2
exit 1
end
chmod +x /usr/local/sbin/modprobe
echo 'install nvidia /bin/false' > /etc/modprobe.d/reluctant.conf
touch /run/reluctant
gpusim occupy 0 --kind holder --spawn
"""
WILLING = "rm /usr/local/sbin/modprobe /etc/modprobe.d/reluctant.conf"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    try:
        nodes.up(SCENARIO, (SPEC,), image.ensure("driver"))
        one = Fleet(tmp_path_factory.mktemp("fleet"), SCENARIO, standin=False)
        one.own = {"fallen": one.site_scheduler("fallen")}
        yield one
    finally:
        nodes.down(SCENARIO)


def packages(node: UpgradeNode) -> tuple[str, str]:
    """What is installed, with versions, and what is held."""
    return node.out("dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'"), node.out("apt-mark showhold")


@pytest.mark.full
def test_up_without_a_mirror_and_back_without_the_old_versions(fleet: Fleet) -> None:
    fallen = fleet.node("fallen")
    told = fleet.upgrade("fallen", "first", version=OLD)
    assert told.results() == {"fallen": "done"}, told.text
    before = packages(fallen)
    assert (fallen.driver(), "nvidia" in before[1]) == ((OLD, OLD), True)
    # The mirror is away as soon as the node is drained, and an index would be fetched at each call.
    fleet.own["fallen"]["gpu_driver_cache_valid_time"] = 0
    hook = fleet.kept("fallen") / "hook"
    hook.write_text(f"docker exec {fallen.name} systemctl stop accel-lab-repos\n")
    fallen.out(f"setsid sh -c '{FALL}' > /dev/null 2>&1 &")
    told = fleet.upgrade("fallen", "second", version=NEWER)
    assert told.results() == {"fallen": "failed_restored"}, told.text
    assert packages(fallen) == before
    assert fallen.driver() == (OLD, OLD)
    assert fleet.reason("fallen") == reason("second", "upgrade failed, the old driver is back")
    # It goes on where it stopped.
    hook.unlink()
    fallen.out("systemctl start accel-lab-repos")
    told = fleet.upgrade("fallen", "third", version=NEWER)
    assert told.results() == {"fallen": "done"}, told.text
    assert (fallen.driver(), fleet.reason("fallen")) == ((NEWER, NEWER), "")
    # Modules of the other kind are a change too, though the version stays.
    fleet.own["fallen"]["gpu_driver_flavour"] = "proprietary"
    told = fleet.upgrade("fallen", "fourth", version=NEWER)
    assert told.results() == {"fallen": "done"}, told.text
    assert fallen.out("modinfo -F license nvidia") == "NVIDIA"
    assert fleet.upgrade("fallen", "fifth", version=NEWER).results() == {"fallen": "already"}


@pytest.mark.full
def test_a_power_limit_that_the_new_driver_refuses_costs_it_its_place(fleet: Fleet) -> None:
    """It is set twice before it counts as lost. Who wants the driver all the same says so."""
    fallen = fleet.node("fallen")
    fleet.own["fallen"] = fleet.site_scheduler("fallen")
    before = OLD if fallen.driver()[0] == NEWER else NEWER
    refuse = "gpusim fault nvmlDeviceSetPowerManagementLimit --times 2 --code NVML_ERROR_UNKNOWN"
    done = fleet.upgrade("fallen", "fourscore", version=before)
    assert done.results()["fallen"] in ("done", "already"), done.text
    wanted = NEWER if before == OLD else OLD
    uuid = fallen.out("nvidia-smi --query-gpu=uuid --format=csv,noheader")
    lost = f"{uuid}: power limit was 140.0 before and is not set again"
    fallen.out(f"nvidia-smi -pl 140 && {refuse}")
    told = fleet.upgrade("fallen", "strict", version=wanted)
    assert told.results() == {"fallen": "failed_restored"}, told.text
    assert fallen.driver() == (before, before)
    assert told.report["fallen"]["why"] == f"did not come back after the reload: {lost}"
    assert fleet.reason("fallen") == reason("strict", "upgrade failed, the old driver is back")
    # The old one takes it, so that the next run has something to lose again.
    assert told.report["fallen"]["not_restored"] == []
    assert fallen.out("nvidia-smi --query-gpu=power.limit --format=csv,noheader,nounits") == "140.00"
    fallen.out(refuse)
    told = fleet.upgrade("fallen", "lax", version=wanted, not_restored="tell")
    assert told.results() == {"fallen": "done"}, told.text
    assert (fallen.driver(), fleet.reason("fallen")) == ((wanted, wanted), "")
    assert told.report["fallen"]["not_restored"] == [lost]
    assert f"fallen: did not come back after the reload: {lost}" in told.text
    # What is declared decides, and nothing is owed any more.
    fleet.own["fallen"] = {**fleet.own["fallen"], "gpu_settings": [{"gpus": "all", "power_limit": 150}]}
    fallen.out(f"nvidia-smi -pl 140 && {refuse}")
    told = fleet.upgrade("fallen", "declared", version=before)
    assert told.results() == {"fallen": "done"}, told.text
    assert told.report["fallen"]["not_restored"] == []
    assert fallen.out("nvidia-smi --query-gpu=power.limit --format=csv,noheader,nounits") == "150.00"


@pytest.mark.full
def test_a_driver_that_does_not_load_after_the_reboot_is_taken_back(fleet: Fleet) -> None:
    fallen = fleet.node("fallen")
    # A machine comes up again by itself; a container is started by Docker.
    subprocess.run(
        ["docker", "update", "--restart", "always", fallen.name], check=True, capture_output=True, timeout=60
    )
    fleet.own["fallen"] = {**fleet.site_scheduler("fallen"), "gpu_driver_reboot": "if_needed"}
    told = fleet.upgrade("fallen", "before", version=OLD)
    assert told.results() == {"fallen": "done"}, told.text
    before = packages(fallen)
    fallen.out(RELUCTANT)
    told = fleet.upgrade("fallen", "rebooted", version=NEWER)
    assert fallen.run("test -e /run/reluctant").returncode == 1, told.text
    assert told.results() == {"fallen": "failed_restored"}, told.text
    assert "modprobe nvidia ended with 1" in told.report["fallen"]["why"]
    assert (fallen.driver(), packages(fallen)) == ((OLD, OLD), before)
    fallen.out(WILLING)
