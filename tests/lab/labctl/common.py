# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors, progress lines and the few paths that all parts of the lab share."""

from __future__ import annotations

import sys
import time
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
REPOSITORY = LAB.parent.parent
BUILD = REPOSITORY / ".build"
IMAGE = LAB / "image"
GPUSIM = LAB / "gpusim"


class LabError(Exception):
    """The lab cannot do what was asked; the message says what to do about it."""


class Progress:
    """One line per step on standard error, each with the seconds since the start."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.started = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        sys.stderr.write(f"lab: {self.topic}: {self.elapsed():5.1f} s  {text}\n")
        sys.stderr.flush()
