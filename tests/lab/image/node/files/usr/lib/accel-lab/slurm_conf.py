# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the configuration of a Slurm cluster that is this node alone: controller and compute node in one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import sim

FOLDER = Path("/etc/slurm")


def main() -> None:
    host = socket.gethostname()
    # A device that is not there ends slurmd, so a node whose driver comes later has no GPU for Slurm.
    devices = [path for path in (Path(f"/dev/nvidia{one}") for one in range(len(sim.gpus()))) if path.exists()]
    gres = f" Gres=gpu:{len(devices)}" if devices else ""
    lines = (
        "ClusterName=lab",
        f"SlurmctldHost={host}",
        "SlurmUser=slurm",
        "AuthType=auth/munge",
        # A container may not divide its machine's control groups any further.
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SlurmctldPidFile=/run/slurmctld.pid",
        "SlurmdPidFile=/run/slurmd.pid",
        "StateSaveLocation=/var/lib/slurm/slurmctld",
        "SlurmdSpoolDir=/var/lib/slurm/slurmd",
        # Several jobs at a time on one node, and no waiting between two of them.
        "SelectType=select/cons_tres",
        "SchedulerParameters=sched_interval=1",
        "ReturnToService=1",
        # How a job ended can be read a day later: after the usual 300 s it would be gone before a slow test looks.
        "MinJobAge=86400",
        "MpiDefault=none",
        *(("GresTypes=gpu",) if devices else ()),
        f"NodeName={host} CPUs={os.cpu_count() or 1} State=UNKNOWN{gres}",
        f"PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8",
    )
    sim.put(FOLDER / "slurm.conf", "\n".join(lines) + "\n")
    sim.put(FOLDER / "gres.conf", "".join(f"Name=gpu File={device}\n" for device in devices))


if __name__ == "__main__":
    main()
