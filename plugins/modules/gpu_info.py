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
  - A node without driver, a driver without GPU, a GPU that is lost or hangs are answers, not errors; see RV(driver) and
    RV(failures). What fails on one GPU does not hide the others.
  - Only a GPU that O(expected) declares and that does not answer makes the module fail.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.info_module
  - accel.gpu.attributes.actiongroup_nvml
  - accel.gpu.expected
  - accel.gpu.nvml
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
  exceptions:
    description:
      - GPUs that are known to be missing, usually the variable C(accel_gpu_exceptions). They do not make the module
        fail; past the date there is a warning.
notes:
  - A value that the GPU or its driver does not offer is C(null), never zero.
  - Sizes are in MiB, temperatures in degrees Celsius, power in watts, clocks in MHz.
  - GPUs are named by UUID or PCI address. C(gpu_index) is NVML's own number and may differ after a reboot.
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
driver:
  description:
    - The driver of the node. RV(driver.state) is V(loaded), V(missing) (no library), V(not_loaded) (library, but the
      kernel module is not loaded), V(mismatch) (library and kernel module differ in version), V(hung) (the driver did
      not answer in time) or V(failed) (see RV(driver.message)).
  returned: always
  type: dict
  sample:
    state: loaded
    version: "580.126.16"
    cuda_version: "13.0"
    nvml_version: "13.580.126.16"
    module_version: "580.126.16"
    message: null
  contains:
    state:
      description: One word, see above.
      type: str
    version:
      description: Version of the driver, from NVML.
      type: str
    cuda_version:
      description: Newest CUDA version that the driver supports.
      type: str
    nvml_version:
      description: Version of the library.
      type: str
    module_version:
      description: Version of the loaded kernel module, from sysfs.
      type: str
    message:
      description: What is wrong and what to do, where the state is not V(loaded).
      type: str
pci_gpus:
  description:
    - GPUs of NVIDIA in the PCI tree, with or without a driver. One that stands here and not in RV(gpus) is bound to
      another driver, or dead.
  returned: always
  type: list
  elements: dict
  sample:
    - {pci: "0000:3b:00.0", device_id: "10de:20b5", kernel_driver: nvidia}
