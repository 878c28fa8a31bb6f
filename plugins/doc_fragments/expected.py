# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that compare a node with what its host declares to have."""

from __future__ import annotations


class ModuleDocFragment:
    # A module may say more of an option: what it gives itself is laid over this.
    DOCUMENTATION = r"""
options:
  expected:
    description:
      - What the host declares to have, usually the variable C(accel_gpu_expected). Missing GPUs make the module fail
        before anything is changed. An empty dictionary declares nothing; in any other O(expected.count) is needed.
    type: dict
    suboptions:
      count:
        description: Number of GPUs.
        type: int
      model:
        description: Glob over the names of the GPUs, with or without the maker's name in front.
        type: str
      nvlinks:
        description:
          - Number of active NVLinks of each GPU. Compared by M(accel.gpu.gpu_info) with subset V(health) only; fewer
            are a warning, not a failure.
        type: int
      compute_nics:
        description: Not compared here.
        type: int
      gbps:
        description: Not compared here.
        type: float
  exceptions:
    description: GPUs that are known to be missing, usually the variable C(accel_gpu_exceptions).
    type: list
    elements: dict
    default: []
    suboptions:
      gpu:
        description: UUID of the GPU, or its beginning.
        type: str
        required: true
      state:
        description: What is known of it.
        type: str
        choices: [missing]
        required: true
      reason:
        description: Why, such as a ticket number.
        type: str
        required: true
      until:
        description: Last day of the exception, such as V(2026-12-15).
        type: str
        required: true
"""
