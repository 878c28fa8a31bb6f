# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the driver is on a running system: modules, units, files, and who else holds devices. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .holders import STOPPABLE as _HOLDERS

# Modules that belong to the driver. Source: NVIDIA's driver installation guide, "Kernel Modules".
MODULES: t.Tuple[str, ...] = ("nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm", "nvidia_peermem")
# What a compute node needs in memory; the others are loaded by those who use them. nvidia_uvm is needed by CUDA.
LOADED: t.Tuple[str, ...] = ("nvidia", "nvidia_uvm")

PERSISTENCED = "nvidia-persistenced.service"
FABRIC_MANAGER = "nvidia-fabricmanager.service"
IMEX = "nvidia-imex.service"
# CUDA jobs of the whole node may end with these (rule 6 of the live-node rules): never touched while a GPU is busy. On
# B200 boards nvlsm is started by the fabric manager's unit; a unit of its own is not verified.
FABRIC_UNITS: t.Tuple[str, ...] = (FABRIC_MANAGER, IMEX, "nvlsm.service", "nvidia-nvlsm.service")

# What may be stopped for a reload of the modules and is started again, in the order of stopping: the holders that a reset
# knows, then exporters of other projects. A display manager is in this list only where nobody is logged in, MPS only
# without clients: who reads the node leaves out their unit otherwise.
STOPPABLE: t.Tuple[str, ...] = (
    *(unit for unit, _why in _HOLDERS if unit != PERSISTENCED),
    "nvidia_gpu_exporter.service",  # utkuozdemir/nvidia_gpu_exporter, its own systemd unit
    "display-manager.service",
    "nvidia-mps.service",  # no package ships a unit; the name is the one most write by hand
    *FABRIC_UNITS,
    PERSISTENCED,
)

# Our own files.
MODPROBE_FILE = "/etc/modprobe.d/accel-gpu.conf"
REPOSITORY_NAME = "accel-gpu-driver"

# Where DKMS 3 keeps the certificate that it signs with. Source: SUSE's installation notes for NVIDIA's driver (G07).
DKMS_CERTIFICATE = "/var/lib/dkms/mok.pub"
# Tools without which nothing can be enrolled, where no certificate is there yet.
ENROLMENT_PACKAGES: t.Tuple[str, ...] = ("dkms", "mokutil")
