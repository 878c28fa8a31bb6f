# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running node: it boots as a machine does, and its trees agree with its simulated boards."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from labctl import nodes
from labctl.common import LabError
from labctl.inventory import NodeSpec
from simulated import HOLDER, SCENARIO, SPECS, Node

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"


def test_every_node_boots_completely(started: dict[str, nodes.Started]) -> None:
    assert {host: one.failed_units for host, one in started.items()} == {spec.host: () for spec in SPECS}
    assert all(one.how == "created" for one in started.values())


def test_no_node_is_privileged(a100: Node) -> None:
    facts = json.loads(subprocess.check_output(["docker", "inspect", a100.name]))[0]["HostConfig"]
    assert facts["Privileged"] is False
    assert sorted(one.removeprefix("CAP_") for one in facts["CapAdd"]) == ["NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE"]


def test_second_up_reuses_what_runs(a100: Node, tag: str) -> None:
    pid = a100.out("systemctl show --value -p MainPID docker.service")
    again = nodes.up(SCENARIO, SPECS[:1], tag)
    assert [one.how for one in again] == ["reused"]
    assert a100.out("systemctl show --value -p MainPID docker.service") == pid


def test_lspci_shows_the_boards(h100: Node) -> None:
    lines = h100.out("lspci -nn -d 10de:").splitlines()
    assert len(lines) == 3
    assert [line.split()[0] for line in lines] == [gpu["pci"].lower()[-7:] for gpu in h100.show()["gpus"]]
    assert sum("H100" in line for line in lines) == 2
    assert all("3D controller [0302]" in line for line in lines)
    details = h100.out("lspci -vv -d 10de:")
    assert details.count("Kernel driver in use: nvidia") == 3
    assert details.count("Capabilities: [78] Express") == 3


def test_nvidia_smi_lists_the_boards(h100: Node) -> None:
    lines = h100.out("nvidia-smi -L").splitlines()
    assert [re.sub(r" \(UUID: .*", "", line) for line in lines] == [
        "GPU 0: NVIDIA H100 80GB HBM3",
        "GPU 1: NVIDIA H100 80GB HBM3",
        "GPU 2: NVIDIA A100-SXM4-40GB",
    ]
    assert [gpu["uuid"] in line for gpu, line in zip(h100.show()["gpus"], lines)] == [True] * 3


def test_proc_and_sys_agree_with_the_boards(h100: Node) -> None:
    shown = h100.show()
    assert shown["driver"] in h100.out("cat /proc/driver/nvidia/version")
    assert h100.out("cat /sys/module/nvidia/version") == shown["driver"]
    assert h100.out("ls /sys/module/nvidia/holders").split() == ["nvidia_modeset", "nvidia_uvm"]
    for gpu in shown["gpus"]:
        address = gpu["pci"].lower()[-12:]
        text = h100.out(f"cat /proc/driver/nvidia/gpus/{address}/information")
        assert gpu["uuid"] in text
        assert f"Device Minor:    {gpu['index']}" in text
        device = f"/sys/bus/pci/devices/{address}"
        assert h100.out(f"readlink -f {device}/driver") == "/sys/bus/pci/drivers/nvidia"
        assert h100.out(f"ls $(readlink -f {device}/iommu_group)/devices") == address
        assert h100.out(f"stat -c '%a %s' {device}/reset {device}/config").split("\n") == ["200 0", "644 256"]
        assert h100.out(f"stat -c '%t:%T %a' /dev/nvidia{gpu['index']}") == f"c3:{gpu['index']:x} 666"


def test_capabilities_of_instances_follow_on_refresh(a100: Node) -> None:
    root = "/proc/driver/nvidia/capabilities"
    assert a100.out(f"head -1 {root}/mig/config") == "DeviceFileMinor: 1"
    assert "gpu0/gi1/ci0/access 13" in a100.out("cat /proc/driver/nvidia-caps/mig-minors").splitlines()


def test_real_modules_of_the_kernel_stay_visible(a100: Node) -> None:
    here = subprocess.check_output(["ls", "/sys/module"], text=True).split()
    assert set(here) - {"nvidia"} <= set(a100.out("ls /sys/module").split())


def test_package_lists_are_in_the_image(a100: Node) -> None:
    assert "Candidate: (none)" not in a100.out("apt-cache policy nvtop | grep Candidate")


def test_holder_is_seen_as_on_a_real_node(a100: Node) -> None:
    pid = a100.out(f"systemctl show --value -p MainPID {HOLDER}")
    assert a100.out(f"cat /proc/{pid}/comm") == "nvidia-persiste"
    assert "/dev/nvidia0" in a100.out(f"readlink /proc/{pid}/fd/*").split()
    assert a100.out(f"systemctl is-enabled {HOLDER} docker.service").split() == ["enabled", "enabled"]
    assert [one["pid"] for one in a100.show()["gpus"][0]["processes"]] == [int(pid)]


