# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a node shows what the driver core has to know: files of ours, boot files, packages. PRIVATE."""

from __future__ import annotations

import typing as t

# Files of ours have this in their names; they lie in these folders.
OUR_MARK = "accel-gpu"
OUR_FOLDERS: t.Tuple[str, ...] = (
    "/etc/apt/sources.list.d",
    "/etc/apt/keyrings",
    "/usr/share/keyrings",
    "/etc/apt/preferences.d",
    "/etc/apt/apt.conf.d",
    "/etc/yum.repos.d",
    "/etc/pki/rpm-gpg",
    "/etc/zypp/repos.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
)

# What modprobe reads, and so may blacklist nouveau. Source: modprobe.d(5).
MODPROBE_FOLDERS: t.Tuple[str, ...] = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")

# Debian and Ubuntu, RHEL family, SUSE: what their packages of kernels and GRUB write.
GRUB_CONFIGS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
GRUB_ENVIRONMENTS = ("/boot/grub/grubenv", "/boot/grub2/grubenv")
LOADER_ENTRIES = "/boot/loader/entries"
INITRAMFS = ("/boot/initrd.img-{}", "/boot/initramfs-{}.img", "/boot/initrd-{}")

# Folders of /lib/modules/RELEASE that modules from outside the kernel are put into: DKMS (updates/dkms on Debian, extra
# on RHEL), kmod packages (extra, updates, weak-updates). Those of Ubuntu's linux-modules-nvidia stand in modules.dep.
MODULE_FOLDERS = ("updates", "extra", "weak-updates")

# Where the library lies if ld.so.cache does not say so. The last one is Debian's (driver.md 8).
LIBRARY_FOLDERS: t.Tuple[str, ...] = (
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
)

# What earlier runs wrote down.
RECORDS = "/var/lib/accel-gpu/driver/state.json"
# What each initramfs carried when a run looked into it.
INITRAMFS_RECORD = "/var/lib/accel-gpu/driver/initramfs.json"

# Names of packages of the driver and of what belongs to it, as shell patterns. Sources: driver.md 4, 6 and 8.
PACKAGES: t.Tuple[str, ...] = (
    "*nvidia*",
    "cuda-drivers*",
    "cuda-keyring",
    "libcuda1*",
    "libcudadebugger1*",
    "libnvcuvid1*",
    "libnvidia*",
    "nvlsm",
    "libnvsdm*",
    "datacenter-gpu-manager*",
    "dkms",
)
