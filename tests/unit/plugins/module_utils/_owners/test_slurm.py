# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._owners import slurm


def job(number, state="RUNNING", detail="", nodes="gpu01"):
    # Constructed after the form that scontrol 22.05 prints with --details --oneliner.
    return (
        f"JobId={number} JobName=train UserId=ada(1001) GroupId=ada(1001) JobState={state} Reason=None "
        f"NodeList={nodes} BatchHost=gpu01 NumNodes=1 {detail} MinCPUsNode=1 Power="
    )


@pytest.mark.parametrize(
    ("hostlist", "names"),
    [
        ("gpu01", {"gpu01"}),
        ("gpu01,gpu02", {"gpu01", "gpu02"}),
        ("gpu[01-03,7]", {"gpu01", "gpu02", "gpu03", "gpu7"}),
        ("a1,gpu[08-10]-ib,b", {"a1", "gpu08-ib", "gpu09-ib", "gpu10-ib", "b"}),
        ("r[1-2]n[1-2]", {"r1n1", "r1n2", "r2n1", "r2n2"}),
        ("", set()),
    ],
)
def test_host_lists(hostlist, names):
    assert slurm.expand(hostlist) == names


@pytest.mark.parametrize(
    ("gres", "devices"),
    [
        ("gpu:1(IDX:0)", ["minor:0"]),
        ("gpu:a100:3(IDX:0-1,5)", ["minor:0", "minor:1", "minor:5"]),
        ("gpu:(null):2(IDX:0-1)", ["minor:0", "minor:1"]),
        ("gpu:0(IDX:N/A)", []),
        # Slurm names no index: it may be any GPU.
        ("gpu:2(IDX:N/A)", ["all"]),
        ("gpu:a100:2", ["all"]),
        # Shares of a GPU belong to their job as a whole GPU does.
        ("shard:a100:2(0/8,2/8)", ["all"]),
        ("mps:50(IDX:0)", ["all"]),
        ("gpu:1(IDX:2),shard:0", ["minor:2"]),
        ("license:1", []),
    ],
)
def test_indexes_of_a_running_job(gres, devices):
    text = job(7, detail=f"Nodes=gpu01 CPU_IDs=0-5 Mem=0 GRES={gres}")
    assert [claim.device for claim in slurm.allocations(text, "gpu01", True)] == devices


def test_only_this_node_and_only_holding_states():
    text = "\n".join(
        [
            job(
                1,
                detail="Nodes=gpu[01-02] CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:1)"
                " Nodes=gpu03 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:2)",
            ),
            job(2, state="PENDING", detail="Nodes=gpu01 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:3)"),
            job(3, state="COMPLETING", detail="Nodes=gpu01 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:4)"),
            job(4, state="COMPLETED", detail="Nodes=gpu01 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:5)"),
        ]
    )
    claims = slurm.allocations(text, "gpu01", True)
    assert [(claim.owner, claim.device) for claim in claims] == [
        ("Slurm job 1 of ada(1001)", "minor:1"),
        ("Slurm job 3 of ada(1001)", "minor:4"),
    ]


def test_an_index_among_mig_types_says_nothing_about_the_gpu():
    text = job(9, detail="Nodes=gpu01 CPU_IDs=0 Mem=0 GRES=gpu:1g.10gb:1(IDX:3)")
    assert [claim.device for claim in slurm.allocations(text, "gpu01", False)] == ["all"]


def test_a_node_without_gpu_gres_is_claimed_whole_by_any_job():
    text = "\n".join([job(1, nodes="gpu[01-04]"), job(2, nodes="gpu05"), job(3, state="PENDING")])
    assert [(claim.owner, claim.device) for claim in slurm.whole_node(text, "gpu01")] == [
        ("Slurm job 1 of ada(1001)", "all")
    ]
