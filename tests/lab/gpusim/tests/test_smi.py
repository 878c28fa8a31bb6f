# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-smi: table of (node, commands before, arguments, exit code, output)."""

from __future__ import annotations

import typing as t

import pytest
from harness import Sim

NodeMaker = t.Callable[..., Sim]

A, H = "00000000:10:00.0", "00000000:18:00.0"
AMPERE, HOPPER, MIXED = "a100-80gb", "h100-80gb-sxm5", "a100-80gb,h100-80gb-sxm5"
TERMINATED = "Terminating early due to previous errors."
MOVING_ON = "Treating as warning and moving on."
HELP = "Please run 'nvidia-smi -h' for help."
MIG_ON = ("-mig 1",)
BUSY = (
    "currently being used by one or more other processes (e.g., Fabric Manager, CUDA application, graphics application "
    "such as an X server, or a monitoring application such as another instance of nvidia-smi). Please first kill all "
    "processes using {} and all compute applications running in the system."
)
MADE = "Successfully created compute instance ID  {} on GPU  0 GPU instance ID  1 using profile MIG 1c.3g.40gb (ID  0)"
CLOCKS = "Run 'nvidia-smi -q -d SUPPORTED_CLOCKS' to see list of supported clock combinations"


class Case(t.NamedTuple):
    """One invocation. `lines` is the whole output; with an Ellipsis first, some lines of it in this order."""

    name: str
    boards: str
    before: t.Tuple[str, ...]
    argv: str
    code: int
    lines: t.Tuple[t.Any, ...]


