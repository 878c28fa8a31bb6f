# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes of all modules."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: In check mode nothing on the node changes, and the result says what the run would do.
  diff_mode:
    description: In diff mode the result shows the state before and after.
  idempotent:
    description:
      - A second run with the same options changes nothing, as long as nobody else changes the node in between.
  platform:
    description: Operating systems of the nodes that the module runs on.
"""

    # Together with the standard fragment.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
"""

    # Together with the standard fragment, for modules that bring a node to what is declared.
    DECLARE_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
"""

    # For all modules of the collection.
    ACTIONGROUP_ALL = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/accel.gpu.all) in C(module_defaults) to set options of this module.
    support: full
    membership:
      - accel.gpu.all
"""

    # For modules that open NVML; together with the fragment accel.gpu.nvml.
    ACTIONGROUP_NVML = r"""
options: {}
attributes:
  action_group:
    description: >-
      Use C(group/accel.gpu.nvml) or C(group/accel.gpu.all) in C(module_defaults) to set options of this module.
    support: full
    membership:
      - accel.gpu.all
      - accel.gpu.nvml
"""
