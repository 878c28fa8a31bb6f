# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbook driver_upgrade on simulated nodes with a real Slurm. The driver's packages are a stand-in here."""

from __future__ import annotations

import os
import typing as t

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec
from upgrade_fleet import NEW, NEWER, NEWEST, OLD, Fleet, UpgradeNode, idle, reason

SCENARIO = f"upgradetest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
SLURM = ("munge.service", "real-slurmctld.service", "real-slurmd.service")
SPECS = (
    NodeSpec("good", ("a100-80gb",), units=SLURM),
    NodeSpec("sick", ("a100-80gb",), units=SLURM),
    NodeSpec("taken", ("a30-24gb",), units=SLURM),
    NodeSpec("busy", ("a30-24gb",)),
)
MIG = {"mig_geometry": [{"gpus": "all", "instances": {"1g.10gb": 7}}]}


class Slurmed(Fleet):
    good, sick, taken, busy = (UpgradeNode(spec.host, scenario=SCENARIO) for spec in SPECS)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Slurmed]:
    nodes.up(SCENARIO, SPECS, image.ensure())
    one = Slurmed(tmp_path_factory.mktemp("fleet"), SCENARIO)
    one.own = {host: {"accel_gpu_scheduler": "slurm"} for host in ("good", "sick", "taken")}
    one.own["good"].update(MIG)
    yield one
    nodes.down(SCENARIO)


@pytest.mark.full
def test_check_mode_foretells_and_touches_nothing(fleet: Slurmed) -> None:
    idle(fleet.good)
    told = fleet.upgrade("good busy", "foretold", "--check")
    assert told.status == 0, told.text
    assert "planned" in told.text
    assert (fleet.good.driver(), fleet.busy.driver()) == ((OLD, OLD), (OLD, OLD))
    assert fleet.good.slurm() == "IDLE|"
    assert told.report == {}


@pytest.mark.full
def test_each_node_comes_out_as_it_should(fleet: Slurmed) -> None:
    idle(fleet.good, fleet.sick, fleet.taken)
    fleet.sick.wrong("dead")
    fleet.taken.out("scontrol update NodeName=taken State=DRAIN Reason='bad dimm'")
    work = fleet.busy.out("gpusim occupy 0 --spawn | tee /tmp/work").split()[-1]
    fleet.good.out("cd /tmp && sbatch --output /dev/null --wrap 'exec sleep 8'")
    told = fleet.upgrade("good sick taken busy", "first", serial="100%", max_failures=1)
    assert told.status == 2, told.text
    assert told.results() == {
        "good": "done",
        "sick": "failed_restored",
        "taken": "foreign_drain",
        "busy": "busy",
    }, told.text
    assert "1 of 4 hosts failed: sick" in told.text
    # The job ended by itself before the driver changed, and the node serves again with its geometry.
    assert "JobState=COMPLETED" in fleet.good.out("scontrol --oneliner show job")
    assert told.report["good"]["seconds"]["drain"] > 1
    assert (fleet.good.driver(), fleet.good.slurm()) == ((NEW, NEW), "IDLE|")
    assert [one["profile"] for one in fleet.good.show()["gpus"][0]["instances"]] == ["1g.10gb"] * 7
    # What failed has its old driver and stays out of service.
    assert fleet.sick.driver() == (OLD, OLD)
    assert fleet.sick.slurm() == "IDLE+DRAIN|" + reason("first", "upgrade failed, the old driver is back")
    assert (told.report["sick"]["drained"], told.report["sick"]["from"], told.report["sick"]["to"]) == (True, OLD, NEW)
    assert (fleet.taken.driver(), fleet.taken.slurm()) == ((OLD, OLD), "IDLE+DRAIN|bad dimm")
    assert told.report["taken"]["why"] == "drained: bad dimm"
    assert fleet.busy.driver() == (OLD, OLD)
    assert fleet.busy.out(f"ps -o pid= -p {work}").split() == [work]


@pytest.mark.full
def test_a_run_after_it_goes_on_where_it_stopped(fleet: Slurmed) -> None:
    fleet.sick.wrong("")
    fleet.busy.out("gpusim release 0 --pid $(cat /tmp/work)")
    told = fleet.upgrade("good sick taken busy", "second", serial="100%")
    assert told.results() == {"good": "already", "sick": "done", "taken": "foreign_drain", "busy": "done"}, told.text
    assert told.status == 0
    assert (fleet.sick.driver(), fleet.sick.slurm()) == ((NEW, NEW), "IDLE|")
    assert fleet.busy.driver() == (NEW, NEW)
    assert fleet.taken.slurm() == "IDLE+DRAIN|bad dimm"


