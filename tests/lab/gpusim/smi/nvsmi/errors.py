# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a run ends: exit codes as the real command's, and the exception that carries one."""

from __future__ import annotations

import typing as t

OK = 0
BAD_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
NO_DRIVER = 9
NO_LIBRARY = 12
GPU_LOST = 15
OTHER = 255

NO_DRIVER_TEXT = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)
NO_LIBRARY_TEXT = (
    "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display Driver "
    "is properly installed and present in your system.\n"
    "Please also try adding directory that contains libnvidia-ml.so to your system PATH."
)
NO_DEVICES_TEXT = "No devices were found"


class SmiError(Exception):
    """Ends the run: `text` goes to standard output (as the real command does), `code` is the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def exit_code(nvml_code: t.Optional[int]) -> int:
    """The exit code for an NVML return code: the code itself, 255 for NVML_ERROR_UNKNOWN (999) and anything larger."""
    if nvml_code is None or nvml_code > OTHER:
        return OTHER
    return nvml_code


def usage(text: str) -> SmiError:
    """An error of the command line."""
    return SmiError(BAD_ARGUMENT, text)
