#!/usr/bin/env python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put NVIDIA's own nvml.h (from the PyPI package nvidia-nvml-dev) into a folder. It is never committed.

Usage: fetch_header.py FOLDER
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import zipfile

# The newest 13.x that the simulator was compiled against; a newer one only adds stubs.
REQUIREMENT = "nvidia-nvml-dev>=13,<14"


def download(folder: pathlib.Path) -> pathlib.Path:
    """Download the wheel with pip (no dependencies, any platform tag that fits) and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(folder), REQUIREMENT], check=True)
    return next(folder.glob("*.whl"))


def main() -> int:
    target = pathlib.Path(sys.argv[1]) / "nvml.h"
    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download(pathlib.Path(folder))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("/nvml.h"))
        temporary = target.with_suffix(".new")
        temporary.write_bytes(wheel.read(name))
    temporary.replace(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
