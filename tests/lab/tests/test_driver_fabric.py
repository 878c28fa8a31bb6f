# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What boards with an NVLink fabric need beside the driver, installed on a node and mended after drift (rule 26).

The lab has no board with ConnectX bridges and none of a rack, so the PCI tree of a node is made to look like one: a
bridge is known by its vital product data, a tray by the device id of its GPUs.
"""

from __future__ import annotations

import typing as t

import pytest
from driver_call import bare_node, call
from simulated import Node

WISH = {"version": "580.126.16"}
LOAD_FILE = "/etc/modules-load.d/accel-gpu.conf"
IMEX, NODES = "nvidia-imex.service", "/etc/nvidia-imex/nodes_config.cfg"
BRIDGE = """
cd /sys/bus/pci/devices && mkdir 0000:c0:00.0 && cd 0000:c0:00.0
echo 0x15b3 > vendor; echo 0x1021 > device; echo 0x020700 > class; printf 'V3\\007\\000SW_MNG\\n' > vpd
"""
TRAY = "echo 0x2941 > /sys/bus/pci/devices/0000:10:00.0/device"


def deeds(result: dict[str, t.Any]) -> list[str]:
    assert not result.get("failed"), result.get("msg")
    return [f"{one['action']} {one['object']}" for one in result["actions"] if one["action"] not in ("keep", "note")]


def mends(node: Node, breaks: str, mended: list[str]) -> None:
    """Check mode finds it, the next run mends it and nothing else, the one after is quiet."""
    node.out(breaks)
    foretold, done, after = call(node, check=True, **WISH), call(node, **WISH), call(node, **WISH)
    assert (deeds(foretold), deeds(done)) == (mended, mended)
    assert foretold["diff"] == done["diff"]
    assert (foretold["changed"], done["changed"], after["changed"]) == (True, True, False)


@pytest.mark.full
def test_switches_behind_bridges_get_their_modules_nvlsm_and_fabric_manager() -> None:
    with bare_node("bridged", "b200-180gb") as node:
        node.out(BRIDGE)
        node.out("mkdir -p /etc/accel-lab && echo ib_umad mlx5_ib > /etc/accel-lab/modules")
        made = call(node, **WISH)
        assert {"nvlsm", "nvidia-fabricmanager"} <= {one.rpartition(" ")[2] for one in deeds(made)}
        assert node.out(f"grep -v '^#' {LOAD_FILE}").split() == ["ib_umad", "mlx5_ib"]
        assert node.out("ls -d /sys/module/ib_umad /sys/module/mlx5_ib").split()
        assert node.out("systemctl is-active nvidia-fabricmanager.service") == "active"
        assert not call(node, **WISH)["changed"]
        mends(node, f"echo ib_umad > {LOAD_FILE}", [f"write_file {LOAD_FILE}"])
        mends(node, "rm -r /sys/module/ib_umad", ["load_module ib_umad"])
        mends(node, "apt-get remove -y --allow-change-held-packages nvlsm", ["install_package nvlsm", "hold nvlsm"])
        call(node, state="absent", change_loaded=True)
        assert node.run(f"test -e {LOAD_FILE}").returncode == 1


@pytest.mark.full
def test_a_tray_of_a_rack_gets_imex_which_waits_for_the_addresses_of_its_domain() -> None:
    with bare_node("tray", "b200-180gb") as node:
        node.out(TRAY)
        made = call(node, **WISH)
        assert [one["object"] for one in made["actions"] if one["action"] == "deferred"] == [IMEX]
        assert made["fabric_deferred"] == [f"{IMEX}: needs {NODES} with the addresses of the nodes of its domain"]
        assert node.run(f"systemctl is-active {IMEX}").stdout.strip() == "inactive"
        assert not call(node, **WISH)["changed"]
        mends(node, f"mkdir -p /etc/nvidia-imex && echo 10.0.0.1 > {NODES}", [f"set_unit {IMEX}"])
        assert node.out(f"systemctl is-active {IMEX}") == "active"
        mends(node, f"systemctl disable --now {IMEX}", [f"set_unit {IMEX}"])
