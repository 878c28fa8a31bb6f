# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that keep GPUs open without being work. PRIVATE to the collection.

They may be stopped for a mode change or a reset and are always started again, in reverse order. Fabric manager,
nvlsm and imex are never among them: CUDA jobs of the whole node may be aborted when they end (rule 6 of the live-node
rules), and a reset of one GPU does not need them gone.
"""

from __future__ import annotations

import typing as t

# (unit, why it holds a GPU and where that is said), in the order of stopping: who uses another service goes first.
STOPPABLE: t.Tuple[t.Tuple[str, str], ...] = (
    ("dcgm-exporter.service", "client of DCGM; mig-parted deployments/systemd/hooks.sh stops it, k8s_services"),
    # Not verified against a package: the name of GPU Operator's DaemonSet, which units written by hand carry too.
    ("nvidia-dcgm-exporter.service", "client of DCGM"),
    ("nvsm.service", "DGX system management; mig-parted deployments/systemd/hooks.sh stops it, driver_services"),
    ("nvidia-dcgm.service", "MIG user guide: daemons with handles, DCGM by name; mig-parted hooks.sh driver_services"),
    ("dcgm.service", "older name of the same: DCGM's unit nvidia-dcgm.service says Conflicts=dcgm.service"),
    ("nvidia-persistenced.service", "keeps every GPU open by its purpose; NVIDIA/gpu-operator issue 118"),
)

# (module, its parameter, the value with which it keeps every GPU open in the kernel). Such a GPU cannot be reset, and
# no process shows it. Source: NVIDIA/mig-parted README, known issues, and its issue 181.
KERNEL_MODULES: t.Tuple[t.Tuple[str, str, str], ...] = (("nvidia_drm", "modeset", "Y"),)

# How long fabric manager may take to register GPUs after a reset or a reload. NVIDIA's Fabric Manager User Guide names
# no time and none was measured; it is what playbook driver_upgrade waits by default (verify_timeout).
FABRIC_SECONDS = 300.0

# Keeps /dev/dri open for a session on its display (TakeDevice in org.freedesktop.login1(5)); lets go with the session.
FOR_SESSIONS: t.Tuple[str, ...] = ("systemd-logind.service",)

# Opens of these units are neither work nor in the way.
IGNORED: t.Tuple[str, ...] = (
    "nvidia-fabricmanager.service",
    "nvidia-imex.service",
    "nvlsm.service",
    "nvidia-nvlsm.service",
)
