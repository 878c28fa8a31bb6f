# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names by which Kubernetes knows NVIDIA's resources and services. PRIVATE to the collection."""

from __future__ import annotations

# Resources of NVIDIA's device plugin, of its MIG strategies and of the sharing schedulers built on it.
RESOURCES = "nvidia.com/"

# The GPU Operator's services (DaemonSets) select nodes by these labels with the value "true"; since 26.7 there is
# gpu.deploy.client for services of others. Who changes the driver sets the value below, upon which the DaemonSet
# controller removes the pod, and afterwards "true" again. Source: k8s-driver-manager, cmd/driver-manager/main.go
# (maybeSetPaused).
DEPLOY = "nvidia.com/gpu.deploy."
# Of the operator's own driver, which no node has whose driver comes from packages.
DEPLOY_DRIVER = "nvidia.com/gpu.deploy.driver"
DEPLOYED = "true"
PAUSED = "paused-for-driver-upgrade"

# Last parts of the names of images whose processes keep GPUs open without asking for any: NVIDIA's device plugin, DCGM,
# its exporter (nvcr.io/nvidia) and HAMi (docker.io/projecthami).
IMAGES = ("k8s-device-plugin", "dcgm", "dcgm-exporter", "hami")
# With these a container sees the GPUs of its node. Source: the NVIDIA Container Toolkit's documentation.
RUNTIME_CLASS = "nvidia"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
INVISIBLE = ("", "void", "none")
