#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module mig_geometry. The work is done in module_utils/_mig; pynvml comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_geometry
short_description: Make the declared MIG mode, GPU instances and compute instances
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Compares what is declared with the live GPUs of a node and changes only what differs.
  - Everything is checked against the live GPUs, for all of them, before anything is touched. An impossible geometry
    fails and says which slots collide and what would fit.
  - Of all layouts that satisfy the wish one is chosen that destroys the fewest instances. Instances are created at
    chosen placements, so the order of the wish never matters. A GPU that is right is not touched.
  - An instance that is in use is never touched. In use means a process on it, or an allocation that kubelet, Slurm, a
    container engine, an MPS daemon or a virtual machine knows; see O(when_busy) and O(allow_destroy_allocated).
  - A change of the MIG mode is begun only if it can be completed. Where the architecture needs a reset for it, only
    that GPU is reset. Services that are known to hold GPUs open, such as nvidia-persistenced and DCGM, are stopped for
    it and started again; fabric manager is never stopped.
  - After the change the GPUs are read again and compared with the plan. If a step fails, the old layout is restored and
    the error says so. A journal lets the next run restore or finish what a killed run left half-way.
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
      - Where no driver answers yet, RV(actions) says that the geometry is deferred until role C(gpu_driver) has run.
options:
  state:
    description:
      - V(present) makes what is declared.
      - V(absent) switches MIG off on every GPU; all options that declare something are not read then. With O(persist)
        the stored wish is removed as soon as MIG is off everywhere; until then (a busy GPU, a reset or reboot that is
        owed) the wish to switch it off is stored for the node agent.
    type: str
    choices: [present, absent]
    default: present
  geometry:
    description:
      - A list of what is wanted for which GPUs. An item has C(gpus) (the selector), C(mig) (a boolean; true where
        C(instances) is given) and C(instances), and may have C(except), C(reason) and C(until).
      - >-
        C(gpus) is V(all) or a dictionary with exactly one of C(uuid) (in full or its beginning), C(pci), C(index),
        C(model) (a glob over the name) and C(device_id) (such as V(10de:20b5)). The most specific selector wins; a tie
        inside one list is an error.
      - >-
        C(instances) is a dictionary of profile and count, or a list of dictionaries with C(profile), or C(slices) with
        C(memory_gib) and C(attributes), and with C(count) (default 1), C(placement) (first memory slot) and C(compute)
        (a list of compute instance profiles). Without C(compute) each GPU instance gets the one compute instance that
        spans it. Without C(instances) the instances of a GPU in MIG mode stay as they are.
      - A GPU that no item means is left alone.
      - A layout document, as C(accel-gpu mig export) and the backup playbook write it, is accepted instead of a list.
    type: raw
  geometry_group:
    description: A further list that is laid over O(geometry); it wins where selectors are of equal rank.
    type: raw
  geometry_host:
    description: A further list that is laid over O(geometry_group).
    type: raw
  mig_parted:
    description:
      - A mig-parted document of C(version) V(v1), as a dictionary. Read it with the lookup
        P(accel.gpu.mig_parted#lookup), which refuses duplicate keys.
      - It keeps mig-parted's own meaning; what differs from O(geometry) is noted in RV(actions).
      - Mutually exclusive with O(geometry), O(geometry_group) and O(geometry_host). Needs O(mig_parted_label).
    type: dict
  mig_parted_label:
    description: Which of the configurations in O(mig_parted) is wanted.
    type: str
  mig_apply:
    description:
      - V(now) changes the GPUs.
      - V(next_boot) leaves GPUs that differ as they are and reports RV(reboot_required). With O(persist) the node agent
        makes the geometry at the next boot.
    type: str
    choices: [now, next_boot]
    default: now
  when_busy:
    description:
      - V(refuse) fails where a change would hurt running work, and names its owner. Nothing is changed then.
      - V(defer) leaves such a GPU as it is, lists it in RV(deferred) and changes the others.
    type: str
    choices: [refuse, defer]
    default: refuse
  allow_destroy_allocated:
    description:
      - Destroy instances that are allocated to somebody, as long as no process uses them. What has a process is never
        destroyed.
    type: bool
    default: false
  headroom_percent:
    description: Refuse a geometry that leaves less than this share of the memory of a GPU outside of instances.
    type: float
    default: 0
  persist:
    description:
      - Also write the wish to C(/etc/accel-gpu/wish.d/mig.json), from which the node agent makes it again at boot.
    type: bool
    default: false
  notify:
    description:
      - Systemd units that name MIG devices, such as DCGM, an exporter, a device plugin or slurmd. A name without a type
        means a service.
      - Those that were started before the MIG devices of this boot changed last are listed in RV(restart_required), at
        each run, until somebody restarts them. The module itself restarts nothing.
      - Fabric manager, nvlsm and imex are refused, because running jobs end with them.
    type: list
    elements: str
    default: []
  address_prefix:
    description:
      - Put in front of the names of options in messages and in RV(actions). Role P(accel.gpu.mig#role) gives V(mig_),
        so that messages name its variables.
    type: str
    default: ""
notes:
  - New instances have new MIG UUIDs. Name MIG devices by GPU, profile and placement, and refresh what knows the old
    UUIDs, such as CDI specifications, DCGM and the device plugin; role P(accel.gpu.mig#role) does.
  - Power limit, clocks and compute mode fall back to their defaults when a GPU is reset.
seealso:
  - module: accel.gpu.gpu_info
  - module: accel.gpu.node_agent
"""

EXAMPLES = r"""
- name: Seven small instances on every A100 with 80 GB, whole H100
  accel.gpu.mig_geometry:
    geometry:
      - gpus: {model: "*A100*80GB*"}
        instances: {1g.10gb: 7}
      - gpus: {model: "*H100*"}
        mig: false
  become: true

- name: One large and some small instances with placement, two compute instances in the large one
  accel.gpu.mig_geometry:
    geometry:
      - gpus: {pci: "0000:3b:00.0"}
        instances:
          - {profile: 3g.40gb, placement: 4, compute: [1c.3g.40gb, 2c.3g.40gb]}
          - {slices: 1, memory_gib: 10, count: 2}
  become: true

- name: What a mig-parted file says, at the next boot where jobs run
  accel.gpu.mig_geometry:
    mig_parted: "{{ lookup('accel.gpu.mig_parted', 'files/mig-parted.yaml') }}"
    mig_parted_label: all-balanced
    when_busy: defer
    persist: true
  become: true

- name: Switch MIG off, and forget what was wished
  accel.gpu.mig_geometry:
    state: absent
    persist: true
  become: true

- name: Restore a layout that was saved
  accel.gpu.mig_geometry:
    geometry: "{{ lookup('ansible.builtin.file', 'h100-017.json') | from_json }}"
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
    - action: create_gpu_instance
      gpu: GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97
      object: 3g.40gb at 4:4
      reason: wished by geometry[0].instances[1]
gpus:
  description: The GPUs of the node after the run, in check mode as they are.
  returned: always
  type: list
  elements: dict
  sample:
    - uuid: GPU-5d1375ee-f433-5a9f-9bdd-61dd6dd57a97
      name: NVIDIA A100-SXM4-80GB
      pci: "0000:10:00.0"
      mig: true
      pending: true
      instances:
        - profile: 3g.40gb
          placement: "4:4"
          compute: [{profile: 3g.40gb, uuid: MIG-815231b2-db1f-5daa-a538-09a79f8d9313}]
settings_reapplied:
  description:
    - A sentence for each setting of a GPU, such as its power limit, that a reset took away and that was set again,
      and for each of the driver's files in C(/dev) that has its owner and mode again.
      What could not be set again, or not exactly, is a warning.
  returned: when something was changed
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
      old: null
      new: MIG-815231b2-db1f-5daa-a538-09a79f8d9313
reset_required:
  description: UUIDs of the GPUs that owe a reset.
  returned: always
  type: list
  elements: str
  sample: []
reboot_required:
  description: Whether the node owes a reboot.
  returned: always
  type: bool
  sample: false
restart_required:
  description:
    - Units of O(notify) that run with MIG devices of before, in check mode those that would. Read from the node at each
      run; never counts as changed.
  returned: always
  type: list
  elements: str
  sample: [nvidia-dcgm.service]
deferred:
  description: UUIDs of the GPUs that differ from the wish and were left as they are, see O(when_busy) and O(mig_apply).
  returned: always
  type: list
  elements: str
  sample: []
error:
  description:
    - What went wrong, for machines. C(kind) is a stable word such as V(wish), V(busy), V(blocked), V(foreign_manager),
      V(locked), V(permission), V(driver_missing), V(gpu_hung), V(apply). After a failed step there are C(step),
      C(restored) and C(uuid_map).
  returned: failure
  type: dict
  sample:
    kind: busy
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._mig import resident
from ..module_utils._module.arguments import EXPECTED_ARGUMENTS, NVML_ARGUMENTS
from ..module_utils._module.declare import run_declare


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "geometry": {"type": "raw"},
            "geometry_group": {"type": "raw"},
            "geometry_host": {"type": "raw"},
            "mig_parted": {"type": "dict"},
            "mig_parted_label": {"type": "str"},
            "mig_apply": {"type": "str", "choices": ["now", "next_boot"], "default": "now"},
            "when_busy": {"type": "str", "choices": ["refuse", "defer"], "default": "refuse"},
            "allow_destroy_allocated": {"type": "bool", "default": False},
            "takeover": {"type": "bool", "default": False},
            "headroom_percent": {"type": "float", "default": 0},
            "persist": {"type": "bool", "default": False},
            "notify": {"type": "list", "elements": "str", "default": []},
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
