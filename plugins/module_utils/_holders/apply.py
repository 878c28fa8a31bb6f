# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stop and start the units that hold GPUs, and reset a GPU. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import ApplyError, BlockedError, GpuHungError
from .._run import TIMED_OUT

if t.TYPE_CHECKING:
    from .._ports import Ports

RESET_SECONDS = 120.0
UNIT_SECONDS = 90.0  # systemd's own default for stopping a service
BOOT_UNIT = "accel-gpu.service"


def stop(ports: Ports, unit: str) -> None:
    code, _out, err = ports.run(["systemctl", "stop", unit], timeout=UNIT_SECONDS)
    if code != 0:
        raise BlockedError(f"{unit} holds the GPU and could not be stopped ({err.strip()}); stop it by hand", unit=unit)


def start(ports: Ports, units: t.Sequence[str]) -> t.Dict[str, str]:
    """Starts units that were stopped in this order, the last one first; a sentence for each that did not start."""
    if not units:
        return {}
    flags = ["--no-block"] if _starting(ports) else []
    failed = {}
    for unit in reversed(units):
        code, _out, err = ports.run(["systemctl", "start", *flags, unit], timeout=UNIT_SECONDS)
        if code != 0:
            failed[unit] = f"{unit} was stopped for this change and did not start again ({err.strip()})"
    return failed


def _starting(ports: Ports) -> bool:
    """Are we the boot unit, at boot or when somebody starts it again? Holders are ordered after it, so a start that
    waits would wait for us."""
    state = ports.run(["systemctl", "is-system-running"], timeout=UNIT_SECONDS)[1].strip()
    ours = ports.run(["systemctl", "is-active", BOOT_UNIT], timeout=UNIT_SECONDS)[1].strip()
    return state not in ("running", "degraded") or ours == "activating"


def reset(ports: Ports, *pci: str) -> None:
    """Resets GPUs in one command (live_node rule 13). The caller gives back its own NVML session before: it would be
    in the way."""
    argv = ["nvidia-smi", "--gpu-reset", "-i", ",".join(pci)]
    code, out, err = ports.run(argv, timeout=RESET_SECONDS)
    if code == TIMED_OUT:
        raise GpuHungError(
            f"{' '.join(argv)} did not end within {RESET_SECONDS:g} s; drain the node and reboot it",
            call="nvidia-smi --gpu-reset",
            gpu=",".join(pci),
            deadline=RESET_SECONDS,
        )
    if code != 0:
        said = " ".join((err + " " + out).split()) or "no output"
        raise ApplyError(f"{' '.join(argv)} ended with {code}: {said}", exit_code=code)
