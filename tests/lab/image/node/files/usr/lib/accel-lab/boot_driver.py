# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's part of a boot: the one that comes with the node, or what udev would load of what packages installed."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import initrd
import installed
import kmod
import modules
import sim


def bake(version: t.Optional[str]) -> None:
    """Put library and nvidia-smi where packages put them (None: take away what was put there before)."""
    folder = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu"
    smi = Path("/usr/bin/nvidia-smi")
    before = installed.baked()
    if before:
        for old in (folder / f"libnvidia-ml.so.{before}", folder / "libnvidia-ml.so.1", smi):
            old.unlink(missing_ok=True)
        installed.BAKED.unlink()
    if version is not None:
        sim.put(installed.BAKED, f"{version}\n")
        real = folder / f"libnvidia-ml.so.{version}"
        real.write_bytes(sim.LIBRARY.read_bytes())
        (folder / "libnvidia-ml.so.1").symlink_to(real.name)
        smi.symlink_to("/usr/lib/gpusim/bin/nvidia-smi")
    if before or version is not None:
        subprocess.run(["ldconfig"], check=True)


def autoload(nouveau: bool) -> None:
    """What udev loads for the cards: nouveau where it is not blacklisted, then what packages installed."""
    # the kernel's own driver is in the initramfs, and so are the settings that count for it
    if nouveau and not installed.blocked(modules.NOUVEAU, early_settings()):
        kmod.insert(modules.NOUVEAU)
    if installed.module_file("", os.uname().release) is None or installed.blocked("nvidia", installed.settings()):
        return
    for module in modules.AT_BOOT:
        try:
            kmod.insert(module)
        except kmod.KmodError as error:
            # a machine boots all the same; the journal tells
            sys.stderr.write(f"{module}: {error}\n")
            return


def early_settings() -> str:
    """modprobe's settings in the running kernel's initramfs; without one, those of the root file system."""
    path = Path(f"/boot/initrd.img-{os.uname().release}")
    if not path.exists():
        return installed.settings()
    files = initrd.read(path.read_bytes())
    return "\n".join(data.decode() for name, data in files.items() if name.endswith(".conf"))
