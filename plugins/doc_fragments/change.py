# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of all modules that change the GPUs of a node."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  takeover:
    description:
      - Act although another manager of GPUs is found on the node, such as an enabled C(nvidia-mig-manager.service), a
        mounted C(/run/nvidia/driver) or GPU Operator's toolkit.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for another run that changes GPUs on the same node.
    type: float
    default: 300
notes:
  - Needs root, so use C(become).
"""
