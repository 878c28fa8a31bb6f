# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for `nvidia-ctk cdi generate`: the devices that exist now, as JSON (which YAML readers take)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import sim

LINE = re.compile(r"^(\s*)(GPU|MIG)\b.*?(\d+): .*\(UUID: ([^)]+)\)$")


def main(target: Path) -> None:
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    names, gpu = [], ""
    for line in done.stdout.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        indent, _kind, number, uuid = match.groups()
        gpu = gpu if indent else number
        names += [f"{gpu}:{number}" if indent else number, uuid]
    document = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": name, "containerEdits": {}} for name in names],
    }
    sim.put(target, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
