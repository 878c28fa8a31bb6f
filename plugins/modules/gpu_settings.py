#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_settings. The work is done in module_utils/_settings; pynvml comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_settings
short_description: Make the declared power limit, clocks and modes of GPUs
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Compares persistence mode, ECC, power limit, compute mode, application clocks, locked clocks, auto boost and
    accounting mode with what is declared, and sets only what differs.
  - Ranges and supported clocks are asked of the live GPUs, for all of them, before anything is touched. A value out of
    range fails and says what the GPU allows.
  - Each setting is ruled by itself. An item for all GPUs that wishes ECC and one for a group that wishes a power limit
    both count.
  - Settings with another owner are left to it. The compute mode of a GPU that MPS serves belongs to MPS, persistence
    mode to C(nvidia-persistenced) where its unit is installed and not masked. A wish that contradicts is an error.
  - A change that running work would feel is not made on a GPU in use, see O(when_busy). In use means a process on it,
    or an allocation that kubelet, Slurm, a container engine, an MPS daemon or a virtual machine knows. ECC, which waits
    for a reset, and switching persistence mode or accounting mode on disturb nobody and are done at once.
  - What was set is read back. A value that the hardware rounds is accepted and named, and the next run takes it for
    right.
  - NVML reads no locked clock back. What was locked is remembered until the next boot or load of the driver, and locked
    again where the GPU runs above it or where other settings show that the GPU was reset. A lock that somebody opens by
    hand is not seen as long as the GPU stays below it.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.declare_module
  - accel.gpu.attributes.actiongroup_nvml
  - accel.gpu.change
  - accel.gpu.expected
  - accel.gpu.nvml
attributes:
  check_mode:
    details:
      - Where no driver answers yet, RV(actions) says that the settings are deferred until role C(gpu_driver) has run.
