# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the failed tests of a JUnit report: failures.py REPORT. A scenario that did not come to its tests has none."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def failures(report: str) -> list[str]:
    """What pytest wrote of each test that failed or could not start."""
    found = []
    for case in ElementTree.fromstring(report).iter("testcase"):
        for kind in ("failure", "error"):
            found += [f"{case.get('name')}: {one.text or one.get('message')}" for one in case.iter(kind)]
    return found


def main(path: Path) -> None:
    for one in failures(path.read_text(encoding="utf-8")) if path.is_file() else ():
        print(f"----- {path.stem} {one}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
