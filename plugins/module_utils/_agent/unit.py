# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts that put the agent on a node: launcher and boot unit. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

ARCHIVE = "/usr/lib/accel-gpu/accel-gpu.pyz"
BINDING = "/usr/lib/accel-gpu/pynvml.py"
LAUNCHER = "/usr/sbin/accel-gpu"
UNIT_NAME = "accel-gpu.service"
UNIT = f"/etc/systemd/system/{UNIT_NAME}"

# The GPUs are ready for a mode change only once these have settled; both are absent on many nodes, which does no harm.
AFTER = ("nvidia-persistenced.service", "nvidia-fabricmanager.service")

# Rule 29 names who may be held back: engines, schedulers, DCGM and MPS. They give GPUs to work, so none of them may
# see a GPU whose geometry is about to change. Template instances cannot be named here: units of role mps carry
# `After=accel-gpu.service` themselves.
HELD = (
    "docker.service",
    "containerd.service",
    "crio.service",
    "kubelet.service",
    "slurmd.service",
    "nvidia-dcgm.service",
    "dcgm.service",
    "nvidia-mps.service",
    "nvidia-cuda-mps.service",
    "accel-gpu-mps.service",
)
# A specification of devices that is written too early is only out of date: ordered, never held back.
ORDERED = (*HELD, "nvidia-cdi-refresh.service", "nvidia-dcgm-exporter.service")

# The agent stops by itself this many seconds before systemd would kill it, so that its summary is written.
GRACE = 10


def launcher_text(interpreter: str) -> str:
    """`interpreter` is the Python that ran the module. -I: nobody's PYTHONPATH reaches a tool of root."""
    return f'#!/bin/sh\n# Managed by accel.gpu, role node_agent.\nexec {interpreter} -IB {ARCHIVE} "$@"\n'


def unit_text(timeout: int, failure: str) -> str:
    """The boot unit. `timeout` in seconds; `failure` is hold or continue (`mig_boot_failure`).

    Hold is Requires= (written as RequiredBy= links, which also bind units that are installed later). Requires= would
    carry a manual stop of this unit over to Docker and with it to running jobs, hence RefuseManualStop.
    """
    lines = [
        "# Managed by accel.gpu, role node_agent.",
        "[Unit]",
        "Description=Bring back the declared state of the GPUs (accel.gpu)",
        f"After={' '.join(AFTER)}",
        f"Before={' '.join(ORDERED)}",
        "RefuseManualStop=yes",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        f"ExecStart={LAUNCHER} boot --timeout {max(timeout - GRACE, 1)} --on-failure {failure}",
        f"TimeoutStartSec={timeout}",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    if failure == "hold":
        lines.append(f"RequiredBy={' '.join(HELD)}")
    return "\n".join(lines) + "\n"


def wanted_links(failure: str) -> t.Tuple[str, ...]:
    """The links that `systemctl enable` makes for this unit: sorted absolute paths."""
    links = ["/etc/systemd/system/multi-user.target.wants"]
    if failure == "hold":
        links += [f"/etc/systemd/system/{unit}.requires" for unit in HELD]
    return tuple(sorted(f"{folder}/{UNIT_NAME}" for folder in links))