def test_stand_in_writes_down_what_it_found(a100: Node) -> None:
    found = json.loads(a100.out("cat /run/accel-lab/started/docker.json"))
    assert [gpu["uuid"] for gpu in found["gpus"]] == [gpu["uuid"] for gpu in a100.show()["gpus"]]


def test_cdi_stand_in_lists_devices(h100: Node) -> None:
    h100.out("systemctl start nvidia-cdi-refresh.service")
    names = [one["name"] for one in json.loads(h100.out("cat /run/cdi/nvidia.yaml"))["devices"]]
    assert names[::2] == ["0", "1", "2"]
    assert names[1::2] == [gpu["uuid"] for gpu in h100.show()["gpus"]]


def test_holder_blocks_mode_and_reset_until_it_stops(a100: Node) -> None:
    blocked = a100.run("nvidia-smi -i 0 -mig 1")
    refused = a100.run("nvidia-smi --gpu-reset -i 0")
    assert "In use by another client" in blocked.stdout + blocked.stderr
    assert refused.returncode != 0
    a100.out(f"systemctl stop {HOLDER}")
    try:
        a100.out("nvidia-smi -i 0 -mig 1")
        assert a100.show()["gpus"][0]["mig"]["pending"] == 1
        a100.out("nvidia-smi -i 0 -mig 0")
    finally:
        a100.out(f"systemctl start {HOLDER}")


@pytest.mark.parametrize("hard", [False, True], ids=["shutdown", "power_cut"])
def test_restart_is_a_reboot(h100: Node, hard: bool) -> None:
    h100.out("nvidia-smi -mig 1 && nvidia-smi --gpu-reset -i 2 && nvidia-smi mig -cgi 9 -C")
    before = h100.show()
    assert [gpu["mig"]["current"] for gpu in before["gpus"]] == [1, 1, 1]
    assert all(gpu["instances"] for gpu in before["gpus"])
    boot_id = h100.out(BOOT_ID)
    assert h100.out(BOOT_ID) == boot_id

    assert h100.restart(hard).failed_units == ()

    after = h100.show()
    assert h100.out(BOOT_ID) != boot_id
    assert after["boot_count"] == before["boot_count"] + 1
    # Hopper forgets its MIG mode at a reboot, Ampere keeps it; the instances are gone on both
    assert [gpu["mig"]["current"] for gpu in after["gpus"]] == [0, 0, 1]
    assert [gpu["instances"] for gpu in after["gpus"]] == [[], [], []]
    assert [gpu["uuid"] for gpu in after["gpus"]] == [gpu["uuid"] for gpu in before["gpus"]]
    assert len(h100.out("lspci -d 10de:").splitlines()) == 3
    h100.out("nvidia-smi -i 2 -mig 0 && nvidia-smi --gpu-reset -i 2")


def test_modprobe_and_rmmod_move_the_driver(h100: Node) -> None:
    used = h100.run("rmmod nvidia")
    assert used.returncode == 1
    assert used.stderr.strip() == "rmmod: ERROR: Module nvidia is in use by: nvidia_modeset nvidia_uvm"
    h100.out("modprobe -r nvidia-uvm && modprobe -r nvidia_modeset")
    assert "nvidia" not in h100.out("ls /sys/module").split()
    assert h100.run("test -e /proc/driver/nvidia").returncode == 1
    assert h100.run("nvidia-smi -L").returncode != 0
    assert "Kernel driver in use" not in h100.out("lspci -vv -d 10de:")
    h100.out("modprobe nvidia && modprobe nvidia_uvm && modprobe nvidia_modeset")
    assert len(h100.out("nvidia-smi -L").splitlines()) == 3
    assert h100.out("cat /sys/module/nvidia/refcnt") == "2"
    assert "nvidia_modeset,nvidia_uvm" in h100.out("lsmod")


def test_driver_with_an_open_gpu_is_not_unloaded(h100: Node) -> None:
    count = "cat /sys/module/nvidia/refcnt"
    pid = h100.out("gpusim occupy --gpu 1 --spawn").split()[-1]
    try:
        assert h100.out(count) == "3"  # two modules and an open file
        done = h100.run("modprobe -r nvidia_modeset; modprobe -r nvidia_uvm; rmmod nvidia")
        assert "ERROR: Module nvidia is in use" in done.stderr
        assert "nvidia" in h100.out("ls /sys/module").split()
    finally:
        h100.out(f"kill {int(pid)}; modprobe nvidia_uvm && modprobe nvidia_modeset")
    h100.out(f"for _ in $(seq 50); do [ $({count}) = 2 ] && exit; sleep 0.1; done; exit 1")


