# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On a node of the lab: the running kernel's initramfs gets the module of an older driver."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, "/usr/lib/accel-lab")
import initrd
import ko

kernel = os.uname().release
image = Path(f"/boot/initrd.img-{kernel}")
files = initrd.read(image.read_bytes())
files[f"usr/lib/modules/{kernel}/updates/dkms/nvidia.ko"] = ko.module("", "570.195.03", kernel, "open")
image.write_bytes(initrd.write(files))
