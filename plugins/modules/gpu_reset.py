#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_reset. The work is done in module_utils/_reset; pynvml comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_reset
short_description: Reset GPUs that nobody works on, and bring back what a reset takes away
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Resets the named GPUs with C(nvidia-smi --gpu-reset), each by its PCI address and under a deadline.
  - A GPU that is in use is never reset. In use means a process on it, or an allocation that kubelet, Slurm, a container
    engine, an MPS daemon or a virtual machine knows; see O(when_busy) and O(allow_reset_allocated).
  - Services that are known to hold GPUs open, such as nvidia-persistenced and DCGM, are stopped for the reset and
    started again. Fabric manager, nvlsm and imex are never stopped. Who else holds the GPU open makes the module fail.
  - Power limit, application clocks, compute mode and the other settings that NVML reads back are set again as they
    were; for a GPU that gave no answer before, as the stored wish of the node C(/etc/accel-gpu/wish.d/settings.json)
    says. Owners and modes of the driver's files in C(/dev) that something else than the driver has set come back too,
    but for the files of MIG instances.
  - The MIG geometry comes back in the same run, as the stored wish of the node C(/etc/accel-gpu/wish.d/mig.json) says,
    or, where there is none, as it was found. A MIG mode that was pending and that nobody wishes is taken back before
    the reset.
  - GPUs that NVLink couples, so that they can only be reset in one command, are reset together or not at all. These are
    peers of architectures before Ampere, and GPUs of Ampere boards with NVSwitches while fabric manager does not run.
  - A GPU that gives no answer but still tells its UUID and PCI address, for its driver says that it needs a reset, is
    reset too, as long as no process has a GPU device open that belongs to no answering GPU.
  - Afterwards every GPU is read again. It must answer, have its geometry, and its driver must ask for no reset any
    more. Where there is an NVLink fabric, it must have the GPU again; that is waited for, 300 seconds at most.
  - If a step fails, the old layout is restored and the error says so. A journal lets the next run of this module or of
    M(accel.gpu.mig_geometry) settle what a killed run left.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.actiongroup_nvml
  - accel.gpu.change
  - accel.gpu.nvml
attributes:
  check_mode:
    support: full
    details:
      - Where no driver answers yet, RV(actions) says that the reset is deferred until role C(gpu_driver) has run.
  diff_mode:
    support: full
  idempotent:
    support: none
    details:
      - A reset is an act. Each run resets the GPUs that it names and is changed. Use C(when) with the recovery action
        that M(accel.gpu.gpu_info) tells to reset only what needs it.
  platform:
    support: full
    platforms: linux
options:
  gpus:
    description:
      - >-
        V(all), or a dictionary with exactly one of C(uuid) (in full or its beginning), C(pci), C(index), C(model) (a
        glob over the name) and C(device_id) (such as V(10de:20b5)), and with C(except) where needed.
      - A GPU that gives no answer is meant by V(all), C(uuid), C(pci) and C(index); its model is not known.
    type: raw
    required: true
  except:
    description: GPUs that are not meant after all, each a dictionary as in O(gpus).
    type: list
    elements: dict
  when_busy:
    description:
      - V(refuse) fails where one of the GPUs is in use, and names its owner. No GPU is reset then.
      - V(defer) leaves such a GPU as it is, lists it in RV(deferred) and resets the others. A set that is reset
        together waits together.
    type: str
    choices: [refuse, defer]
    default: refuse
  allow_reset_allocated:
    description:
      - Reset GPUs that are allocated to somebody, as long as no process uses them. What has a process is never reset.
    type: bool
    default: false
notes:
  - New instances have new MIG UUIDs, see RV(uuid_map). Refresh what knows the old ones, such as CDI specifications,
    DCGM and the device plugin; role P(accel.gpu.mig#role) does.
  - NVML reads no locked clock back. Those that M(accel.gpu.gpu_settings) set are remembered and locked again; others
    are open after the reset.
  - A GPU that fell off the bus (Xid 79) cannot be reset, its node has to be rebooted. The module says so.
seealso:
  - module: accel.gpu.gpu_info
  - module: accel.gpu.gpu_settings
  - module: accel.gpu.mig_geometry
"""

EXAMPLES = r"""
- name: Reset one GPU
  accel.gpu.gpu_reset:
    gpus: {pci: "0000:3b:00.0"}
  become: true

- name: Read the health of all GPUs
  accel.gpu.gpu_info:
    subsets: [health]
  register: gpu_health

- name: Reset those whose driver asks for it, later where jobs run
  accel.gpu.gpu_reset:
    gpus: {uuid: "{{ item.uuid }}"}
    when_busy: defer
  loop: "{{ gpu_health.gpus }}"
  loop_control:
    label: "{{ item.uuid }}"
  when: item.health.recovery_action in ['gpu_reset', 'drain_and_reset']
  become: true

- name: Reset all GPUs but one
  accel.gpu.gpu_reset:
    gpus: all
    except:
      - {index: 0}
  become: true
"""

RETURN = r"""
actions:
  description:
    - What was or would be done, and what was left alone, with the reason. Each has C(action), C(object) and C(reason),
      most have C(gpu).
  returned: always
  type: list
  elements: dict
  sample:
    - action: reset_gpu
      gpu: GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97
      object: "0000:3b:00.0"
      reason: is wished; its driver asks for gpu_reset
gpus_reset:
  description: UUIDs of the GPUs that were reset, in check mode of those that would be.
  returned: always
  type: list
  elements: str
  sample: [GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97]
deferred:
  description: UUIDs of the GPUs that are in use and were left as they are, see O(when_busy).
  returned: always
  type: list
  elements: str
  sample: []
settings_reapplied:
  description:
    - A sentence for each setting of a GPU, such as its power limit, that the reset took away and that was set again,
      and for each of the driver's files in C(/dev) that has its owner and mode again.
      What could not be set again, or not exactly, is a warning.
  returned: always
  type: list
  elements: str
  sample:
    - "GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97: power limit is 250.0 again"
uuid_map:
  description:
    - MIG devices whose UUID differs from before, with C(gpu), C(profile), C(placement), C(compute), C(old) and C(new).
      C(old) or C(new) is null where there is no such device. Empty in check mode, for the driver makes the new UUIDs.
  returned: always
  type: list
  elements: dict
  sample:
    - gpu: GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97
      profile: 3g.40gb
      placement: "4:4"
      compute: 3g.40gb
      old: MIG-2f7a1c55-6b0e-5b3b-9a53-0b6a7d9a4a11
      new: MIG-815231b2-db1f-5daa-a538-09a79f8d9313
reboot_required:
  description: Whether the driver of a GPU that was reset asks for a reboot of the node.
  returned: always
  type: bool
  sample: false
error:
  description:
    - What went wrong, for machines. C(kind) is a stable word such as V(wish), V(busy), V(blocked), V(foreign_manager),
      V(locked), V(permission), V(driver_missing), V(gpu_hung), V(apply), V(verify). After a failed step there are
      C(step), C(restored) and C(uuid_map).
  returned: failure
  type: dict
  sample:
    kind: busy
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.arguments import NVML_ARGUMENTS
from ..module_utils._module.declare import run_declare
from ..module_utils._reset import core


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gpus": {"type": "raw", "required": True},
            "except": {"type": "list", "elements": "dict"},
            "when_busy": {"type": "str", "choices": ["refuse", "defer"], "default": "refuse"},
            "allow_reset_allocated": {"type": "bool", "default": False},
            "takeover": {"type": "bool", "default": False},
            "lock_timeout": {"type": "float", "default": 300},
            **NVML_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_declare(module, core)


if __name__ == "__main__":
    main()
