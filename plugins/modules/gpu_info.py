#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_info. The work is done in module_utils/_info; pynvml comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Read driver, GPUs, MIG instances, processes, settings and health of a node in one call
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Reads everything that NVML tells about the GPUs of a node, and who owns them, in one call.
  - A node without driver, a driver without GPU, a GPU that is lost or hangs are answers, not errors; see C(driver) and
    C(failures). What fails on one GPU does not hide the others.
  - Only a GPU that O(expected) declares and that does not answer makes the module fail.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.info_module
  - accel.gpu.attributes.actiongroup_nvml
  - accel.gpu.nvml
  - accel.gpu.gpu_info
attributes:
  platform:
    support: full
    platforms: linux
options:
  subsets:
    description:
      - What to read. Fewer subsets cost the node less. V(identity) is always read.
    type: list
    elements: str
    choices: [identity, mig, processes, allocations, settings, health]
    default: [identity, mig, processes, allocations, settings, health]
  gpus:
    description:
      - Which GPUs stand in C(gpus), V(all) or a dictionary with exactly one of C(uuid) (in full or its beginning),
        C(pci), C(index), C(model) (a glob over the name) and C(device_id).
      - C(except) beside it takes off a list of such dictionaries.
      - A C(uuid), C(pci) or C(index) that matches no GPU is an error, a C(model) or C(device_id) is not.
    type: raw
    default: all
  expected:
    description:
      - What the host declares to have, usually the variable C(accel_gpu_expected). Missing GPUs make the module fail.
        An empty dictionary declares nothing; in any other O(expected.count) is needed.
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
          - Number of active NVLinks of each GPU. Compared with subset V(health) only; fewer are a warning, not a
            failure.
        type: int
      compute_nics:
        description: Not compared here.
        type: int
      gbps:
        description: Not compared here.
        type: float
  exceptions:
    description:
      - GPUs that are known to be missing, usually the variable C(accel_gpu_exceptions). They do not make the module
        fail; past the date there is a warning.
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
notes:
  - Processes of other users are listed for root only, so use C(become).
seealso:
  - module: accel.gpu.mig_geometry
"""

EXAMPLES = r"""
- name: Read everything
  accel.gpu.gpu_info:
  become: true
  register: node

- name: Show the instances of the first GPU
  ansible.builtin.debug:
    msg: "{{ node.gpus[0].mig.instances }}"

- name: Read the readings of all A100, nothing else
  accel.gpu.gpu_info:
    subsets: [health]
    gpus: {model: "*A100*"}
  become: true

- name: Fail where a declared GPU is missing
  accel.gpu.gpu_info:
    subsets: [identity]
    expected: {count: 8, model: "*A100-SXM4-80GB*"}
    exceptions:
      - {gpu: GPU-5c1e, state: missing, reason: RMA 4711, until: "2026-12-15"}
  become: true
"""

RETURN = r"""
extends_documentation_fragment:
  - accel.gpu.gpu_info
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._info import core
from ..module_utils._module.arguments import EXPECTED_ARGUMENTS, NVML_ARGUMENTS
from ..module_utils._module.info import run_info

SUBSETS = ["identity", "mig", "processes", "allocations", "settings", "health"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "subsets": {"type": "list", "elements": "str", "choices": SUBSETS, "default": SUBSETS},
            "gpus": {"type": "raw", "default": "all"},
            **EXPECTED_ARGUMENTS,
            **NVML_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_info(module, core)


if __name__ == "__main__":
    main()
