# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which load of the driver is this? What was set before it is gone. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import os

_MODULE = "sys/module/nvidia"


def driver_load(root: str) -> str:
    """Another word after each load of the driver: the kernel gives each new directory of /sys a new inode number.

    Not verified on a machine with a GPU. "" where no module shows itself.
    """
    try:
        return str(os.stat(os.path.join(root, _MODULE)).st_ino)
    except OSError:
        return ""
