# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files as a node has them, constructed (not taken from a machine): kernel modules, initramfs, trees."""

from __future__ import annotations

import struct

from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports

KERNEL = "6.1.0-56-amd64"
OLDER = "6.1.0-9-amd64"


def module(version="580.126.16", license="Dual MIT/GPL", signer=None, more=()):
    """A relocatable ELF file with the sections that matter, in the layout of elf(5)."""
    words = [f"license={license}", *([f"version={version}"] if version else []), "name=nvidia", *more]
    info = b"".join(word.encode() + b"\0" for word in words)
    names = b"\0.modinfo\0.shstrtab\0"
    table = 64 + len(info) + len(names)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 2, 0, 64, len(info), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, 64 + len(info), len(names), 0, 0, 1, 0)
    return header + info + names + sections + (signature(signer) if signer else b"")


def signature(signer):
    """What sign-file appends, as far as the name goes: a common name in DER, the trailer, the magic."""
    name = signer.encode()
    der = b"\x30\x82\x01\x00" + b"\x06\x03\x55\x04\x03" + bytes((0x0C, len(name))) + name + b"\xa5" * 40
    return der + struct.pack(">5B3xI", 0, 0, 2, 0, 0, len(der)) + b"~Module signature appended~\n"


def cpio(*files):
    """An archive in the form newc, padded as the kernel's tools do it."""
    data = b"".join(_entry(name, content) for name, content in (*files, ("TRAILER!!!", b"")))
    return data + bytes(-len(data) % 512)


def _entry(name, content):
    fields = (1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    start = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    start += bytes(-len(start) % 4)
    return start + content + bytes(-len(content) % 4)


class Tree:
    """A node below a folder, and answers of the programs that may be asked."""

    def __init__(self, root):
        self.root = root
        self.files = Files(str(root))
        self.answers = {}
        self.asked = []

    def put(self, path, content=b""):
        self.files.write(path, content.encode() if isinstance(content, str) else content)

    def link(self, path, target):
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to(target)

    def folder(self, path):
        (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def run(self, argv, timeout=None, stdin=None):
        self.asked.append(list(argv))
        return self.answers.get(argv[0], (127, "", f"{argv[0]}: No such file or directory"))

    def kernel(self, release, headers=True):
        self.put(f"/boot/vmlinuz-{release}")
        self.folder(f"/lib/modules/{release}")
        if headers:
            self.folder(f"/usr/src/linux-headers-{release}")
            self.link(f"/lib/modules/{release}/build", f"/usr/src/linux-headers-{release}")

    def device(self, address, vendor, device, device_class, driver=None, **files):
        folder = f"/sys/bus/pci/devices/{address}"
        facts = {"vendor": vendor, "device": device, "class": device_class, **files}
        for name, value in facts.items():
            self.put(f"{folder}/{name}", value if isinstance(value, bytes) else f"{value}\n")
        if driver:
            self.link(f"{folder}/driver", f"../../drivers/{driver}")

    def loaded(self, name, *holders, version=None):
        self.put(f"/sys/module/{name}/initstate", "live\n")
        self.folder(f"/sys/module/{name}/holders")
        if version:
            self.put(f"/sys/module/{name}/version", f"{version}\n")
        for holder in holders:
            self.link(f"/sys/module/{name}/holders/{holder}", f"../../{holder}")

    def ports(self, open_nvml=None):
        return Ports(run=self.run, files=self.files, open_nvml=open_nvml, root=str(self.root))


def debian(tree):
    tree.put("/etc/os-release", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n')
    tree.put("/proc/sys/kernel/osrelease", f"{OLDER}\n")
    tree.kernel(OLDER)
    tree.kernel(KERNEL, headers=False)
    tree.link(f"/lib/modules/{KERNEL}/build", f"/usr/src/linux-headers-{KERNEL}")  # the package is gone
    tree.put(f"/lib/modules/{OLDER}/updates/dkms/nvidia-current.ko", module("535.309.01", "NVIDIA"))
    tree.put(f"/lib/modules/{OLDER}/updates/dkms/nvidia-current-uvm.ko", module("535.309.01", "NVIDIA"))
    tree.put(f"/boot/initrd.img-{OLDER}", cpio(("usr/lib/modules/x/nvidia-current.ko", module("525.1"))))


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


def process(tree, pid, comm, device, unit):
    tree.put(f"/proc/{pid}/comm", comm)
    tree.put(f"/proc/{pid}/cgroup", f"0::/system.slice/{unit}\n")
    tree.put(f"/proc/{pid}/stat", f"{pid} ({comm}) S 1")
    tree.link(f"/proc/{pid}/fd/3", device)