CASES = [
    # settings
    Case("persistence", AMPERE, (), "-pm 1", 0, (f"Enabled persistence mode for GPU {A}.", "All done.")),
    Case("persistence again", AMPERE, ("-pm 1",), "-pm 1", 0,
         (f"Persistence mode is already Enabled for GPU {A}.", "All done.")),
    Case("persistence by word", AMPERE, ("-pm 1",), "--persistence-mode=DISABLED", 0,
         (f"Disabled persistence mode for GPU {A}.", "All done.")),
    Case("persistence wrong", AMPERE, (), "-pm 5", 2, ("Invalid persistence mode: 5",)),
    Case("power", AMPERE, (), "-pl 300", 0,
         (f"Power limit for GPU {A} was set to 300.00 W from 400.00 W.", "All done.")),
    Case("power too much", AMPERE, (), "-pl 900", 2,
         (f"Provided power limit 900.00 W is not a valid power limit which should be between 100.00 W and 400.00 W "
          f"for GPU {A}", TERMINATED)),
    Case("power of one GPU", MIXED, (), "-i 1 --power-limit=500", 0,
         (f"Power limit for GPU {H} was set to 500.00 W from 700.00 W.", "All done.")),
    Case("power no number", AMPERE, (), "-pl lots", 2, ("Invalid power limit: lots",)),
    Case("compute mode", AMPERE, (), "-c EXCLUSIVE_PROCESS", 0,
         (f"Set compute mode to EXCLUSIVE_PROCESS for GPU {A}.", "All done.")),
    Case("compute mode again", AMPERE, (), "-c 0", 0,
         (f"Compute mode is already set to DEFAULT for GPU {A}.", "All done.")),
    Case("compute mode wrong", AMPERE, (), "-c 9", 2, ("Invalid compute mode: 9",)),
    Case("compute mode of old", AMPERE, (), "-c 1", 2,
         ("Exclusive_Thread was deprecated! Use value 3:Exclusive_Process instead.",)),
    Case("ECC off", AMPERE, (), "-e 0", 0, (f"Disabled ECC support for GPU {A}.", "All done.", "Reboot required.")),
    Case("ECC already on", AMPERE, (), "-e 1", 0,
         (f"ECC support is already Enabled for GPU {A}.", "All done.", "Reboot required.")),
    Case("ECC counts", AMPERE, (), "-p 0", 0, (f"Reset volatile ECC errors to zero for GPU {A}.", "All done.")),
    Case("lock GPU clocks", AMPERE, (), "-lgc 1200,1410", 0,
         (f'GPU clocks set to "(gpuClkMin 1200, gpuClkMax 1410)" for GPU {A}', "All done.")),
    Case("lock GPU clock", AMPERE, (), "-lgc 1200", 0,
         (f'GPU clocks set to "(gpuClkMin 1200, gpuClkMax 1200)" for GPU {A}', "All done.")),
    Case("lock GPU clocks wrong", AMPERE, (), "-lgc fast", 2,
         ("Specified clocks \"fast\" are not valid. Please format input as 'gpuClkMin,gpuClkMax' or 'gpuClkVal' e.g. "
          "'--lock-gpu-clocks=1500,1500', '--lock-gpu-clocks=1500', or '--lock-gpu-clocks=tdp,unlimited'",)),
    Case("unlock GPU clocks", AMPERE, ("-lgc 1200",), "-rgc", 0, ("All done.",)),
    Case("unlock memory clocks", HOPPER, (), "-rmc", 0, ("All done.",)),
    Case("applications clocks wrong", AMPERE, (), "-ac 1593", 2,
         ('Specified clocks "1593" are not valid. Please format input as memClk,smClk e.g. '
          "--applications-clocks=2000,300",)),
    Case("applications clocks nobody offers", AMPERE, (), "-ac 1,2", 0,
         (f'Specified clock combination "(MEM 1, SM 2)" is not supported for GPU {A}. {CLOCKS}', MOVING_ON,
          "All done.")),
    Case("applications clocks reset", AMPERE, (), "-rac", 0, ("All done.",)),
    Case("two changes", AMPERE, (), "-pm 1 -pl 300", 2,
         (f"Invalid combination of input arguments. Only one device modification may be done at a time. {HELP}",)),
    # MIG mode
    Case("MIG on Hopper", HOPPER, (), "-mig 1", 0, (f"Enabled MIG Mode for GPU {A}", "All done.")),
    Case("MIG off Hopper", HOPPER, MIG_ON, "-mig DISABLED", 0,
         (f"Disabled MIG Mode for GPU {A}", "All done.")),
    Case("MIG on Ampere", AMPERE, (), "-mig 1", 0,
         (..., f"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU {A}", "All done.")),
    Case("MIG on T4", "t4", (), "-mig 1", 0,
         (f"Unable to enable MIG Mode for GPU {A}: Not Supported", MOVING_ON, "All done.")),
    Case("MIG on T4, strict", "t4", (), "-mig 1 -eow", 3,
         (f"Unable to enable MIG Mode for GPU {A}: Not Supported", MOVING_ON, "All done.")),
    Case("MIG wrong", AMPERE, (), "-mig 2", 2, ("Invalid MIG Mode: 2",)),
    # reset
    Case("reset", AMPERE, (), "--gpu-reset -i 0", 0, (f"GPU {A} was successfully reset.", "All done.")),
    Case("reset by address", MIXED, (), f"-r -i {H}", 0, (f"GPU {H} was successfully reset.", "All done.")),
    Case("reset of nothing", AMPERE, (), "-r -i 4", 6, ("No devices were found",)),
    # MIG instances
    Case("create", HOPPER, MIG_ON, "mig -cgi 9 -C", 0,
         ("Successfully created GPU instance ID  2 on GPU  0 using profile MIG 3g.40gb (ID  9)",
          "Successfully created compute instance ID  0 on GPU  0 GPU instance ID  2 using profile MIG 3g.40gb (ID  2)")
         ),
    Case("create by name and place", HOPPER, MIG_ON, "mig -cgi 1g.10gb:4,MIG_2g.20gb:0", 0,
         ("Successfully created GPU instance ID 11 on GPU  0 using profile MIG 1g.10gb (ID 19)",
          "Successfully created GPU instance ID  3 on GPU  0 using profile MIG 2g.20gb (ID 14)")),
    Case("create where taken", HOPPER, (*MIG_ON, "mig -cgi 9:4"), "mig -cgi 19:5", 23,
         ("Unable to create a GPU instance on GPU  0 using profile 19: Insufficient Resources",
          "Failed to create GPU instances: Insufficient Resources")),
    Case("create at no place", HOPPER, MIG_ON, "mig -cgi 9:3", 2,
         ("Unable to create a GPU instance on GPU  0 using profile 9: Invalid Argument",
          "Failed to create GPU instances: Invalid Argument")),
    Case("create unknown", HOPPER, MIG_ON, "mig -cgi 5g.50gb", 2,
         ("Unable to create a GPU instance on GPU  0 using profile 5g.50gb: Invalid Argument",
          "Failed to create GPU instances: Invalid Argument")),
    Case("create badly placed", HOPPER, MIG_ON, "mig -cgi 9:x", 2,
         ("Unable to create a GPU instace on GPU  0 using profile 9:x: invalid placement syntax",)),
    Case("create without MIG", HOPPER, (), "mig -cgi 9", 6, ("No MIG-enabled devices found.",)),
    Case("create two, room for one", HOPPER, MIG_ON, "mig -cgi 0,19", 23,
         ("Successfully created GPU instance ID  0 on GPU  0 using profile MIG 7g.80gb (ID  0)",
          "Unable to create a GPU instance on GPU  0 using profile 19: Insufficient Resources",
          "Failed to create GPU instances: Insufficient Resources")),
    Case("create compute default", HOPPER, (*MIG_ON, "mig -cgi 9:0"), "mig -cci -gi 1", 0,
         ("Successfully created compute instance ID  0 on GPU  0 GPU instance ID  1 using profile MIG 3g.40gb (ID  2)",)
         ),
    Case("create compute parts", HOPPER, (*MIG_ON, "mig -cgi 9:0"), "mig -cci 0,1c.3g.40gb -gi 1", 0,
         (MADE.format(0),
          MADE.format(1))),
    Case("create compute double memory", HOPPER, MIG_ON, "mig -cgi 15:0 -C", 0,
         (..., "Successfully created compute instance ID  0 on GPU  0 GPU instance ID  3 using profile MIG 1g.20gb "
          "(ID  7)")),
    Case("create compute unknown", HOPPER, (*MIG_ON, "mig -cgi 9:0"), "mig -cci 9 -gi 1", 2,
         ("Unable to create a compute instance on GPU  0 GPU instance ID  1 using profile 9: Invalid Argument",
          "Failed to create compute instances: Invalid Argument")),
    Case("create compute nowhere", HOPPER, MIG_ON, "mig -cci -gi 3", 6, ("No GPU instances found: Not Found",)),
    Case("destroy GPU instance with compute", HOPPER, (*MIG_ON, "mig -cgi 9:0 -C"), "mig -dgi", 19,
         ("Unable to destroy GPU instance ID  1 from GPU  0: In use by another client",
          "Failed to destroy GPU instances: In use by another client")),
    Case("destroy compute", HOPPER, (*MIG_ON, "mig -cgi 9:0 -C"), "mig -dci -gi 1 -ci 0", 0,
         ("Successfully destroyed compute instance ID  0 from GPU  0 GPU instance ID  1",)),
    Case("destroy one of two", HOPPER, (*MIG_ON, "mig -cgi 9:0,9:4"), "mig -dgi -gi 2 -i 0", 0,
         ("Successfully destroyed GPU instance ID  2 from GPU  0",)),
    Case("destroy none", HOPPER, MIG_ON, "mig -dgi", 6, ("No GPU instances found: Not Found",)),
    Case("destroy no compute", HOPPER, (*MIG_ON, "mig -cgi 9:0"), "mig -dci", 6,
         ("No compute instances found: Not Found",)),
    # MIG listings
    Case("list no instances", HOPPER, MIG_ON, "mig -lgi", 6, ("No GPU instances found: Not Found",)),
    Case("list without MIG", HOPPER, (), "mig -lci", 6, ("No MIG-enabled devices found.",)),
    Case("list without such hardware", "t4", (), "mig -lgip", 6, ("No MIG-supported devices found.",)),
    Case("list profiles", HOPPER, MIG_ON, "mig -lgip", 0,
         (..., "| GPU   Name               ID    Instances   Memory     P2P    SM    DEC   ENC  |",
          "|   0  MIG 1g.10gb         19     7/7        9.75       No     16     1     0   |",
          "|                                                               1     1     0   |",
          "|   0  MIG 1g.10gb+me      20     1/1        9.75       No     16     1     0   |",
          "|                                                               1     1     1   |",
          "|   0  MIG 1g.20gb         15     4/4        19.62      No     26     1     0   |",
          "|   0  MIG 3g.40gb          9     2/2        39.50      No     60     3     0   |",
          "|   0  MIG 7g.80gb          0     1/1        79.25      No     132    7     0   |",
          "|                                                               8     7     1   |")),
    Case("list profiles with MIG off", AMPERE, (), "mig -lgip", 0,
         (..., "|   0  MIG 1g.10gb         19     0/7        9.50       No     14     0     0   |")),
    Case("list placements", AMPERE, (), "mig -lgipp", 0,
         (..., "GPU  0 Profile ID 19 Placements: {0,1,2,3,4,5,6}:1", "GPU  0 Profile ID  9 Placements: {0,4}:4",
          "GPU  0 Profile ID  5 Placement : {0}:4", "GPU  0 Profile ID  0 Placement : {0}:8")),
    Case("list placements of twelve slots", "rtx-pro-6000-blackwell-96gb", (), "mig -lgipp", 0,
         (..., "GPU  0 Profile ID  5 Placements: {0,6}:6", "GPU  0 Profile ID  0 Placement : {0}:12")),
    Case("list instances", HOPPER, (*MIG_ON, "mig -cgi 9:4,14:0"), "mig -lgi", 0,
         ("+-------------------------------------------------------+",
          "| GPU instances:                                        |",
          "| GPU   Name             Profile  Instance   Placement  |",
          "|                          ID       ID       Start:Size |",
          "|=======================================================|",
          "|   0  MIG 2g.20gb         14        3          0:2     |",
          "+-------------------------------------------------------+",
          "|   0  MIG 3g.40gb          9        2          4:4     |",
          "+-------------------------------------------------------+")),
    Case("list compute", HOPPER, (*MIG_ON, "mig -cgi 9:4 -C"), "mig -lci", 0,
         (..., "| GPU     GPU       Name             Profile   Instance   Placement  |",
          "|   0      2       MIG 3g.40gb          2         0          0:3     |")),
    Case("list compute profiles", AMPERE, (*MIG_ON, "-r", "mig -cgi 9:4"), "mig -lcip", 0,
         (..., "|       Instance                       ID     Free/Total     SM       DEC   ENC   OFA  |",
          "|   0      2       MIG 1c.3g.40gb       0      3/3           14        2     0     0   |",
          "|                                                                      3     0         |",
          "|   0      2       MIG 3g.40gb          2*     1/1           42        2     0     0   |")),
    Case("list compute placements", HOPPER, (*MIG_ON, "mig -cgi 9:0"), "mig -lcipp", 0,
         (..., "GPU  0 GI  1 Profile ID  0 Placements: {0,1,2}:1", "GPU  0 GI  1 Profile ID  2 Placement : {0}:3")),
    # wrong usage
    Case("unknown option", AMPERE, (), "--frobnicate", 2,
         ("ERROR: Option --frobnicate is not recognized. Please run 'nvidia-smi -h'.",)),
    Case("missing value", AMPERE, (), "-pl", 2, (f"ERROR: Option -pl is missing its value. {HELP}",)),
    Case("query without format", AMPERE, (), "--query-gpu=name", 2, (f'"--format=" switch is missing. {HELP}',)),
    Case("query of no field", AMPERE, (), "--query-gpu=name,mood --format=csv", 2,
         ('Field "mood" is not a valid field to query.', "")),
    Case("query in no format", AMPERE, (), "--query-gpu=name --format=xml", 2,
         ("Format modifier is not recognized.",)),
    Case("query in half a format", AMPERE, (), "--query-gpu=name --format=noheader", 2,
         ("Format modifier --format=csv is mandatory.",)),
    Case("two queries", AMPERE, (), "--query-gpu=name --query-compute-apps=pid --format=csv", 2,
         ("Only one --query-* switch can be used at a time.",)),
    Case("wrong section", AMPERE, (), "-q -d WEATHER", 2, ("Failed to parse --display/-d flags",)),
    Case("unknown GPU", AMPERE, (), "-q -i 3", 6, ("No devices were found",)),
    Case("unknown UUID", AMPERE, (), "-L -i GPU-00000000-0000-0000-0000-000000000000", 6, ("No devices were found",)),
    Case("unknown MIG option", AMPERE, (), "mig -lgx", 2, ('Option "-lgx" is not recognized.',)),
    Case("MIG option without value", AMPERE, (), "mig -cgi", 2, ('Option "-cgi" is missing its value.',)),
    Case("two MIG actions", AMPERE, (), "mig -lgi -lci", 2,
         ("Invalid combination of input arguments. Please run 'nvidia-smi mig -h' for help.",)),
    # queries
    Case("query", AMPERE, (), "--query-gpu=index,name,pci.bus_id,mig.mode.current,memory.total --format=csv", 0,
         ("index, name, pci.bus_id, mig.mode.current, memory.total [MiB]",
          f"0, NVIDIA A100-SXM4-80GB, {A}, Disabled, 81920 MiB")),
    Case("query without header and units", AMPERE, (),
         "--query-gpu=power.limit,clocks.max.sm --format=csv,noheader,nounits", 0, ("400.00, 1410",)),
    Case("query by other names", AMPERE, (), "--query-gpu=gpu_name,clocks.max.gr --format=csv", 0,
         ("name, clocks.max.graphics [MHz]", "NVIDIA A100-SXM4-80GB, 1410 MHz")),
    Case("query of what is not there", "t4", (), "--query-gpu=mig.mode.current,fan.speed --format=csv,noheader", 0,
         ("[N/A], [N/A]",)),
    Case("apps of an idle node", AMPERE, (), "--query-compute-apps=pid,used_memory --format=csv", 0,
         ("pid, used_gpu_memory [MiB]",)),
    Case("remapped rows", AMPERE, (), "--query-remapped-rows=gpu_bus_id,remapped_rows.pending --format=csv,noheader", 0,
         (f"{A}, 0",)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_invocation(node: NodeMaker, case: Case) -> None:
    sim = node(case.boards)
    for earlier in case.before:
        sim.smi(*_words(earlier), check=True)
    done = sim.smi(*_words(case.argv))
    lines = done.stdout.splitlines()
    if case.lines[0] is ...:
        rest = iter(lines)
        missing = [line for line in case.lines[1:] if line not in rest]
        assert missing == [], done.stdout
    else:
        assert lines == list(case.lines)
    assert done.returncode == case.code


def _words(line: str) -> t.List[str]:
    """The words of a command line; an underscore after MIG is the blank of a full profile name."""
    return [word.replace("MIG_", "MIG ") for word in line.split()]


def test_case_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40