@pytest.mark.full
def test_a_key_that_waits_for_a_person_is_told_before_the_drain(fleet: Slurmed) -> None:
    idle(fleet.good)
    before = fleet.good.driver()
    fleet.good.wrong("enrol")
    told = fleet.upgrade("good", "unsigned", version=NEWER)
    fleet.good.wrong("")
    assert told.status == 2, told.text
    assert told.results() == {"good": "failed"}, told.text
    wanted = "Secure Boot would not load the new driver yet: enrol the key at the console"
    assert told.report["good"]["why"] == wanted
    assert (fleet.good.driver(), fleet.good.slurm()) == (before, "IDLE|")


@pytest.mark.full
def test_the_run_stops_at_its_limit(fleet: Slurmed) -> None:
    fleet.sick.wrong("install")
    told = fleet.upgrade("sick good busy", "third", version=NEWER, serial=1)
    assert told.status == 2, told.text
    assert told.results() == {"sick": "failed_restored", "good": "not_started", "busy": "not_started"}, told.text
    assert told.report["good"]["why"] == "1 failed (sick), and max_failures is 0"
    assert fleet.sick.slurm() == "IDLE+DRAIN|" + reason("third", "upgrade failed, the old driver is back")
    assert (fleet.good.driver(), fleet.good.slurm()) == ((NEW, NEW), "IDLE|")


@pytest.mark.full
def test_a_way_back_that_fails_is_told(fleet: Slurmed) -> None:
    fleet.sick.wrong("stuck")
    told = fleet.upgrade("sick", "fourth", version=NEWER)
    assert told.results() == {"sick": "failed"}, told.text
    assert "; and the way back failed: gpu_driver: the old packages cannot be had" in told.report["sick"]["why"]
    assert fleet.sick.slurm() == "IDLE+DRAIN|" + reason("fourth", "upgrade failed")


@pytest.mark.full
def test_a_node_that_vanishes_is_told_and_its_drain_stays(fleet: Slurmed) -> None:
    kept = fleet.kept("busy")
    gone = kept / "gone"
    fleet.own["busy"] = {
        **fleet.site_scheduler("busy"),
        # Where it is gone nobody listens.
        "ansible_connection": f"{{{{ 'ssh' if '{gone}' is exists else 'community.docker.docker' }}}}",
        "ansible_host": f"{{{{ '127.0.0.1' if '{gone}' is exists else '{fleet.busy.name}' }}}}",
        "ansible_port": 1,
    }
    (kept / "vanish").touch()
    told = fleet.upgrade("busy", "vanished", version=NEWEST)
    assert told.status == 2, told.text
    assert told.results() == {"busy": "unreachable"}, told.text
    assert told.report["busy"]["drained"] is True
    assert "Connection refused" in told.report["busy"]["why"]
    assert set(told.report["busy"]["seconds"]) <= {"download", "drain"}
    assert fleet.reason("busy") == reason("vanished", "upgrade failed")
    # It is back, and so is the run.
    (kept / "vanish").unlink()
    gone.unlink()
    told = fleet.upgrade("busy", "again", version=NEWEST)
    assert told.results() == {"busy": "done"}, told.text
    assert fleet.busy.driver() == (NEWEST, NEWEST)
    assert fleet.reason("busy") == ""
    # The last look at a node that serves again is a look at it.
    (kept / "leave").touch()
    told = fleet.upgrade("busy", "left", version=NEWER)
    fleet.own["busy"] = {}
    assert told.results() == {"busy": "unreachable"}, told.text
    assert fleet.reason("busy") == reason("left", "upgrade failed")


@pytest.mark.full
def test_the_limit_is_reached_in_a_later_batch_and_a_rack_goes_one_by_one(fleet: Slurmed) -> None:
    fleet.sick.out("scontrol update NodeName=sick State=RESUME")
    fleet.taken.out("scontrol update NodeName=taken State=RESUME")
    fleet.own[""] = {"accel_gpu_failure_domain": "rack 1"}
    fleet.sick.wrong("install")
    fleet.taken.wrong("install")
    told = fleet.upgrade("sick good taken busy", "racked", version=NEWEST, serial="100%", max_failures=1)
    fleet.own[""] = {}
    assert told.status == 2, told.text
    assert told.results() == {
        "sick": "failed_restored",
        "good": "done",
        "taken": "failed_restored",
        "busy": "not_started",
    }, told.text
    assert [row["batch"] for row in told.report.values()] == [1, 2, 3, 4]
    assert told.report["busy"]["why"] == "2 failed (sick, taken), and max_failures is 1"


def test_a_wrong_variable_stops_before_any_host(fleet: Slurmed) -> None:
    told = fleet.upgrade("good busy", "fifth", serial="0%")
    assert told.status == 2
    assert 'good: gpu_driver_upgrade.serial: "0%" is no size of a batch' in told.text.replace("\\", "")
    assert "Look |" not in told.text
