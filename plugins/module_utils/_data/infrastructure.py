# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs in pods and containers of a node for the node's own sake and comes again after a boot. PRIVATE.

Whatever is in neither list counts as somebody's work.
"""

from __future__ import annotations

import typing as t

# How namespaces begin that are the cluster's own. Source: kubernetes.io, concepts, namespaces ("avoid creating
# namespaces with the prefix kube-, since it is reserved for Kubernetes system namespaces"); OpenShift documentation,
# working with projects ("projects starting with openshift- and kube- ... host cluster components").
NAMESPACE_PREFIXES: t.Tuple[str, ...] = ("kube-", "openshift-")

# Namespaces of operators that look after nodes. Source: NVIDIA's installation guides, with Helm and on OpenShift, of
# the GPU Operator (gpu-operator, nvidia-gpu-operator) and of the Network Operator (network-operator,
# nvidia-network-operator).
NAMESPACES: t.FrozenSet[str] = frozenset(
    ("gpu-operator", "nvidia-gpu-operator", "network-operator", "nvidia-network-operator")
)

# Programs of containers outside Kubernetes: exporters that the collection knows as holders (_data/holders.py,
# _data/driver_system.py), Prometheus' node_exporter, and Kubernetes' own where a distribution runs them in containers.
PROGRAMS: t.FrozenSet[str] = frozenset(
    ("dcgm-exporter", "nv-hostengine", "nvidia_gpu_exporter", "node_exporter", "kubelet", "kube-proxy")
)
