# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the kubelet what its pods hold. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from .objects import Owner, Owners
from .podresources import LIST, allocations
from .probe_grpc import GrpcError, unary

if t.TYPE_CHECKING:
    from .._ports import Ports

SOCKET = "var/lib/kubelet/pod-resources/kubelet.sock"
TIMEOUT = 5.0  # seconds
_NAME = "kubelet"


def probe(ports: Ports) -> Owners:
    """No socket, no kubelet. A socket that refuses or stays silent is an owner that cannot be asked."""
    path = os.path.join(ports.root, SOCKET)
    if not os.path.exists(path):
        return Owners()
    try:
        return Owners((Owner(_NAME),), allocations(unary(path, LIST, timeout=TIMEOUT)))
    except (OSError, GrpcError, ValueError) as error:
        return Owners((Owner(_NAME, asked=False, why=f"{path}: {error}"),))
