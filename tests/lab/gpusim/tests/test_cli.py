# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command `gpusim`: every verb by what it does to the node, and one sentence for each mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import typing as t
from pathlib import Path

import pytest
from harness import Sim

NodeMaker = t.Callable[..., Sim]


def test_init_makes_a_mixed_node_that_show_tells_of(node: NodeMaker) -> None:
    sim = node("")
    sim.gpusim("init", "--boards", "a100-80gb,h100-80gb-sxm5,t4", "--driver", "570.133.20", check=True)
    shown = sim.gpusim("show", check=True).stdout
    assert "570.133.20" in shown.splitlines()[0]
    assert [line.split()[0] for line in shown.splitlines()[2:]] == ["0", "1", "2"]
    assert "NVIDIA A100-SXM4-80GB" in shown and "NVIDIA H100 80GB HBM3" in shown and "Tesla T4" in shown
    state = json.loads(sim.gpusim("show", "--json", check=True).stdout)
    assert [gpu["board"] for gpu in state["gpus"]] == ["a100-80gb", "h100-80gb-sxm5", "t4"]
    assert all(re.fullmatch("GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", gpu["uuid"]) for gpu in state["gpus"])


def test_the_same_init_gives_the_same_uuids_and_another_seed_others(node: NodeMaker) -> None:
    first, second, other = node("a100-80gb"), node("a100-80gb"), node("a100-80gb", seed="other")
    assert first.gpu(0)["uuid"] == second.gpu(0)["uuid"] != other.gpu(0)["uuid"]


def test_state_file_can_be_named_on_the_command_line(node: NodeMaker, tmp_path: Path) -> None:
    sim = node("a100-80gb")
    elsewhere = str(tmp_path / "elsewhere")
    sim.gpusim("--state", elsewhere, "init", "--boards", "t4,t4", check=True)
    assert len(json.loads(sim.gpusim("--state", elsewhere, "show", "--json", check=True).stdout)["gpus"]) == 2
    assert len(sim.show()["gpus"]) == 1


