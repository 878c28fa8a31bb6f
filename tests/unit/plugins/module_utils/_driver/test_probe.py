# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the distributions in constructed trees (not taken from machines), and what a look at them tells."""

from __future__ import annotations

import dataclasses
import hashlib
import lzma
import os
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import probe, probe_kernels, probe_system, probe_users
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import (
    Busy,
    Kernel,
    LoadedModule,
    ModuleFile,
    PciDevice,
    SecureBoot,
    Unit,
)
from ansible_collections.accel.gpu.plugins.module_utils._driver.probe_files import resolve
from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    BindingWantedError,
    DriverMissingError,
    GpuHungError,
    NvmlError,
)
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure, Process
from ansible_collections.accel.gpu.plugins.module_utils._owners.objects import Allocation, Owner, Owners
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import (
    KERNEL,
    OLDER,
    Tree,
    cpio,
    module,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils.boards import gpu, node

UBUNTU = "6.8.0-51-generic"
RHEL = "5.14.0-427.13.1.el9_4.x86_64"
SUSE = "6.4.0-150600.23.7-default"
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


class Session:
    """An NVML session that gives one snapshot, or an error."""

    def __init__(self, answer):
        self.answer = answer
        self.subsets = None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        return None

    def snapshot(self, subsets):
        self.subsets = subsets
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def shown(units):
    """What systemctl show prints of the units, asked for in the order of the table of units."""
    known = {name: rest for name, *rest in units}
    rows = [known.get(name, ("not-found", "", "inactive")) for name in probe_system.UNITS]
    return "\n".join(f"LoadState={load}\nActiveState={active}\nUnitFileState={file}\n" for load, file, active in rows)


def carried(kernel):
    """The initramfs without its stamp, which is the file's own."""
    assert kernel is not None and kernel.initramfs is not None
    return kernel.initramfs._replace(stamp="")


# --- kernels ---


def debian(tree):
    tree.put("/etc/os-release", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n')
    tree.put("/proc/sys/kernel/osrelease", f"{OLDER}\n")
    tree.kernel(OLDER)
    tree.kernel(KERNEL, headers=False)
    tree.link(f"/lib/modules/{KERNEL}/build", f"/usr/src/linux-headers-{KERNEL}")  # the package is gone
    tree.put(f"/lib/modules/{OLDER}/updates/dkms/nvidia-current.ko", module("535.309.01", "NVIDIA"))
    tree.put(f"/lib/modules/{OLDER}/updates/dkms/nvidia-current-uvm.ko", module("535.309.01", "NVIDIA"))
    tree.put(f"/boot/initrd.img-{OLDER}", cpio(("usr/lib/modules/x/nvidia-current.ko", module("525.1"))))


def test_headers_of_a_merged_usr_are_found_through_relative_links(tree):
    """As Debian 13 has them."""
    tree.put("/proc/sys/kernel/osrelease", f"{KERNEL}\n")
    tree.link("/lib", "usr/lib")
    tree.folder(f"/usr/lib/modules/{KERNEL}")
    tree.folder(f"/usr/src/linux-headers-{KERNEL}")
    tree.link(f"/usr/lib/modules/{KERNEL}/build", f"../../../src/linux-headers-{KERNEL}")
    assert probe_kernels.probe(tree.ports(), None).running.headers is True


def test_links_in_a_ring_lead_nowhere(tree):
    tree.link("/a", "b")
    tree.link("/b", "/a")
    assert resolve(tree.files, "/a/x") is None


def test_debian(tree):
    debian(tree)
    found = probe_kernels.probe(tree.ports(), None)
    file = ModuleFile("nvidia", f"/lib/modules/{OLDER}/updates/dkms/nvidia-current.ko", "535.309.01", "NVIDIA", None)
    assert (found.running.release, found.running.headers, found.running.modules) == (OLDER, True, (file,))
    assert carried(found.running) == (f"/boot/initrd.img-{OLDER}", ("525.1",), False, "", "")
    assert found.next == Kernel(KERNEL, headers=False)
    assert found.said_by == "highest version in /boot"


def test_ubuntu_has_its_modules_where_modules_dep_says(tree):
    tree.put("/proc/sys/kernel/osrelease", f"{UBUNTU}\n")
    tree.kernel(UBUNTU)
    folder = f"/lib/modules/{UBUNTU}"
    tree.put(f"{folder}/kernel/nvidia-580/nvidia.ko", module(signer="Canonical Ltd. Kernel Module Signing"))
    tree.put(f"{folder}/updates/dkms/nvidia.ko.zst", b"packed")
    tree.put(
        f"{folder}/modules.dep",
        "kernel/drivers/video/fbdev/nvidia/nvidiafb.ko.zst: kernel/a.ko.zst\n"
        "kernel/nvidia-580/nvidia-uvm.ko: kernel/nvidia-580/nvidia.ko\n"
        "kernel/nvidia-580/nvidia.ko:\nkernel/nvidia-570/nvidia.ko:\n",
    )
    tree.answers["modinfo"] = (0, "filename: /m\nversion:        570.1\nlicense:        NVIDIA\n", "")
    found = probe_kernels.probe(tree.ports(), None)
    assert found.next is None
    assert found.running.modules == (
        ModuleFile(
            "nvidia",
            f"{folder}/kernel/nvidia-580/nvidia.ko",
            "580.126.16",
            "Dual MIT/GPL",
            "Canonical Ltd. Kernel Module Signing",
        ),
        ModuleFile("nvidia", f"{folder}/updates/dkms/nvidia.ko.zst", "570.1", "NVIDIA", None),
    )
    assert tree.asked == [["modinfo", tree.files.path(f"{folder}/updates/dkms/nvidia.ko.zst")]]


def test_rhel_boots_what_its_entries_say(tree):
    old = "5.14.0-362.el9.x86_64"
    tree.put("/proc/sys/kernel/osrelease", f"{RHEL}\n")
    tree.kernel(RHEL)
    tree.kernel(old)
    tree.put("/boot/grub2/grub.cfg", 'set default="${saved_entry}"\nblscfg\n')
    tree.put("/boot/grub2/grubenv", f"saved_entry=4711-{old}\n")
    for release in (RHEL, old):
        tree.put(f"/boot/loader/entries/4711-{release}.conf", f"title R {release}\nlinux /vmlinuz-{release}\n")
        tree.put(f"/boot/initramfs-{release}.img", lzma.compress(cpio(("init", b"x"))))
    tree.put(f"/lib/modules/{RHEL}/extra/nvidia.ko.xz", lzma.compress(module()))
    found = probe_kernels.probe(tree.ports(), None)
    assert (found.next and found.next.release, found.said_by) == (old, "/boot/loader/entries")
    assert [file.version for file in found.running.modules] == ["580.126.16"]
    assert carried(found.next) == (f"/boot/initramfs-{old}.img", (), False, "", "")


def test_suse_links_modules_of_another_kernel(tree):
    tree.put("/proc/sys/kernel/osrelease", f"{SUSE}\n")
    tree.kernel(SUSE)
    tree.put("/lib/modules/6.4.0-150600.21-default/updates/nvidia.ko", module())
    tree.link(
        f"/lib/modules/{SUSE}/weak-updates/updates/nvidia.ko", "/lib/modules/6.4.0-150600.21-default/updates/nvidia.ko"
    )
    tree.link(f"/lib/modules/{SUSE}/weak-updates/updates/nvidia-current.ko", "/gone.ko")
    tree.put(f"/boot/initrd-{SUSE}", cpio(("init", b"x")))
    found = probe_kernels.probe(tree.ports(), None)
    assert [(file.path, file.version) for file in found.running.modules] == [
        (f"/lib/modules/{SUSE}/weak-updates/updates/nvidia.ko", "580.126.16")
    ]
    assert carried(found.running).path == f"/boot/initrd-{SUSE}"


@pytest.mark.parametrize("broken", [b"", b"not a module", module(version=None), module()[:90]])
def test_a_broken_module_is_none(tree, broken):
    tree.put("/m/nvidia.ko", broken)
    tree.put("/m/nvidia.ko.xz", lzma.compress(broken) if broken else b"")
    assert probe_kernels.module_file(tree.ports(), "/m/nvidia.ko") is None
    assert probe_kernels.module_file(tree.ports(), "/m/nvidia.ko.xz") is None


def test_a_kernel_without_modules_does_not_boot_next(tree):
    tree.kernel(OLDER)
    tree.put(f"/boot/vmlinuz-{KERNEL}")
    tree.put("/boot/grub/grub.cfg", f"menuentry 'x' {{\nlinux /boot/vmlinuz-{KERNEL}\n}}\n")
    assert probe_kernels.next_release(tree.files) == (OLDER, "highest version in /boot")


def test_the_boot_loader_may_name_a_link(tree):
    tree.kernel(OLDER)
    tree.kernel(KERNEL)
    tree.link("/boot/vmlinuz", f"vmlinuz-{OLDER}")
    tree.put("/boot/grub/grub.cfg", "menuentry 'x' {\nlinux /vmlinuz\n}\n")
    assert probe_kernels.next_release(tree.files) == (OLDER, "/boot/grub/grub.cfg")


def test_a_node_without_kernels_of_its_own_has_no_next_one(tree):
    assert probe_kernels.next_release(tree.files) == (None, "")


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


# --- users ---

HUNG = GpuHungError("nvmlInit did not answer", call="nvmlInit", gpu=None, deadline=30)


@pytest.mark.parametrize(
    ("library", "module_version", "answer", "wanted"),
    [
        (None, "580.1", None, ("missing", "the NVIDIA library libnvidia-ml.so.1 is not on this node")),
        ("580.1", None, None, ("not_loaded", "the kernel module nvidia is not loaded")),
        (
            "580.2",
            "580.1",
            None,
            ("mismatch", "libnvidia-ml.so.1 is version 580.2 but the loaded kernel module is version 580.1"),
        ),
        ("580.1", "580.1", HUNG, ("hung", "nvmlInit did not answer")),
        ("580.1", "580.1", NvmlError("nvmlInit failed: UNKNOWN"), ("failed", "nvmlInit failed: UNKNOWN")),
        ("580.1", "580.1", DriverMissingError("no module", state="not_loaded"), ("not_loaded", "no module")),
    ],
)
def test_an_answer_that_is_known_is_not_asked_for(tree, library, module_version, answer, wanted):
    def opened():
        assert answer is not None, "NVML was asked"
        return Session(answer)

    found = probe_users.ask(tree.ports(opened), library, module_version, False)
    assert (found.state, found.why) == wanted


def test_a_missing_binding_goes_up(tree):
    with pytest.raises(BindingWantedError):
        probe_users.ask(tree.ports(lambda: Session(BindingWantedError("no pynvml"))), "580.1", "580.1", False)


@pytest.mark.parametrize(
    ("states", "wanted"),
    [(("completed", "completed"), "completed"), (("completed", "in_progress"), "in_progress"), ((None, None), None)],
)
def test_the_fabric_is_complete_where_every_gpu_says_so(tree, states, wanted):
    cards = [
        dataclasses.replace(gpu("h100-80gb-sxm5"), health={"fabric": state and {"state": state}}) for state in states
    ]
    session = Session(node(*cards))
    assert probe_users.ask(tree.ports(lambda: session), "580.1", "580.1", True).fabric == wanted
    assert session.subsets == ("identity", "mig", "processes", "health")


def test_owners_count_without_an_answer_of_the_driver():
    owners = Owners(
        (Owner("kubelet", asked=False, why="refused"), Owner("docker")),
        (Allocation("docker 0123", "all"), Allocation("job 7", "minor:1", 99)),
    )
    assert probe_users.busy_gpus(probe_users.Answer("not_loaded", owners=owners)) == (
        Busy("all GPUs", "kubelet (could not be asked: refused)", True),
        Busy("all GPUs", "docker 0123", False),
        Busy("minor:1", "job 7", True),
    )


HELD = Owners((Owner("docker"),), (Allocation("docker 0123", "GPU-lost"),))
SILENT_OWNER = Owners((Owner("kubelet", asked=False, why="refused"),))


@pytest.mark.parametrize(
    ("kind", "owners", "at_work"),
    [
        ("gpu_hung", Owners(), True),
        ("nvml", Owners(), True),
        # It runs nothing, and who keeps it open is found there; only what an owner holds has no process.
        ("gpu_lost", Owners(), False),
        ("gpu_lost", HELD, True),
        ("gpu_lost", SILENT_OWNER, True),
    ],
)
def test_a_gpu_without_an_answer_may_be_at_work(kind, owners, at_work):
    seen = dataclasses.replace(node(), failures=(GpuFailure(3, kind, "it is away", pci="0000:86:00.0"),))
    found = probe_users.busy_gpus(probe_users.Answer("answers", snapshot=seen, owners=owners))
    assert (Busy("GPU 0000:86:00.0", "it gives no answer (it is away)", True) in found) is at_work


def process(tree, pid, comm, device, unit):
    tree.put(f"/proc/{pid}/comm", comm)
    tree.put(f"/proc/{pid}/cgroup", f"0::/system.slice/{unit}\n")
    tree.put(f"/proc/{pid}/stat", f"{pid} ({comm}) S 1")
    tree.link(f"/proc/{pid}/fd/3", device)


def test_open_devices_are_told_with_the_unit_that_may_be_stopped(tree):
    process(tree, 70, "nvidia-persiste", "/dev/nvidia0", "nvidia-persistenced.service")
    process(tree, 71, "trainer", "/dev/nvidia0", "job.service")
    process(tree, 72, "worker", "/dev/nvidia0", "other.service")
    process(tree, 73, "sleeper", "/dev/null", "other.service")
    card = dataclasses.replace(gpu("a100-80gb"), processes=(Process(72, "compute"),))
    assert probe_users.open_devices(tree.ports(), node(card)) == (
        ("nvidia-persiste of nvidia-persistenced.service", "nvidia-persistenced.service", 70),
        ("trainer of job.service", None, 71),
    )


def test_a_display_manager_is_known_by_its_own_name_and_stopped_where_nobody_works_on_it(tree):
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
