# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What scontrol 22.05.8 printed on a node with two GPUs, and a Slurm that answers in that form."""

from __future__ import annotations

import typing as t

SILENT = "slurm_load_node error: Unable to contact slurm controller (connect failure)\n"
OTHER_GIVER = "root@2026-11-25T22:31:04"


def node(state: str, reason: str = "", giver: str = OTHER_GIVER) -> str:
    """Captured with --oneliner; state and reason are put in."""
    told = f" Reason={reason} [{giver}]" if reason else ""
    return (
        "NodeName=s1 Arch=x86_64 CoresPerSocket=1  CPUAlloc=1 CPUEfctv=2 CPUTot=2 CPULoad=3.34 "
        "AvailableFeatures=(null) ActiveFeatures=(null) Gres=gpu:2 NodeAddr=s1 NodeHostName=s1 Version=22.05.8 "
        "OS=Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=1 AllocMem=1 FreeMem=19837 Sockets=2 Boards=1 "
        f"State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=all  "
        "BootTime=2026-11-25T22:17:32 SlurmdStartTime=2026-11-25T22:30:45 LastBusyTime=2026-11-25T22:30:45 "
        "CfgTRES=cpu=2,mem=1M,billing=2 AllocTRES=cpu=1,mem=1M CapWatts=n/a CurrentWatts=0 AveWatts=0 "
        f"ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s{told}\n"
    )


def job(number: int = 1, state: str = "RUNNING", nodes: str = "s1") -> str:
    """Captured with --details --oneliner, shortened to the fields that are read and their neighbours."""
    return (
        f"JobId={number} JobName=wrap UserId=ada(1001) GroupId=ada(1001) MCS_label=N/A Priority=4294901759 Nice=0 "
        f"Account=(null) QOS=(null) JobState={state} Reason=None Dependency=(null) Requeue=1 Partition=all "
        f"AllocNode:Sid=s1:120 ReqNodeList=(null) ExcNodeList=(null) NodeList={nodes} BatchHost=s1 NumNodes=1 "
        "JOB_GRES=gpu:1   Nodes=s1 CPU_IDs=0 Mem=1 GRES=gpu:1(IDX:0) MinCPUsNode=1 Power= TresPerNode=gres:gpu:1 \n"
    )


class Slurm:
    """A controller with one node. A job in `looks` ends after that many questions for jobs; `then` happens after the
    first of them."""

    def __init__(self, state: str = "IDLE", reason: str = "", looks: int = 0) -> None:
        self.base, _sign, flags = state.partition("+")
        self.flags = flags
        self.reason = reason
        self.looks = looks
        self.told: t.List[str] = []
        self.then: t.Callable[[], None] = lambda: None
        # Whether the controller does not answer this command; it restarts, or is gone.
        self.silent: t.Callable[[t.List[str]], bool] = lambda words: False

    def __call__(
        self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Optional[str] = None
    ) -> t.Tuple[int, str, str]:
        words = list(argv)
        if self.silent(words):
            return 1, "", SILENT
        if words[-1] == "job":
            return 0, self._jobs(), ""
        if words[-1] != "s1" and words[-2] == "node":
            return 1, "", f"Node {words[-1]} not found\n"
        if words[-2] == "node":
            base = "MIXED" if self.looks and self.base == "IDLE" else self.base
            return 0, node(f"{base}+{self.flags}" if self.flags else base, self.reason), ""
        self.told.append(" ".join(words[3:]))
        changes = dict(word.split("=", 1) for word in words[2:])
        drained = changes["State"] == "DRAIN"
        self.base, self.flags, self.reason = "IDLE", "DRAIN" if drained else "", changes.get("Reason", "")
        return 0, "", ""

    def _jobs(self) -> str:
        if not self.looks:
            return "No jobs in the system\n"
        self.looks -= 1
        self.then()
        return job()
