# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernels of a node, in constructed trees: which one runs, which boots next, and what each has of the driver."""

from __future__ import annotations

import lzma

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_kernels
from ansible_collections.accel.gpu.plugins.module_utils._driver.look.probe_files import resolve
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Kernel, ModuleFile
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import (
    KERNEL,
    OLDER,
    Tree,
    cpio,
    debian,
    module,
)

UBUNTU = "6.8.0-51-generic"
RHEL = "5.14.0-427.13.1.el9_4.x86_64"
SUSE = "6.4.0-150600.23.7-default"


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def carried(kernel):
    """The initramfs without its stamp, which is the file's own."""
    assert kernel is not None and kernel.initramfs is not None
    return kernel.initramfs._replace(stamp="")


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
