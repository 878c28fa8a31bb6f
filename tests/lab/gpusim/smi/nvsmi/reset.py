# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""--gpu-reset: resets exactly the selected GPUs, one after the other, through the simulator's control interface."""

from __future__ import annotations

import os
import typing as t

from nvsmi import errors, options, targets
from nvsmi.binding import control, nv

IN_USE = (
    "%d %s currently being used by one or more other processes (e.g., Fabric Manager, CUDA application, graphics "
    "application such as an X server, or a monitoring application such as another instance of nvidia-smi). Please "
    "first kill all processes using %s and all compute applications running in the system."
)


def main(wish: options.Wish) -> int:
    """Reset the GPUs of -i (all without one). In use ends with 255, not supported with 3, no permission with 4."""
    gpus = targets.select(wish.get("-i"))
    if _euid() != 0:
        raise errors.SmiError(
            errors.NO_PERMISSION,
            "\n".join(f"Unable to reset GPU {_name(gpu)}: Insufficient Permissions" for gpu in gpus),
        )
    refused = []
    for gpu in gpus:
        code, sentence = control(f"reset {gpu.index}")
        if code == 0:
            print(f"GPU {_name(gpu)} was successfully reset.")
        elif "is in use" in sentence:
            refused.append(gpu)
        elif "cannot reset" in sentence:
            raise errors.SmiError(errors.NOT_SUPPORTED, f"Resetting GPU {_name(gpu)} is not supported.")
        else:
            raise errors.SmiError(errors.OTHER, f"Unable to reset GPU {_name(gpu)}: {sentence}")
    if refused:
        raise errors.SmiError(errors.OTHER, _in_use_text(refused))
    print("All done.")
    return errors.OK


def _euid() -> int:
    """The effective user, or the one that tests put in its place for the library too."""
    return int(os.environ.get("GPUSIM_EUID") or os.geteuid())


def _name(gpu: targets.Gpu) -> str:
    return gpu.pci or str(gpu.index)


def _in_use_text(refused: t.Sequence[targets.Gpu]) -> str:
    lines = ["", "The following GPUs could not be reset:"]
    why = nv.nvmlErrorString(nv.NVML_ERROR_IN_USE)
    lines += [f"  GPU {_name(gpu)}: {why}" for gpu in refused]
    one = len(refused) == 1
    words = ("device is", "this device") if one else ("devices are", "these devices")
    return "\n".join(lines + ["", IN_USE % ((len(refused),) + words), ""])
