# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Laying a generated tree over a part of /proc or /sys of this node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sim import RUN


def bind(source: Path, target: Path) -> None:
    """Mount `source` over `target`."""
    subprocess.run(["mount", "--bind", str(source), str(target)], check=True)


def shadow(content: Path, target: Path, keep: bool = False) -> None:
    """Let `target` show `content`; with `keep`, what the kernel has there and `content` has not stays visible.

    Nothing can be created in /proc and /sys. Where this kernel has no such folder, the one above is laid over with a
    copy of itself in links, into which the missing folder fits.
    """
    if not target.is_dir():
        above = RUN / "above" / str(target.parent).strip("/").replace("/", "-")
        (above / target.name).mkdir(parents=True)
        shadow(above, target.parent, keep=True)
    if keep and target.is_dir():
        real = RUN / "real" / str(target).strip("/").replace("/", "-")
        real.mkdir(parents=True)
        subprocess.run(["mount", "--rbind", str(target), str(real)], check=True)
        for name in os.listdir(real):
            if not os.path.lexists(content / name):
                (content / name).symlink_to(real / name)
    bind(content, target)
