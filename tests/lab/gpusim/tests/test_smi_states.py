# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-smi on nodes in special states: busy, guest, lost GPU, no driver, no rights; and its larger texts."""

from __future__ import annotations

import os
import re
import sys
import typing as t
from pathlib import Path

import pytest
from harness import Sim

NodeMaker = t.Callable[..., Sim]

A = "00000000:10:00.0"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA "
    "driver is installed and running.\n\n"
)
IN_USE = (
    "currently being used by one or more other processes (e.g., Fabric Manager, CUDA application, graphics application "
    "such as an X server, or a monitoring application such as another instance of nvidia-smi). Please first kill all "
    "processes using {} and all compute applications running in the system."
)


def test_reset_of_a_busy_gpu_is_refused_and_changes_nothing(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    pid = sim.occupy(0)
    before = sim.show()
    done = sim.smi("--gpu-reset", "-i", "0")
    assert done.returncode == 255
    assert done.stdout == (
        f"\nThe following GPUs could not be reset:\n  GPU {A}: In use by another client\n\n"
        f"1 device is {IN_USE.format('this device')}\n\n"
    )
    assert sim.show() == before
    assert sim.gpu(0)["processes"][0]["pid"] == pid


def test_reset_names_all_busy_gpus_and_still_resets_the_idle_one(node: NodeMaker) -> None:
    sim = node("a100-80gb*3")
    for gpu in (0, 2):
        sim.occupy(gpu, kind="holder")
    done = sim.smi("-r")
    assert done.returncode == 255
    assert "GPU 00000000:18:00.0 was successfully reset." in done.stdout
    assert f"2 devices are {IN_USE.format('these devices')}" in done.stdout
    assert [gpu["resets"] for gpu in sim.show()["gpus"]] == [0, 1, 0]


def test_reset_makes_the_pending_mode_current_and_takes_settings_and_instances(node: NodeMaker) -> None:
    sim = node("a100-80gb*2")
    sim.smi("-mig", "1", check=True)
    sim.smi("-pl", "300", check=True)
    sim.smi("--gpu-reset", "-i", "0", check=True)
    query = ("--query-gpu=mig.mode.current,mig.mode.pending,power.limit", "--format=csv,noheader")
    assert sim.smi(*query).stdout.splitlines() == [
        "Enabled, Enabled, 400.00 W",
        "Disabled, Enabled, 300.00 W",
    ]
    sim.smi("mig", "-i", "0", "-cgi", "9", "-C", check=True)
    sim.smi("--gpu-reset", "-i", "0", check=True)
    assert sim.gpu(0)["instances"] == []


def test_reset_takes_a_uuid_and_short_addresses(node: NodeMaker) -> None:
    sim = node("a100-80gb*2")
    for name in (sim.gpu(1)["uuid"], "0000:18:00.0", "18:00.0", "1"):
        done = sim.smi("--gpu-reset", "-i", name)
        assert (done.returncode, done.stdout) == (0, "GPU 00000000:18:00.0 was successfully reset.\nAll done.\n"), name
    assert [gpu["resets"] for gpu in sim.show()["gpus"]] == [0, 4]


def test_guest_cannot_reset_and_is_told_not_supported(node: NodeMaker) -> None:
    sim = node("a100-80gb", virt="passthrough")
    done = sim.smi("-mig", "1")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            f"Warning: MIG mode is in pending enable state for GPU {A}:Not Supported",
            f"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU {A}",
            "All done.",
        ],
    )
    reset = sim.smi("--gpu-reset")
    assert (reset.returncode, reset.stdout) == (3, f"Resetting GPU {A} is not supported.\n")


