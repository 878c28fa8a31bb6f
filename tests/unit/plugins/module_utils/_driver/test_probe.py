# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the distributions in constructed trees (not taken from machines), and what a look at them tells."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe, probe_system, probe_users
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import (
    Busy,
    LoadedModule,
    PciDevice,
    SecureBoot,
    Unit,
)
from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders_probe
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Process
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owners
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import (
    KERNEL,
    OLDER,
    Session,
    Tree,
    debian,
    process,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils.boards import gpu, node

UNITS = (
    ("dcgm-exporter.service", "not-found", "", "inactive"),
    ("nvidia-dcgm.service", "loaded", "enabled", "active"),
    ("display-manager.service", "loaded", "alias", "active"),
    ("nvidia-mps.service", "loaded", "disabled", "active"),
    ("nvidia-fabricmanager.service", "loaded", "enabled", "failed"),
    ("nvidia-persistenced.service", "loaded", "static", "inactive"),
)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def shown(units):
    """What systemctl show prints of the units, asked for in the order of the table of units."""
    known = {name: rest for name, *rest in units}
    rows = [known.get(name, ("not-found", "", "inactive")) for name in probe_system.UNITS]
    return "\n".join(f"LoadState={load}\nActiveState={active}\nUnitFileState={file}\n" for load, file, active in rows)


# --- the system ---


def test_the_library_is_found_through_the_cache_of_the_linker(tree):
    """Debian's alternatives: two links with absolute targets."""
    tree.put("/etc/ld.so.cache", b"libnvidia-ml.so.1\0/lib/x86_64-linux-gnu/libnvidia-ml.so.1\0")
    tree.link("/lib/x86_64-linux-gnu/libnvidia-ml.so.1", "/etc/alternatives/nvidia--libnvidia-ml.so.1")
    tree.link(
        "/etc/alternatives/nvidia--libnvidia-ml.so.1", "/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.1"
    )
    folder = "/usr/lib/x86_64-linux-gnu/nvidia/current"
    tree.link(f"{folder}/libnvidia-ml.so.1", "libnvidia-ml.so.535.309.01")
    assert probe_system.library(tree.files) is None
    tree.put(f"{folder}/libnvidia-ml.so.535.309.01", b"elf")
    assert probe_system.library(tree.files) == "535.309.01"


@pytest.mark.parametrize("folder", ["/usr/lib64", "/usr/lib/x86_64-linux-gnu"])
def test_the_library_is_found_without_a_cache(tree, folder):
    tree.put(f"{folder}/libnvidia-ml.so.580.126.16", b"elf")
    tree.link(f"{folder}/libnvidia-ml.so.1", "libnvidia-ml.so.580.126.16")
    assert probe_system.library(tree.files) == "580.126.16"


def test_links_in_a_circle_lead_nowhere(tree):
    tree.link("/usr/lib64/libnvidia-ml.so.1", "libnvidia-ml.so.2")
    tree.link("/usr/lib64/libnvidia-ml.so.2", "libnvidia-ml.so.1")
    assert probe_system.library(tree.files) is None


def test_units_are_asked_for_in_one_call(tree):
    tree.answers["systemctl"] = (0, shown(UNITS), "")
    assert probe_system.units(tree.ports()) == {
        "nvidia-dcgm.service": Unit("nvidia-dcgm.service", True, True),
        "display-manager.service": Unit("display-manager.service", True, True),
        "nvidia-mps.service": Unit("nvidia-mps.service", False, True),
        "nvidia-fabricmanager.service": Unit("nvidia-fabricmanager.service", True, False, True),
        "nvidia-persistenced.service": Unit("nvidia-persistenced.service", False, False, static=True),
    }
    assert len(tree.asked) == 1
    tree.answers["systemctl"] = (1, "", "System has not been booted with systemd as init system (PID 1).")
    assert probe_system.units(tree.ports()) == {}


def test_secure_boot_asks_for_keys_only_where_it_is_on(tree):
    certificate = b"\x30\x82certificate"
    sha = hashlib.sha1(certificate).hexdigest()
    line = "SHA1 Fingerprint: " + ":".join(sha[at : at + 2] for at in range(0, 40, 2)).upper()
    assert probe_system.secure_boot(tree.ports()) == SecureBoot(None)
    tree.put("/var/lib/shim-signed/mok/MOK.der", certificate)
    variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    tree.put(variable, b"\x06\0\0\0\0")
    assert probe_system.secure_boot(tree.ports()) == SecureBoot(False, dkms_key="/var/lib/shim-signed/mok/MOK.der")
    assert tree.asked == []
    tree.put(variable, b"\x06\0\0\0\x01")
    assert probe_system.secure_boot(tree.ports()) == SecureBoot(True, (), (), "/var/lib/shim-signed/mok/MOK.der", False)
    tree.put("/var/lib/dkms/mok.pub", certificate)
    tree.answers["mokutil"] = (0, f"[key 1]\n{line}\n", "")
    assert probe_system.secure_boot(tree.ports()) == SecureBoot(
        True, (sha,), (sha,), "/var/lib/dkms/mok.pub", dkms_key_enrolled=True, dkms_key_pending=True
    )


def test_files_of_ours_and_blacklists_of_others(tree):
    tree.put("/etc/modprobe.d/accel-gpu.conf", "blacklist nouveau\n")
    tree.put("/etc/apt/sources.list.d/accel-gpu-driver.sources", "Types: deb\n")
    tree.put("/etc/apt/sources.list.d/debian.sources", "Types: deb\n")
    tree.put("/etc/nvidia/current/nvidia-blacklists-nouveau.conf", "# from the package\nblacklist nouveau\n")
    tree.link("/etc/modprobe.d/nvidia-blacklists-nouveau.conf", "/etc/nvidia/current/nvidia-blacklists-nouveau.conf")
    tree.put("/usr/lib/modprobe.d/other.conf", "blacklist nouveau\n")
    tree.put("/etc/modprobe.d/other.conf", "# switched off here\n")
    tree.put("/usr/lib/modprobe.d/README", "blacklist nouveau\n")
    assert probe_system.our_files(tree.files) == {
        "/etc/apt/sources.list.d/accel-gpu-driver.sources": "Types: deb\n",
        "/etc/modprobe.d/accel-gpu.conf": "blacklist nouveau\n",
    }
    assert probe_system.nouveau_blacklists(tree.files) == ("/etc/modprobe.d/nvidia-blacklists-nouveau.conf",)


def test_a_reboot_is_owed_for_packages(tree):
    assert probe_system.reboot_pending(tree.files) == ()
    tree.put("/run/reboot-required", "*** System restart required ***\n")
    assert probe_system.reboot_pending(tree.files) == ("/run/reboot-required is there",)
    tree.put("/run/reboot-required.pkgs", "linux-base\nlibc6\nlinux-base\n")
    assert probe_system.reboot_pending(tree.files) == ("/run/reboot-required is there, for libc6, linux-base",)
    assert probe_system.reboot_packages(tree.files) == ("libc6", "linux-base")


@pytest.mark.parametrize(("text", "wanted"), [('{"packages": []}', {"packages": []}), ("[1]", {}), ("{broken", {})])
def test_records_are_a_mapping_or_nothing(tree, text, wanted):
    assert probe_system.records(tree.files) == {}
    tree.put("/var/lib/accel-gpu/driver/state.json", text)
    assert probe_system.records(tree.files) == wanted


def test_an_initramfs_that_a_run_knows_is_not_looked_into(tree):
    debian(tree)
    first = probe.probe(tree.ports()).running.initramfs
    assert first is not None
    known = {first.path: {"stamp": first.stamp, "versions": ["1.2.3"], "nouveau": True}}
    tree.files.write_json("/var/lib/accel-gpu/driver/initramfs.json", known)
    assert probe.probe(tree.ports()).running.initramfs == first._replace(versions=("1.2.3",), nouveau=True)


def test_packages_that_a_run_installed_are_asked_for_too(tree):
    tree.put("/var/lib/accel-gpu/driver/state.json", '{"packages": ["linux-headers-amd64"]}')
    asked = []

    def installed(names):
        asked.extend(names)
        return [SimpleNamespace(name="linux-headers-amd64", version="6.1")]

    found = probe.probe(tree.ports(), SimpleNamespace(**{**vars(PACKAGES), "installed": installed}))
    assert found.packages == {"linux-headers-amd64": "6.1"}
    assert {"*nvidia*", "linux-headers-amd64"} <= set(asked)


# --- the whole ---


def gpu_node(tree):
    debian(tree)
    tree.device(
        "0000:3b:00.0", "0x10de", "0x20b2", "0x030200", "nvidia", subsystem_vendor="0x10de", subsystem_device="0x1463"
    )
    tree.device("0000:3b:00.1", "0x10de", "0x1aef", "0x040300", "snd_hda_intel")
    tree.loaded("nvidia", "nvidia_uvm", "nvidia_modeset", version="535.309.01")
    tree.loaded("nvidia_modeset", "nvidia_drm")
    tree.loaded("nvidia_uvm")
    tree.loaded("nvidia_drm")
    tree.put("/sys/module/nvidia_drm/parameters/modeset", "Y\n")
    tree.put("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.309.01  Wed\n")
    tree.put("/proc/driver/nvidia/params", "EnableMSI: 1\n")
    tree.put("/usr/lib64/libnvidia-ml.so.535.309.01")
    tree.link("/usr/lib64/libnvidia-ml.so.1", "libnvidia-ml.so.535.309.01")
    tree.answers["systemctl"] = (0, shown(UNITS), "")


PACKAGES = SimpleNamespace(
    installed=lambda patterns: [SimpleNamespace(name="nvidia-smi", version="535.309.01-0+deb12u1")] if patterns else [],
    holds=lambda: frozenset(("nvidia-smi", "vim")),
    problems=lambda: ("dpkg was interrupted",),
    needs_for_holds=lambda: ("python3-dnf-plugin-versionlock",),
    stream={"nvidia-driver": "580-open"}.get,
)


def test_a_node_with_a_driver(tree):
    gpu_node(tree)
    card = dataclasses.replace(gpu("a100-80gb"), processes=(Process(4242, "compute", "python3"),))
    session = Session(node(card))
    found = probe.probe(tree.ports(lambda: session), PACKAGES)
    assert found.distribution == ("debian", "12", "debian", "bookworm", os.uname().machine, "Debian 12")
    assert (found.running.release, found.next and found.next.release) == (OLDER, KERNEL)
    assert found.gpus == (PciDevice("0000:3b:00.0", "10de:20b2", "10de:1463", "nvidia"),)
    assert found.loaded == LoadedModule("535.309.01", False, None, ("nvidia_drm", "nvidia_modeset", "nvidia_uvm"))
    assert found.live_parameters["nvidia"] == {"NVreg_EnableMSI": "1"}
    assert found.live_parameters["nvidia_drm"] == {"modeset": "Y"}
    assert (found.library, found.nvml_state, found.nvml) == ("535.309.01", "answers", "")
    assert found.packages == {"nvidia-smi": "535.309.01-0+deb12u1"}
    assert found.holds == frozenset(("nvidia-smi", "vim"))
    assert found.package_problems == ("dpkg was interrupted",)
    assert found.busy == (Busy(f"GPU {card.pci} ({card.uuid})", "process 4242 (python3)", True),)
    assert (session.subsets, found.fabric_state) == (("identity", "mig", "processes"), None)
    # no subprocess for anything but the units
    assert [argv[0] for argv in tree.asked] == ["systemctl"]


def test_a_bare_node_is_an_answer_too(tree):
    tree.device("0000:3b:00.0", "0x10de", "0x2330", "0x030200", "nouveau")
    tree.loaded("nouveau", "mxm_user")
    found = probe.probe(tree.ports())
    assert (found.loaded, found.library, found.packages, found.package_problems) == (None, None, {}, ())
    assert (found.nvml_state, found.nvml) == ("missing", "the NVIDIA library libnvidia-ml.so.1 is not on this node")
    assert (found.nouveau_loaded, found.nouveau_holders) == (True, ("mxm_user",))
    assert found.gpus == (PciDevice("0000:3b:00.0", "10de:2330", "0000:0000", "nouveau"),)
    assert probe.probe(tree.ports(), problem="no manager").package_problems == ("no manager",)


def test_without_users_nobody_is_asked(tree):
    gpu_node(tree)
    found = probe.probe(tree.ports(), users=False)
    assert (found.nvml_state, found.busy, found.holders) == ("", (), ())


def test_switches_on_the_bus_and_behind_bridges(tree):
    tree.device("0000:3b:00.0", "0x10de", "0x2901", "0x030200")
    tree.device("0000:9a:00.0", "0x15b3", "0x1021", "0x020700", "mlx5_core", vpd=b"\x82..SMDL=SW_MNG..")
    assert (probe.probe(tree.ports()).nvlink5, probe.probe(tree.ports()).switches) == (True, ())
    tree.device("0000:07:00.0", "0x10de", "0x22a3", "0x068000")
    found = probe.probe(tree.ports())
    assert (found.nvlink5, found.switches) == (False, (PciDevice("0000:07:00.0", "10de:22a3", "0000:0000", None),))


@pytest.mark.parametrize(
    ("there", "built", "lacking"),
    [((), "", ("ib_umad", "mlx5_ib")), (("ib_umad", "mlx5_ib"), "", ()), (("mlx5_ib",), "ib_umad", ())],
)
def test_modules_that_a_fabric_behind_bridges_lacks(tree, there, built, lacking):
    tree.device("0000:3b:00.0", "0x10de", "0x2901", "0x030200")
    tree.put("/proc/sys/kernel/osrelease", KERNEL)
    tree.put(f"/lib/modules/{KERNEL}/modules.builtin", f"kernel/drivers/infiniband/core/{built}.ko\n")
    for name in there:
        tree.put(f"/sys/module/{name}/refcnt", "0\n")
    assert probe.probe(tree.ports()).lacking_modules == ()  # another board needs none
    tree.device("0000:9a:00.0", "0x15b3", "0x1021", "0x020700", "mlx5_core", vpd=b"\x82..SMDL=SW_MNG..")
    assert probe.probe(tree.ports()).lacking_modules == lacking


NODES = "/etc/nvidia-imex/nodes_config.cfg"


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ({}, NODES),
        ({NODES: "# one address a line\n\n"}, NODES),
        ({NODES: "10.0.0.1\n10.0.0.2\n"}, ""),
        (
            {"/etc/nvidia-imex/config.cfg": "IMEX_NODE_CONFIG_FILE=/srv/imex.cfg\n", NODES: "10.0.0.1\n"},
            "/srv/imex.cfg",
        ),
        ({"/etc/nvidia-imex/config.cfg": "IMEX_NODE_CONFIG_FILE=/srv/imex.cfg\n", "/srv/imex.cfg": "10.0.0.1\n"}, ""),
    ],
)
def test_imex_lacks_the_addresses_of_its_domain(tree, files, lacks):
    tree.device("0000:3b:00.0", "0x10de", "0x2330", "0x030200")
    for path, content in files.items():
        tree.put(path, content)
    assert probe.probe(tree.ports()).imex_lacks == ""  # no tray of a rack
    tree.device("0000:3c:00.0", "0x10de", "0x2941", "0x030200")
    assert probe.probe(tree.ports()).imex_lacks == lacks