def test_the_count_of_references_follows_who_has_gpus_open(a100: Node) -> None:
    count = "cat /sys/module/nvidia/refcnt"
    before = int(a100.out(count))
    assert before > len(a100.out("ls /sys/module/nvidia/holders").split())
    a100.out(f"systemctl stop {HOLDER}")
    try:
        assert int(a100.out(count)) == before - len(a100.show()["gpus"])
    finally:
        a100.out(f"systemctl start {HOLDER}")
    assert int(a100.out(count)) == before


def test_other_modules_are_left_to_the_kernel(a100: Node) -> None:
    unknown = a100.run("modprobe no_such_module")
    assert unknown.returncode == 1
    assert "FATAL: Module no_such_module not found" in unknown.stderr
    present = a100.out("ls /sys/module").split()[0]
    a100.out(f"modprobe {present}")


def test_node_without_driver(started: dict[str, nodes.Started]) -> None:
    node = Node("bare")
    assert "A30" in node.out("lspci -d 10de:")
    assert "Kernel driver in use" not in node.out("lspci -vv -d 10de:")
    for path in (LIBRARY, "/usr/bin/nvidia-smi", "/proc/driver/nvidia", "/sys/module/nvidia", "/dev/nvidia0"):
        assert node.run(f"test -e {path}").returncode == 1, path
    assert "not found" in node.run("modprobe nvidia").stderr


def test_node_whose_driver_is_not_loaded(started: dict[str, nodes.Started]) -> None:
    node = Node("idle")
    assert node.run("nvidia-smi -L").returncode == 9
    assert node.run("test -e /sys/module/nvidia").returncode == 1
    node.out("modprobe nvidia")
    assert "A30" in node.out("nvidia-smi -L")


def test_driver_without_gpu(started: dict[str, nodes.Started]) -> None:
    node = Node("empty")
    assert node.out("lspci") == ""
    assert node.show()["gpus"] == []
    assert node.run(f"test -e {LIBRARY}").returncode == 0
    assert "No devices were found" in node.run("nvidia-smi").stdout


def test_plain_node_has_nothing(started: dict[str, nodes.Started]) -> None:
    node = Node("plain")
    assert node.out("lspci") == ""
    for path in (LIBRARY, "/usr/bin/nvidia-smi", "/proc/driver/nvidia", "/var/lib/gpusim/state"):
        assert node.run(f"test -e {path}").returncode == 1, path


def test_no_pynvml_for_the_nodes_python(a100: Node) -> None:
    assert "ModuleNotFoundError" in a100.run("python3 -c 'import pynvml'").stderr


def test_unknown_host_is_named(started: dict[str, nodes.Started]) -> None:
    with pytest.raises(LabError, match=f"scenario '{SCENARIO}' has no node 'nobody'"):
        nodes.restart(SCENARIO, "nobody")


def test_unknown_board_stops_the_start_with_the_reason(tag: str) -> None:
    scenario = f"{SCENARIO}-bad"
    try:
        told = r'could not be set up:(\ninit: unknown board "no-such-board"; the command boards lists them)+$'
        with pytest.raises(LabError, match=told):
            nodes.up(scenario, [NodeSpec("n", ("no-such-board",))], tag)
        # a second start is no node without GPUs either
        with pytest.raises(LabError, match=told):
            nodes.restart(scenario, "n")
    finally:
        assert nodes.down(scenario) == [f"accel-{scenario}-n"]


def test_changed_variables_make_the_node_anew(tag: str) -> None:
    scenario = f"{SCENARIO}-anew"
    try:
        hows = [nodes.up(scenario, [NodeSpec("n", state="plain", seed=seed)], tag)[0].how for seed in ("1", "1", "2")]
        subprocess.run(["docker", "stop", f"accel-{scenario}-n"], check=True, capture_output=True)
        hows.append(nodes.up(scenario, [NodeSpec("n", state="plain", seed="2")], tag)[0].how)
    finally:
        nodes.down(scenario)
    assert hows == ["created", "reused", "created", "started"]


def test_guest_without_reset_has_no_reset_file(tag: str) -> None:
    scenario = f"{SCENARIO}-guest"
    specs = [NodeSpec("no", ("a30-24gb",), virtualization="passthrough")]
    specs.append(NodeSpec("yes", ("a30-24gb",), virtualization="passthrough", guest_reset=True))
    try:
        nodes.up(scenario, specs, tag)
        found = {
            spec.host: subprocess.run(
                ["docker", "exec", f"accel-{scenario}-{spec.host}", "sh", "-c", "test -e /sys/bus/pci/devices/*/reset"],
                check=False,
            ).returncode
            for spec in specs
        }
    finally:
        nodes.down(scenario)
    assert found == {"no": 1, "yes": 0}
