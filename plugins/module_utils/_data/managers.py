# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How other managers of GPUs show themselves on a node. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

# A directory on which the driver of a container is mounted. Source: GPU Operator, driver daemonset's host path.
DRIVER_MOUNT = "/run/nvidia/driver"

# A unit that changes MIG by itself. Source: mig-parted deployments/systemd, WantedBy in nvidia-mig-manager.service.
UNITS: t.Tuple[t.Tuple[str, str], ...] = (("nvidia-mig-manager.service", "NVIDIA's mig-manager"),)
UNIT_DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system")

# Files of GPU Operator's toolkit: the marker its operands wait for, and its default installation directory
# (packages of a distribution or of NVIDIA install to /usr/bin).
TOOLKIT_FILES = ("/run/nvidia/validations/toolkit-ready", "/usr/local/nvidia/toolkit/nvidia-container-runtime")
