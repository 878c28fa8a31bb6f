# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between GPU architectures and cannot be asked through NVML. PRIVATE to the collection."""

from __future__ import annotations

import typing as t


class Architecture(t.NamedTuple):
    """`mode_needs_reset`: SetMigMode takes effect after a reset of the GPU. `mode_survives_reboot`: the mode is kept
    in the card; elsewhere it lasts as long as the driver is loaded."""

    mode_needs_reset: bool
    mode_survives_reboot: bool


# Source: NVIDIA MIG User Guide, "Getting Started with MIG", section "Enable MIG Mode": A100 and A30 need a reset and
# keep the mode in the InfoROM; "starting with the Hopper generation" neither is so. NVIDIA's own tools decide by
# nvmlDeviceGetArchitecture >= HOPPER.
ARCHITECTURES: t.Dict[str, Architecture] = {
    "ampere": Architecture(mode_needs_reset=True, mode_survives_reboot=True),
    "hopper": Architecture(mode_needs_reset=False, mode_survives_reboot=False),
    "blackwell": Architecture(mode_needs_reset=False, mode_survives_reboot=False),
}

# Architectures that this table does not know yet are later ones.
NEWER = Architecture(mode_needs_reset=False, mode_survives_reboot=False)


def architecture(name: t.Optional[str]) -> Architecture:
    """The rules for `Gpu.architecture`, in any case of letters."""
    return ARCHITECTURES.get((name or "").lower(), NEWER)