options:
  state:
    description:
      - V(present) makes what is declared.
      - V(absent) takes every GPU back to the driver's defaults, all options that declare something are not read then.
        ECC is left as it is, and so is what belongs to C(nvidia-persistenced) or MPS. With O(persist) the stored wish
        is removed; as long as a GPU in use is deferred, the wish to take it back is stored for the node agent.
    type: str
    choices: [present, absent]
    default: present
  settings:
    description:
      - A list of what is wanted for which GPUs. An item has C(gpus) (the selector) and one or more settings, and may
        have C(except), C(reason) and C(until).
      - >-
        C(gpus) is V(all) or a dictionary with exactly one of C(uuid) (in full or its beginning), C(pci), C(index),
        C(model) (a glob over the name) and C(device_id) (such as V(10de:20b5)). For each setting the most specific
        selector wins; a tie inside one list is an error.
      - C(persistence_mode) is a boolean.
      - C(ecc) is a boolean or V(default). It takes effect at the next reset of the GPU, until then the GPU is in
        RV(reset_required).
      - C(power_limit) is a number of watts or V(default).
      - C(compute_mode) is V(default), V(exclusive_process) or V(prohibited). In MIG mode there is V(default) only.
      - C(application_clocks) is a dictionary with C(graphics) and C(memory) in MHz, one of the pairs that the GPU
        supports, or V(default). GPUs of Blackwell and later do not offer it.
      - C(locked_clocks) and C(locked_memory_clocks) are dictionaries with C(min) and C(max) in MHz, or V(default),
        which opens the lock.
      - C(auto_boost) is a boolean or V(default). Only GPUs before Pascal offer it.
      - C(accounting_mode) is a boolean. In MIG mode it is off.
      - A setting that no item names is left alone, and so is one whose value is empty.
    type: raw
  settings_group:
    description: A further list that is laid over O(settings); it wins where selectors are of equal rank.
    type: raw
  settings_host:
    description: A further list that is laid over O(settings_group).
    type: raw
  when_busy:
    description:
      - V(refuse) fails where running work would feel a change, and names its owner. Nothing is changed then.
      - V(defer) leaves these settings of the GPU as they are, lists the GPU in RV(deferred) and sets everything else.
    type: str
    choices: [refuse, defer]
    default: refuse
  persist:
    description:
      - Also write the wish to C(/etc/accel-gpu/wish.d/settings.json), from which the node agent makes it again at boot.
    type: bool
    default: false
  address_prefix:
    description:
      - Put in front of the names of options in messages and in RV(actions). Role P(accel.gpu.gpu_settings#role) gives
        V(gpu_), so that messages name its variables.
    type: str
    default: ""
notes:
  - Power limit, clocks, compute mode and accounting mode fall back when the GPU is reset, the driver is loaded again
    or, without persistence mode, its last client ends. The node agent sets them again at boot.
seealso:
  - module: accel.gpu.gpu_info
  - module: accel.gpu.mig_geometry
  - module: accel.gpu.node_agent
"""

EXAMPLES = r"""
- name: ECC everywhere, less power on every A100
  accel.gpu.gpu_settings:
    settings:
      - {gpus: all, ecc: true}
      - {gpus: {model: "*A100*"}, power_limit: 300}
  become: true

- name: Steady clocks for a benchmark, while nobody works on these GPUs
  accel.gpu.gpu_settings:
    settings:
      - gpus: {pci: "0000:3b:00.0"}
        locked_clocks: {min: 1200, max: 1200}
        locked_memory_clocks: {min: 1593, max: 1593}
        reason: benchmark
        until: 2026-12-01
    when_busy: defer
  become: true

- name: One process a GPU, again after each boot
  accel.gpu.gpu_settings:
    settings:
      - {gpus: all, except: [{index: 0}], compute_mode: exclusive_process}
    persist: true
  become: true

- name: Take everything back to the driver's defaults, and forget what was wished
  accel.gpu.gpu_settings:
    state: absent
    persist: true
  become: true
"""

RETURN = r"""
actions:
  description:
    - What was or would be done, and what was left alone, with the reason. Each has C(action), C(object) and C(reason),
      those of a GPU have C(gpu), those of a setting C(setting).
  returned: always
  type: list
  elements: dict
  sample:
    - action: set_setting
      gpu: GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97
      setting: power_limit
      object: power_limit 300 W
      reason: wished by settings[1]; it is 400 W
gpus:
  description:
    - The GPUs of the node after the run, in check mode as they are. A setting that the GPU does not offer is null.
      C(ecc) is what it is after the next reset; locked clocks are those that are remembered, null where nothing is.
  returned: always
  type: list
  elements: dict
  sample:
    - uuid: GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97
      name: NVIDIA A100-SXM4-80GB
      pci: "0000:10:00.0"
      settings:
        persistence_mode: true
        ecc: true
        power_limit: 300.0
        compute_mode: default
        application_clocks: {graphics: 1275, memory: 1593}
        auto_boost: null
        accounting_mode: false
        locked_clocks: null
        locked_memory_clocks: null
rounded:
  description: A sentence for each value that the hardware rounded when it was set.
  returned: when something was changed
  type: list
  elements: str
  sample: []
reset_required:
  description: UUIDs of the GPUs whose wished ECC mode waits for a reset. Never counts as changed.
  returned: always
  type: list
  elements: str
  sample: []
deferred:
  description: UUIDs of the GPUs that differ from the wish and were left as they are because they are in use.
  returned: always
  type: list
  elements: str
  sample: []
subject:
  description: What RV(reset_required) and RV(deferred) are about.
  returned: always
  type: str
  sample: settings
error:
  description:
    - What went wrong, for machines. C(kind) is a stable word such as V(wish), V(busy), V(blocked), V(foreign_manager),
      V(locked), V(permission), V(driver_missing), V(gpu_hung), V(apply).
  returned: failure
  type: dict
  sample:
    kind: wish
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.arguments import EXPECTED_ARGUMENTS, NVML_ARGUMENTS
from ..module_utils._module.declare import run_declare
from ..module_utils._settings import resident


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "settings": {"type": "raw"},
            "settings_group": {"type": "raw"},
            "settings_host": {"type": "raw"},
            "when_busy": {"type": "str", "choices": ["refuse", "defer"], "default": "refuse"},
            "takeover": {"type": "bool", "default": False},
            "persist": {"type": "bool", "default": False},
            "address_prefix": {"type": "str", "default": ""},
            "lock_timeout": {"type": "float", "default": 300},
            **EXPECTED_ARGUMENTS,
            **NVML_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_declare(module, resident)


if __name__ == "__main__":
    main()