def test_guest_is_told_when_its_gpu_is_busy(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5", virt="passthrough")
    sim.occupy(0)
    said = sim.smi("-mig", "1", "-i", "0", check=True).stdout
    assert said.startswith("Warning: MIG mode is in pending enable state for GPU 00000000:10:00.0:In use by another")
    assert "Not Supported" not in said


def test_retired_pages_are_counted_where_the_board_retires_pages(node: NodeMaker) -> None:
    sim = node("t4,a100-80gb")
    for words in ("retired.single_bit 2", "retired.double_bit 1", "retired.pending 1"):
        sim.control(f"set 0 {words}")
    fields = "retired_pages.sbe,retired_pages.dbe,retired_pages.pending"
    said = sim.smi(f"--query-gpu={fields}", "--format=csv,noheader", check=True).stdout
    assert said.splitlines() == ["2, 1, Yes", "[N/A], [N/A], [N/A]"]


def test_mode_change_of_a_busy_gpu_stays_pending(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    sim.occupy(0)
    done = sim.smi("-mig", "1")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"Warning: MIG mode is in pending enable state for GPU {A}:In use by another client"
    assert lines[1].startswith(f"{A} is currently being used by one or more other processes")
    assert sim.gpu(0)["mig"] == {"capable": True, "current": False, "pending": True}


def test_without_driver_even_a_wrong_option_ends_with_9(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    sim.control("unload")
    for argv in ((), ("-L",), ("--frobnicate",), ("mig", "-lgi"), ("-q", "-i", "7")):
        done = sim.smi(*argv)
        assert (done.returncode, done.stdout) == (9, NO_DRIVER), argv


def test_help_needs_no_driver(node: NodeMaker) -> None:
    sim = node("")
    assert sim.smi("--help").returncode == 0
    assert sim.smi("-L").returncode == 9


def test_missing_library_is_12(node: NodeMaker, tmp_path: Path) -> None:
    sim = node("a100-80gb")
    done = sim.smi("-L", env=dict(sim.env, LD_LIBRARY_PATH=str(tmp_path)))
    assert done.returncode == 12
    assert done.stdout.startswith("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.")


def test_library_and_module_of_different_versions(node: NodeMaker) -> None:
    sim = node("a100-80gb", driver="580.126.16")
    sim.control("node kernel_driver 570.133.20")
    done = sim.smi("-L")
    assert done.returncode == 18
    assert done.stdout.splitlines()[0] == "Failed to initialize NVML: Driver/library version mismatch"
    for line in done.stdout.splitlines()[1:]:
        assert re.fullmatch(r"NVML library version: (\d+\.)?580\.126(\.16)?", line)


def test_driver_without_gpu(node: NodeMaker) -> None:
    sim = node("none")
    done = sim.smi()
    assert (done.returncode, done.stdout) == (6, "No devices were found\n")


@pytest.mark.parametrize("argv", [(), ("-L",), ("-q",)], ids=["summary", "list", "query"])
def test_lost_gpu_is_named_and_the_others_are_shown(node: NodeMaker, argv: t.Tuple[str, ...]) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.control("set 0 lost 1")
    done = sim.smi(*argv)
    assert done.returncode == 15
    assert re.search(r"Unable to determine the device handle for GPU0.*: GPU is lost", done.stdout)
    assert "NVIDIA H100 80GB HBM3" in done.stdout


def test_lost_gpu_cannot_be_queried_or_changed(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    sim.control("set 0 lost 2")
    assert sim.smi("--query-gpu=temperature.gpu", "--format=csv").returncode == 15
    assert sim.smi("-pl", "300").returncode == 15


def test_other_users_may_read_but_not_change(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    user = dict(sim.env, GPUSIM_EUID="1000")
    assert sim.smi("-L", env=user).returncode == 0
    for argv in (("-pm", "1"), ("-pl", "500"), ("-mig", "1"), ("-lgc", "1200"), ("--gpu-reset",)):
        done = sim.smi(*argv, env=user)
        assert (argv, done.returncode) == (argv, 4), done.stdout
        assert "ermission" in done.stdout
    assert sim.gpu(0)["mig"]["pending"] is False
    sim.smi("-mig", "1", check=True)
    assert sim.smi("mig", "-cgi", "9", env=user).returncode == 4


def test_listing_names_mig_devices_below_their_gpu(node: NodeMaker) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.smi("-i", "1", "-mig", "1", check=True)
    sim.smi("mig", "-cgi", "9:4,19:0", "-C", check=True)
    gpus = sim.show()["gpus"]
    devices = [ci for gi in gpus[1]["instances"] for ci in gi["compute_instances"]]
    by_index = {ci["mig_index"]: ci for ci in devices}
    assert sim.smi("-L").stdout.splitlines() == [
        f"GPU 0: NVIDIA A100-SXM4-80GB (UUID: {gpus[0]['uuid']})",
        f"GPU 1: NVIDIA H100 80GB HBM3 (UUID: {gpus[1]['uuid']})",
        *(
            f"  MIG {by_index[index]['profile']:<15} Device {index:2}: (UUID: {by_index[index]['uuid']})"
            for index in sorted(by_index)
        ),
    ]
    assert len(by_index) == 2


def test_summary_is_a_table_of_even_width_with_all_that_is_there(node: NodeMaker) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5,rtx-pro-6000-blackwell-96gb")
    sim.smi("-i", "1", "-mig", "1", check=True)
    sim.smi("mig", "-i", "1", "-cgi", "9:4", "-C", check=True)
    job, instance_job = sim.occupy(0, mem=2048), sim.occupy(1, gi=2, ci=0, mem=512)
    lines = sim.smi(check=True).stdout.splitlines()
    assert {len(line) for line in lines[1:] if line} == {91}
    text = "\n".join(lines)
    assert re.search(rf"\|   0  NVIDIA A100-SXM4-80GB          Off \|   {A} Off \|                    0 \|", text)
    assert re.search(r"\|   2  NVIDIA RTX PRO 6000 Blac\.\.\.    Off \|", text)
    assert re.search(r"\|  1    2   0   0  \| +512MiB / 40448MiB    \| 60 +(0|N/A) \|  3   0    3    0    3 \|", text)
    assert re.search(rf"\|    0   N/A  N/A +{job}      C   \S+ +2048MiB \|", text)
    assert re.search(rf"\|    1     2    0 +{instance_job}      C   \S+ +512MiB \|", text)


def test_query_has_the_sections_asked_for(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    whole = sim.smi("-q", check=True).stdout
    for line in (
        "    Product Name                          : NVIDIA H100 80GB HBM3",
        "        Current                           : Disabled",
        f"        Bus Id                            : {A}",
        "        Default Power Limit               : 700.00 W",
        "    GPU Recovery Action                   : None",
        "        State                             : Completed",
        "    Processes                             : None",
    ):
        assert line in whole.splitlines(), line
    part = sim.smi("-q", "-d", "power,MEMORY", check=True).stdout
    assert "GPU Power Readings" in part and "FB Memory Usage" in part
    assert "Temperature" not in part and "Product Name" not in part


def test_query_shows_mig_devices_and_their_processes(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    sim.smi("mig", "-cgi", "9:0", "-C", check=True)
    pid = sim.occupy(0, gi=1, ci=0)
    text = sim.smi("-q", check=True).stdout
    assert re.search(r"MIG Device\n +Index +: 0\n +GPU Instance ID +: 1\n +Compute Instance ID +: 0\n", text)
    assert re.search(rf"GPU instance ID +: 1\n +Compute instance ID +: 0\n +Process ID +: {pid}\n +Type +: C\n", text)


def test_every_documented_property_can_be_queried(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    names = re.findall(r'^"(\S+)"$', sim.smi("--help-query-gpu", check=True).stdout, re.MULTILINE)
    assert len(names) > 100
    row = sim.smi("--query-gpu=" + ",".join(names), "--format=csv,noheader", check=True).stdout.strip().split(", ")
    told = dict(zip(names, row))
    assert len(row) == len(names)
    missing = {name for name, found in told.items() if found == "[N/A]"}
    assert {"temperature.gpu", "pstate", "power.draw", "clocks.current.sm", "ecc.mode.current"} & missing == set()
    assert told["compute_cap"] == "9.0" and told["pstate"].startswith("P")
    assert told["clocks_event_reasons.active"].startswith("0x")


def test_processes_by_csv(node: NodeMaker) -> None:
    sim = node("a100-80gb*2")
    pid = sim.occupy(1, mem=300, name="train.py")
    query = "--query-compute-apps=gpu_bus_id,pid,process_name,used_memory"
    done = sim.smi(query, "--format=csv", check=True)
    assert done.stdout.splitlines() == [
        "gpu_bus_id, pid, process_name, used_gpu_memory [MiB]",
        f"00000000:18:00.0, {pid}, train.py, 300 MiB",
    ]


def test_output_goes_to_a_file(node: NodeMaker, tmp_path: Path) -> None:
    sim = node("a100-80gb")
    target = tmp_path / "list.txt"
    assert sim.smi("-L", "-f", str(target), check=True).stdout == ""
    assert target.read_text().startswith("GPU 0: NVIDIA A100-SXM4-80GB")
    done = sim.smi("-L", "-f", "/nowhere/list.txt")
    assert (done.returncode, done.stdout) == (2, "Failed to create log file /nowhere/list.txt\n")


def test_version_names_driver_and_cuda(node: NodeMaker) -> None:
    sim = node("a100-80gb", driver="570.133.20", cuda="12080")
    lines = sim.smi("--version", check=True).stdout.splitlines()
    assert "DRIVER version      : 570.133.20" in lines
    assert "CUDA Version        : 12.8" in lines


def test_closed_pipe_is_no_error(node: NodeMaker) -> None:
    sim = node("a100-80gb*16")
    for command in ("nvidia-smi -q", "nvidia-smi -L", "gpusim show --json", "gpusim counts"):
        done = sim.run("sh", "-c", f"{{ {command}; echo $? >&2; }} | head -1 >/dev/null")
        assert (done.returncode, done.stdout) == (0, "0\n"), command


def test_pynvml_may_lie_beside_the_package(node: NodeMaker, tmp_path: Path) -> None:
    """The way it is installed in a node image: no pynvml in the interpreter's own folders."""
    import pynvml

    installed = tmp_path / "lib"
    (installed / "bin").mkdir(parents=True)
    source = Path(__file__).resolve().parents[1] / "smi"
    (installed / "bin" / "nvidia-smi").write_bytes((source / "nvidia-smi").read_bytes())
    (installed / "bin" / "nvsmi").symlink_to(source / "nvsmi")
    (installed / "bin" / "pynvml.py").write_bytes(Path(pynvml.__file__).read_bytes())
    sim = node("a100-80gb")
    python = next(path for path in ("/usr/bin/python3", sys.executable) if os.access(path, os.X_OK))
    done = sim.run(python, "-s", str(installed / "bin" / "nvidia-smi"), "-L")
    assert (done.returncode, done.stdout[:6]) == (0, "GPU 0:")
