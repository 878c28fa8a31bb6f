# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of all modules that open NVML on the node."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  nvml_deadline:
    description:
      - Seconds that one call to the NVIDIA driver may take before its GPU counts as hung.
      - The driver is called in a child process, so a hanging call never hangs the play. The whole reading may take four
        times as long.
    type: float
    default: 30.0
  nvml_binding:
    description:
      - Source of pynvml, packed. Set by the action plugin of this module; leave it out.
      - The plugin first calls the module without it. Only where the node has the driver's library and no pynvml,
        neither in the path of its Python nor beside the node agent, the plugin calls again and brings the control
        node's pynvml, which the module runs in memory.
      - Tasks with C(async) bring it with their first call.
    type: str
requirements:
  - Python 3.9 or newer on the node
  - the NVIDIA driver on the node
  - the Python package C(nvidia-ml-py) on the control node, or on the node
"""