def test_show_draws_instances_and_processes(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    sim.smi("mig", "-cgi", "9", "-C", check=True)
    instance = sim.gpu(0)["instances"][0]
    pid = sim.occupy(0, gi=instance["id"], ci=0)
    shown = sim.gpusim("show", check=True).stdout
    assert re.search(rf"GI {instance['id']} +3g\.40gb +at {instance['placement']['start']}:4  CI: 0 3g\.40gb", shown)
    assert re.search(rf"pid {pid} +compute", shown)


def test_spawned_process_occupies_until_release_and_then_is_gone(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    pid = int(sim.gpusim("occupy", "0", "--spawn", "--mem", "4096", check=True).stdout)
    assert os.getsid(pid) == pid, "it must survive the terminal and the session that started it"
    assert f"{pid}, " in sim.smi("--query-compute-apps=pid,used_memory", "--format=csv,noheader").stdout
    sim.gpusim("release", "0", "--pid", str(pid), check=True)
    assert sim.gpu(0)["processes"] == []
    assert not _runs(pid)


def test_refused_occupy_leaves_no_process_behind(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    done = sim.gpusim("occupy", "--gpu", "0", "--gi", "5", "--spawn")
    assert done.returncode == 1
    assert done.stdout.startswith("gpusim: ") and done.stdout.count("\n") == 1
    assert _spawned(sim) == set()
    kept = sim.gpusim("occupy", "--gpu", "0", "--spawn", check=True).stdout.strip()
    assert _spawned(sim) == {kept}


def test_release_never_ends_a_process_that_gpusim_did_not_start(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    mine = str(os.getpid())
    sim.gpusim("occupy", "0", "--pid", mine, check=True)
    assert [process["pid"] for process in sim.gpu(0)["processes"]] == [os.getpid()]
    sim.gpusim("release", "0", "--pid", mine, check=True)
    assert sim.gpu(0)["processes"] == []


def test_process_that_died_is_dropped_at_the_next_look(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    pid = sim.occupy(0)
    assert sim.gpusim("reset", "0").returncode == 1
    sim.kill(pid)
    assert sim.gpu(0)["processes"] == []
    sim.gpusim("reset", "0", check=True)


def test_sticky_process_needs_no_life(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    sim.gpusim("occupy", "0", "--pid", "4194301", "--sticky", check=True)
    assert [process["pid"] for process in sim.gpu(0)["processes"]] == [4194301]


def test_holder_blocks_a_reset_without_being_a_process_of_nvml(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    pid = sim.occupy(0, kind="holder")
    assert sim.smi("--query-compute-apps=pid", "--format=csv,noheader").stdout == ""
    assert sim.gpusim("reset", "0").returncode == 1
    sim.release(0, pid)
    assert sim.gpusim("reset", "0").returncode == 0


def test_reset_acts_on_one_gpu_only(node: NodeMaker) -> None:
    sim = node("h100-80gb-sxm5*2")
    sim.smi("-mig", "1", check=True)
    sim.smi("mig", "-cgi", "19", "-C", check=True)
    sim.gpusim("reset", sim.gpu(1)["uuid"], check=True)
    assert [len(gpu["instances"]) for gpu in sim.show()["gpus"]] == [1, 0]


def test_reboot_takes_hoppers_mode_and_gives_amperes(node: NodeMaker) -> None:
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.smi("-mig", "1", check=True)
    before = sim.show()["boot_count"]
    sim.gpusim("reboot", check=True)
    after = sim.show()
    assert after["boot_count"] == before + 1
    modes = sim.smi("--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader", check=True).stdout
    assert modes.splitlines() == ["Enabled, Enabled", "Disabled, Disabled"]


def test_unload_and_load(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    sim.gpusim("unload", check=True)
    assert sim.smi("-L").returncode == 9
    assert "not loaded" in sim.gpusim("show", check=True).stdout
    sim.gpusim("load", check=True)
    assert sim.smi("-L").returncode == 0


def test_set_a_reading_and_take_it_away(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    sim.gpusim("set", "0", "temperature", "91", check=True)
    assert sim.smi("--query-gpu=temperature.gpu", "--format=csv,noheader", check=True).stdout == "91\n"
    sim.gpusim("set", "--gpu", "0", "temperature", "none", check=True)
    assert sim.smi("--query-gpu=temperature.gpu", "--format=csv,noheader", check=True).stdout == "[N/A]\n"


def test_xid_appends_a_line_of_the_kernel_log(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    for code in ("79", "48"):
        sim.gpusim("xid", "0", code, check=True)
    lines = sim.kmsg.read_text().splitlines()
    assert len(lines) == 2
    assert re.search(r"NVRM: Xid \(PCI:0000:[0-9a-f]{2}:00\): 79,", lines[0])
    assert ": 48," in lines[1]


def test_counts_are_of_nvml_calls_and_can_be_set_to_zero(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    sim.gpusim("resetcounts", check=True)
    sim.smi("-L", check=True)
    counted = json.loads(sim.gpusim("counts", "--json", check=True).stdout)
    assert counted["nvmlDeviceGetUUID"] == 1
    assert "  nvmlDeviceGetUUID" in sim.gpusim("counts", check=True).stdout
    sim.gpusim("resetcounts", check=True)
    assert sim.gpusim("counts", check=True).stdout == ""


def test_boards_and_keys_are_json(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    assert "a100-80gb" in sim.gpusim("boards", check=True).stdout
    json.loads(sim.gpusim("boards", check=True).stdout)
    assert "temperature" in json.dumps(json.loads(sim.gpusim("keys", check=True).stdout))


MISTAKES = [
    ("no verb", (), 2, "gpusim: the following arguments are required: VERB; see gpusim --help"),
    ("unknown verb", ("frobnicate",), 2, "invalid choice: 'frobnicate'"),
    ("init without boards", ("init",), 2, "gpusim init: the following arguments are required: --boards"),
    ("unknown board", ("init", "--boards", "voodoo2"), 1, "voodoo2"),
    ("too many boards", ("init", "--boards", "t4*17"), 1, "16"),
    ("set without value", ("set", "0", "temperature"), 2, "set takes KEY VALUE after the GPU; given: temperature"),
    ("set of an unknown key", ("set", "0", "mood", "good"), 1, "mood"),
    ("unknown GPU", ("set", "7", "temperature", "50"), 1, "7"),
    ("reset without GPU", ("reset",), 2, "reset: name a GPU (index, UUID or PCI address), first or with --gpu"),
    ("occupy by nobody", ("occupy", "0"), 2, "one of the arguments --pid --spawn is required"),
    ("occupy by two", ("occupy", "0", "--pid", "1", "--spawn"), 2, "not allowed with argument --pid"),
    ("wrong kind", ("occupy", "0", "--pid", "1", "--kind", "rogue"), 2, "invalid choice: 'rogue'"),
    ("process that does not exist", ("occupy", "0", "--pid", "4194301"), 1, "4194301"),
    ("release of a stranger", ("release", "0", "--pid", "4194301"), 1, "4194301"),
    ("fault without action", ("fault", "nvmlInit_v2"), 2, "--code --hang --kill --killgroup is required"),
    ("fault on no function", ("fault", "nvmlFoo", "--hang"), 1, "nvmlFoo"),
    ("fault with no code", ("fault", "nvmlInit_v2", "--code", "NVML_ERROR_TIRED"), 1, "NVML_ERROR_TIRED"),
    ("no library", ("--library", "/nowhere/lib.so", "show"), 1, "set GPUSIM_LIBRARY to the simulator's library"),
    ("foreign library", ("--library", "libc.so.6", "show"), 1, "is not the simulator: it has no gpusim_control"),
    ("no state", ("--state", "/nowhere/state", "show"), 1, "no state file"),
    ("quoted value", ("set", "0", "temperature", 'a"b'), 1, "may not hold a double quote"),
]


@pytest.mark.parametrize(("argv", "code", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_mistakes_are_one_sentence(node: NodeMaker, argv: t.Tuple[str, ...], code: int, words: str) -> None:
    sim = node("a100-80gb")
    before = sim.show()
    done = sim.gpusim(*argv)
    assert (done.returncode, done.stdout.count("\n")) == (code, 1), done.stdout
    assert done.stdout.startswith("gpusim") and words in done.stdout
    assert sim.show() == before, "a refused command changes nothing"


def test_help_names_every_verb(node: NodeMaker) -> None:
    sim = node("a100-80gb")
    text = sim.gpusim("--help", check=True).stdout
    for verb in ("init", "show", "reset", "reboot", "unload", "load", "occupy", "release", "set", "xid", "fault"):
        assert re.search(rf"^ +{verb} ", text, re.MULTILINE), verb


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def _spawned(sim: Sim) -> t.Set[str]:
    """The processes that were spawned on this node; other test runs on the machine have theirs."""
    mark = f"GPUSIM_STATE={sim.state}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            spawned = entry.read_bytes().startswith(b"gpusim-spawned")
            if spawned and mark in (entry.parent / "environ").read_bytes().split(b"\0"):
                found.add(entry.parent.name)
        except OSError:
            continue
    return found


def test_harness_ends_what_it_started(tmp_path: Path) -> None:
    with Sim("a100-80gb", tmp_path) as sim:
        pid = sim.occupy(0)
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(pid)