def test_an_ordinary_adapter_is_no_bridge(tree):
    tree.device("0000:3b:00.0", "0x10de", "0x2901", "0x030200")
    tree.device("0000:9a:00.0", "0x15b3", "0x1021", "0x020700", "mlx5_core", vpd=b"\x82..ConnectX-7..")
    assert not probe.probe(tree.ports()).nvlink5


def test_a_display_with_somebody_on_it_and_mps_with_clients_are_not_to_be_stopped(tree, monkeypatch):
    gpu_node(tree)
    tree.put("/run/systemd/sessions/c1", "USER=gdm\nTYPE=wayland\nCLASS=greeter\n")
    tree.put("/run/systemd/sessions/2", "USER=ada\nTYPE=tty\nCLASS=user\n")
    ports = tree.ports(lambda: Session(node(gpu("a100-80gb"))))
    assert {"display-manager.service", "nvidia-mps.service"} <= set(probe.probe(ports).units)
    tree.put("/run/systemd/sessions/3", "USER=ada\nTYPE=x11\nCLASS=user\n")
    clients = Owners((), (Allocation("MPS daemon (PID 7), client PID 8", "all", 8),))
    monkeypatch.setattr(probe_users, "probe_owners", lambda ports: clients)
    assert not {"display-manager.service", "nvidia-mps.service"} & set(probe.probe(ports).units)


def test_a_display_manager_is_known_by_its_own_name_and_stopped_where_nobody_works_on_it(tree, monkeypatch):
    monkeypatch.setattr(holders_probe, "time", SimpleNamespace(sleep=lambda _seconds: None))
    gpu_node(tree)
    tree.put("/lib/systemd/system/lightdm.service")
    tree.link("/etc/systemd/system/display-manager.service", "/lib/systemd/system/lightdm.service")
    process(tree, 80, "Xorg", "/dev/nvidia0", "lightdm.service")
    process(tree, 81, "nvidia-cuda-mps", "/dev/nvidia0", "nvidia-mps.service")
    holders = probe.probe(tree.ports(lambda: Session(node(gpu("a100-80gb"))))).holders
    assert [unit for _name, unit, _pid in holders] == ["display-manager.service", "nvidia-mps.service"]
    tree.put("/run/systemd/sessions/3", "USER=ada\nTYPE=x11\nCLASS=user\n")
    holders = probe.probe(tree.ports(lambda: Session(node(gpu("a100-80gb"))))).holders
    assert [unit for _name, unit, _pid in holders] == [None, "nvidia-mps.service"]
