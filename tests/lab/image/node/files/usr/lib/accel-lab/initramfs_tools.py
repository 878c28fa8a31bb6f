#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for update-initramfs: an archive with modprobe's settings, and with nvidia's modules if those are listed.

They are listed in /etc/initramfs-tools/modules by the name of any of them, as on a real machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import typing as t
from pathlib import Path

import initrd
import installed

LISTED = Path("/etc/initramfs-tools/modules")
BOOT = Path("/boot")


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="update-initramfs")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-c", dest="create", action="store_true")
    what.add_argument("-u", dest="update", action="store_true")
    what.add_argument("-d", dest="delete", action="store_true")
    parser.add_argument("-k", dest="kernel", default="")
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args(argv)
    for kernel in kernels(options.kernel):
        image = BOOT / f"initrd.img-{kernel}"
        if options.delete:
            image.unlink(missing_ok=True)
        elif options.create or image.exists():
            print(f"update-initramfs: Generating {image}")
            draft = image.with_name(f"{image.name}.new")
            draft.write_bytes(initrd.write(content(kernel)))
            draft.rename(image)
    return 0


def kernels(word: str) -> t.List[str]:
    """`all`, one by its name, or the newest where none is named."""
    found = [path.name[len("vmlinuz-") :] for path in BOOT.glob("vmlinuz-*")]
    found.sort(key=lambda one: [int(part) for part in one.replace("-", ".").split(".") if part.isdigit()])
    if word and word != "all":
        return [word]
    return found if word == "all" else found[-1:]


def content(kernel: str) -> t.Dict[str, bytes]:
    files = {"conf/arch.conf": b"DPKG_ARCH=amd64\n"}
    for folder in installed.MODPROBE_FOLDERS:
        for path in sorted(Path("/", folder).glob("*.conf")):
            if path.exists():
                files[str(path).lstrip("/")] = path.read_bytes()
    if "nvidia" in (LISTED.read_text() if LISTED.exists() else ""):
        tree = installed.MODULES / kernel
        for path in sorted(tree.rglob("nvidia*.ko")):
            files[f"usr{os.path.normpath(path)}"] = path.read_bytes()
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