gpus:
  description:
    - The chosen GPUs that answer, in NVML's order. Identity is always there, one further key for each chosen subset.
  returned: always
  type: list
  elements: dict
  sample:
    - uuid: GPU-5c1e0f6a-3b5f-5d21-8a55-0a3f6e1c2b7d
      gpu_index: 0
      name: NVIDIA A100-SXM4-80GB
      pci: "0000:3b:00.0"
      device_id: "10de:20b2"
      numa_node: 0
      architecture: ampere
      compute_capability: "8.0"
      memory_mib: 81920
      failures: []
  contains:
    uuid:
      description: UUID.
      type: str
    gpu_index:
      description: NVML's number.
      type: int
    name:
      description: Marketing name of the board.
      type: str
    pci:
      description: PCI address.
      type: str
    device_id:
      description: PCI vendor and device.
      type: str
    subsystem_id:
      description: PCI subsystem vendor and device.
      type: str
    minor:
      description: Number of the device node C(/dev/nvidiaN).
      type: int
    serial:
      description: Serial number of the board.
      type: str
    part_number:
      description: Part number of the board.
      type: str
    vbios:
      description: Version of the VBIOS.
      type: str
    numa_node:
      description: NUMA node of the slot.
      type: int
    architecture:
      description: Such as V(ampere), V(hopper) or V(blackwell).
      type: str
    compute_capability:
      description: CUDA compute capability.
      type: str
    memory_mib:
      description: Memory of the GPU.
      type: int
    memory_used_mib:
      description: Memory in use.
      type: int
    virtualization:
      description: V(none), V(passthrough), V(vgpu), V(host_vgpu) or V(host_vsga).
      type: str
    mig:
      description:
        - Multi-Instance GPU; C(null) where only root may see it. C(current) and C(pending) are the mode now and after
          the next reset.
        - C(profiles) are what the GPU offers, each with C(profile), C(profile_id), C(slices), C(memory_mib), C(sms) and
          C(placements); C(instances) are the GPU instances, each with C(gpu_instance_id), C(profile), C(profile_id),
          C(placement) and its C(compute_instances) with their MIG C(uuid).
      returned: with subset V(mig)
      type: dict
      sample:
        capable: true
        current: true
        pending: true
        max_devices: 7
        profiles:
          - {profile: 3g.40gb, profile_id: 9, slices: 3, memory_mib: 40192, sms: 42, placements: [{start: 0, size: 4}]}
        instances:
          - gpu_instance_id: 1
            profile: 3g.40gb
            profile_id: 9
            placement: {start: 0, size: 4}
            compute_instances:
              - compute_instance_id: 0
                profile: 3g.40gb
                profile_id: 2
                placement: {start: 0, size: 3}
                uuid: MIG-2f1c4b1e-9a52-5e1f-9f3e-6a6f7f0b6d11
    processes:
      description: Processes that NVML names, C(kind) is V(compute), V(graphics) or V(mps).
      returned: with subset V(processes)
      type: list
      elements: dict
      sample:
        - pid: 4242
          kind: compute
          name: python3
          user: ada
          command: python3 train.py
          memory_mib: 512
          mig_uuid: null
    processes_complete:
      description: Whether NVML listed all kinds of processes; if not, the GPU must be taken as busy.
      returned: with subset V(processes)
      type: bool
    allocations:
      description:
        - Devices that an owner of work on the node has given to somebody, with or without a process. C(device) is the
          UUID of the GPU or of the MIG device.
      returned: with subset V(allocations)
      type: list
      elements: dict
      sample:
        - owner: pod default/notebook-0
          device: GPU-5c1e0f6a-3b5f-5d21-8a55-0a3f6e1c2b7d
          pid: null
          user: null
          command: null
    settings:
      description: Settings with the ranges that the GPU allows. Locked clocks cannot be read back from NVML.
      returned: with subset V(settings)
      type: dict
      sample:
        persistence_mode: true
        compute_mode: default
        power_limit: {current: 400.0, enforced: 400.0, default: 400.0, min: 100.0, max: 400.0}
        application_clocks: {graphics: 1275, memory: 1593, default_graphics: 1275, default_memory: 1593}
        supported_clocks: {memory: [1593], graphics_min: 210, graphics_max: 1410}
        ecc: {current: true, pending: true, default: true}
        auto_boost: {current: null, default: null}
        accounting_mode: false
    health:
      description: Readings without judgement.
      returned: with subset V(health)
      type: dict
      sample:
        temperature:
          gpu: 41
          memory: 45
          margin: 44
          limits: {shutdown: 92, slowdown: 89, memory_max: 95, gpu_max: 85}
        power: {draw: 62.5, enforced_limit: 400.0, energy_joules: 12345.678}
        throttle: {active: [gpu_idle], supported: [gpu_idle, sw_power_cap, hw_slowdown]}
        remapped_rows: {correctable: 0, uncorrectable: 0, pending: false, failure: false, banks_without_spare_rows: 0}
        recovery_action: none
        pcie: {generation: 4, generation_max: 4, width: 16, width_max: 16, replays: 0}
      contains:
        temperature:
          description: Of the GPU and its memory, degrees left until it slows itself down, and its limits.
          type: dict
        power:
          description: Drawn power, enforced limit and energy since the driver was loaded.
          type: dict
        clocks:
          description: Clocks now and at most, and the performance state.
          type: dict
        throttle:
          description: Reasons for the present clocks, and those that the GPU can tell.
          type: dict
        utilization:
          description: Utilization of GPU and memory in percent.
          type: dict
        ecc:
          description: >-
            Counts of corrected and uncorrected memory errors since the driver was loaded (C(volatile)) and over the
            life of the card (C(aggregate)); C(sram_threshold_exceeded) is NVIDIA's own criterion for a faulty card.
          type: dict
        remapped_rows:
          description: Remapped memory rows; C(pending) wants a reset, C(failure) a new card.
          type: dict
        retired_pages:
          description: Retired memory pages of boards before Ampere.
          type: dict
        recovery_action:
          description: What the driver wants done, V(none) or such as V(gpu_reset), V(node_reboot), V(drain_and_reset).
          type: str
        nvlinks:
          description: One entry for each link, C(active) or not, with its error counters.
          type: list
          elements: dict
        fabric:
          description: Registration with the fabric manager on NVSwitch boards.
          type: dict
        pcie:
          description: Generation and width of the PCIe link now and at most; the generation drops on an idle GPU.
          type: dict
    failures:
      description: Calls that failed on this GPU without hiding the rest.
      type: list
      elements: dict
      sample:
        - {call: nvmlDeviceGetTotalEccErrors, code_name: UNKNOWN, message: the driver gave no reason}
failures:
  description:
    - GPUs that the driver has and that gave no answer. C(kind) is V(gpu_lost), V(gpu_hung), V(nvml) or V(permission).
  returned: always
  type: list
  elements: dict
  sample:
    - gpu_index: 3
      pci: "0000:86:00.0"
      uuid: null
      kind: gpu_lost
      message: >-
        nvmlDeviceGetHandleByIndex on GPU index 3 failed: GPU_IS_LOST (the GPU fell off the bus); drain the node and
        reset this GPU, reboot if that fails, and contact support if it comes back
mig_layout:
  description:
    - The exact MIG layout of all GPUs of the node, in the form that M(accel.gpu.mig_geometry) takes back; C(null) where
      it cannot be read.
  returned: with subset V(mig)
  type: dict
  sample:
    version: 1
    gpus:
      - uuid: GPU-5c1e0f6a-3b5f-5d21-8a55-0a3f6e1c2b7d
        pci: "0000:3b:00.0"
        name: NVIDIA A100-SXM4-80GB
        mig: true
        instances:
          - {profile: 3g.40gb, placement: 4, compute: [{profile: 3g.40gb, placement: 0}]}
owners:
  description:
    - Owners of work that are present on the node. One with C(asked) false could not be asked, then every GPU must be
      taken as busy; C(why) says why.
  returned: with subset V(allocations)
  type: list
  elements: dict
  sample:
    - {name: kubelet, asked: true, why: ""}
expected:
  description: The comparison with O(expected).
  returned: when O(expected) is given
  type: dict
  sample:
    declared: 8
    model: "*A100-SXM4-80GB*"
    answering: 7
    met: true
    exceptions:
      - {gpu: GPU-5c1e, state: missing, reason: RMA 4711, until: "2026-12-15", applies: true}
    warnings: []
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
