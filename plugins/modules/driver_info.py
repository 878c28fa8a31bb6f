#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module driver_info. The work is done in module_utils/_driver; pynvml comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: driver_info
short_description: Read everything about a node that a decision on its NVIDIA driver needs, in one call
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Reads distribution, kernels with their NVIDIA modules, GPUs, Secure Boot, packages, units and who works on the GPUs.
  - GPUs come from the PCI tree, so they are told without any driver.
  - A node without driver, a driver without GPU, parts that differ in version are answers, not errors; see RV(driver).
  - Nothing on the node changes. Without O(wish) no package index is fetched either.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.info_module
  - accel.gpu.attributes.actiongroup_nvml
  - accel.gpu.nvml
attributes:
  platform:
    support: full
    platforms: linux
options:
  wish:
    description:
      - Options of M(accel.gpu.gpu_driver), by their names. With them RV(plan) says what that module would do.
      - Without it only facts are read.
      - Versions of a repository that the node does not have yet are read from its index, which is not kept.
    type: dict
notes:
  - Secure Boot, the initramfs, open devices and processes of other users are readable by root only, so use C(become).
  - To look into an initramfs that is packed costs up to a second; C(kernels.next.initramfs.unread) says why one could
    not be looked into.
seealso:
  - module: accel.gpu.gpu_info
"""

EXAMPLES = r"""
- name: Read what a decision on the driver needs
  accel.gpu.driver_info:
  become: true
  register: node

- name: Say what is wrong with the driver, if anything is
  ansible.builtin.debug:
    msg: "{{ node.driver.state }}: {{ node.driver.message }}"
  when: node.driver.message is not none

- name: Ask what a newer driver would mean for this node
  accel.gpu.driver_info:
    wish: {branch: "595", flavour: open}
  become: true
  register: node

- name: Show it
  ansible.builtin.debug:
    var: node.plan

- name: Fail where the kernel that boots next has no NVIDIA module
  ansible.builtin.assert:
    that: (node.kernels.next or node.kernels.running).modules | length > 0
"""

RETURN = r"""
driver:
  description:
    - The driver of the node. RV(driver.state) is V(loaded), V(missing) (nothing of it is there), V(installed) (the
      kernel module is not loaded, so no GPU can be reached), V(no_gpu) (a driver, and no GPU in the PCI tree),
      V(mismatch) (library and loaded module differ in version) or V(failed) (the driver gave NVML no answer).
    - Where it is V(installed) or V(no_gpu), the program C(nvidia-smi) is there and fails, usually with exit code 9.
  returned: always
  type: dict
  sample:
    state: loaded
    message: null
    library_version: "580.126.16"
    module_version: "580.126.16"
    flavour: open
    signer: DKMS module signing key
    dependents: [nvidia_uvm, nvidia_drm, nvidia_modeset]
    parameters: {nvidia: {NVreg_EnableMSI: "1"}, nvidia_uvm: {}}
  contains:
    state:
      description: One word, see above.
      type: str
    message:
      description: What is wrong and what to do, in a sentence.
      type: str
    library_version:
      description: Version of the libnvidia-ml on the disk.
      type: str
    module_version:
      description: Version of the loaded kernel module.
      type: str
    flavour:
      description: V(open) or V(proprietary), of the loaded kernel module.
      type: str
    signer:
      description: Who signed the file that the loaded module came from; C(null) where nobody did.
      type: str
    dependents:
      description: Loaded modules that use C(nvidia), in the order in which they can be removed.
      type: list
      elements: str
    parameters:
      description: Parameters of the loaded modules as the kernel shows them.
      type: dict
distribution:
  description: The distribution. C(family) is V(debian), V(rhel), V(suse) or empty; C(arch) is the kernel's.
  returned: always
  type: dict
  sample:
    id: debian
    version: "12"
    family: debian
    codename: bookworm
    arch: x86_64
    name: Debian GNU/Linux 12 (bookworm)
kernels:
  description:
    - The running kernel and, where it is another one, the kernel that boots next. RV(kernels.next_from) names the file
      of the boot loader that says so.
    - RV(kernels.running.modules) are the files of module C(nvidia) for that kernel, under whatever name the
      distribution gives them; the first one is loaded by modprobe.
  returned: always
  type: dict
  sample:
    running:
      release: 6.1.0-32-amd64
      headers: true
      modules:
        - path: /lib/modules/6.1.0-32-amd64/updates/dkms/nvidia.ko
          version: "580.126.16"
          license: Dual MIT/GPL
          signer: DKMS module signing key
      initramfs: {path: /boot/initrd.img-6.1.0-32-amd64, versions: [], nouveau: false, unread: null}
    next: null
    next_from: /boot/grub/grub.cfg
  contains:
    running:
      description: The running kernel.
      type: dict
      contains:
        release:
          description: Its release, as C(uname -r) tells it.
          type: str
        headers:
          description: Whether its headers are there, so that a module can be built.
          type: bool
        modules:
          description: The NVIDIA modules for it.
          type: list
          elements: dict
        initramfs:
          description:
            - Its initramfs. C(versions) are those of NVIDIA modules inside, C(nouveau) tells whether it loads nouveau,
              C(unread) why it could not be looked into.
          type: dict
    next:
      description: The kernel that boots next, C(null) where the running one boots again.
      type: dict
    next_from:
      description: What says which kernel boots next.
      type: str
gpus:
  description: GPUs of NVIDIA in the PCI tree. C(generation) is C(null) for a GPU that is not in the tables.
  returned: always
  type: list
  elements: dict
  sample:
    - pci: "0000:3b:00.0"
      device_id: "10de:20b2"
      subsystem_id: "10de:1463"
      kernel_driver: nvidia
      generation: ampere
nvswitches:
  description:
    - NVSwitches in the PCI tree, and whether there are some behind ConnectX bridges (then the fabric needs C(nvlsm)).
  returned: always
  type: dict
  sample:
    devices:
      - {pci: "0000:07:00.0", device_id: "10de:22a3", subsystem_id: "10de:1796", kernel_driver: nvidia-nvswitch}
    behind_bridges: false
nouveau:
  description: The module nouveau, the modules that use it, and files of others that blacklist it.
  returned: always
  type: dict
  sample:
    loaded: false
    dependents: []
    blacklisted_by: [/etc/modprobe.d/nvidia-blacklists-nouveau.conf]
secure_boot:
  description:
    - C(enabled) is C(null) where the machine has no Secure Boot. C(enrolled) and C(pending) are SHA-1 fingerprints of
      machine owner keys, C(dkms_key) the certificate that DKMS signs with.
  returned: always
  type: dict
  sample:
    enabled: true
    enrolled: [76a092065800bf376901c372cd55a90e1fded2e0]
    pending: []
    dkms_key: /var/lib/dkms/mok.pub
    dkms_key_enrolled: false
packages:
  description:
    - Packages of the driver with the package manager's versions, those of them that are held, and what is wrong with
      the package database.
  returned: always
  type: dict
  sample:
    installed: {nvidia-smi: 535.309.01-0+deb12u1}
    held: []
    problems: []
units:
  description:
    - Units of systemd that belong to the driver or hold its devices, as far as they are installed. A display manager on
      which somebody works and an MPS daemon with clients are left out.
  returned: always
  type: dict
  sample:
    nvidia-persistenced.service: {enabled: true, active: true, failed: false}
fabric_state:
  description: State of the NVLink fabric, such as V(completed) or V(in_progress); C(null) where there is none.
  returned: always
  type: str
  sample: completed
managers:
  description: Other managers of the node's GPUs, each with what shows it.
  returned: always
  type: list
  elements: dict
  sample:
    - {name: "GPU Operator's driver container", evidence: /run/nvidia/driver is mounted}
busy:
  description: Who works on a GPU. C(process) is false for an allocation without a process.
  returned: always
  type: list
  elements: dict
  sample:
    - gpu: GPU 0000:3b:00.0 (GPU-5c1e0f6a-3b5f-5d21-8a55-0a3f6e1c2b7d)
      who: process 4242 (python3)
      process: true
holders:
  description: Processes that keep GPUs open without being work. C(unit) is set where stopping it is known to be safe.
  returned: always
  type: list
  elements: dict
  sample:
    - {name: nvidia-persiste of nvidia-persistenced.service, unit: nvidia-persistenced.service, pid: 812}
reboot_pending:
  description:
    - Reasons for a reboot, from the files that packages leave and from the kernels. Nothing of them is judged.
  returned: always
  type: list
  elements: str
  sample: ["kernel 6.1.0-56-amd64 boots next, 6.1.0-32-amd64 is running"]
reboot_hindered:
  description:
    - Why a reboot would hurt somebody now. Work on GPUs and processes that have GPUs open, then work that needs none
      (jobs of Slurm, pods and containers that are not the node's own, virtual machines) and logins of others.
  returned: always
  type: list
  elements: str
  sample: ["GPU 0000:17:00.0 is used by process 4242 (python3)"]
daemon_reload_risk:
  description: Running containers that C(systemctl daemon-reload) would take the GPU from.
  returned: always
  type: list
  elements: str
  sample: []
plan:
  description:
    - What M(accel.gpu.gpu_driver) would do with O(wish), in the words of its own result. C(refusal) has C(kind) and
      C(message) of the error with which it would fail, else it is C(null).
  returned: when O(wish) is given
  type: dict
  sample:
    changed: true
    refusal: null
    actions:
      - {action: install_package, object: nvidia-driver-cuda, reason: "branch 580 is wished"}
    branch: "580"
    flavour: open
    source: nvidia
    repository: https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64
    upgrade_pending: null
    reload_required: []
    reboot_required: []
    reboot_hindered: []
    reboot_hindered_by_work: []
    daemon_reload_required: []
    enrolment_required: null
    fabric_deferred: []
    boot_without_driver: []
    warnings: []
our_files:
  description: Files of this collection in the folders of package managers and modprobe.
  returned: always
  type: list
  elements: str
  sample: [/etc/modprobe.d/accel-gpu.conf]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._driver import info
from ..module_utils._module.arguments import NVML_ARGUMENTS
from ..module_utils._module.info import run_info


def main() -> None:
    module = AnsibleModule(argument_spec={"wish": {"type": "dict"}, **NVML_ARGUMENTS}, supports_check_mode=True)
    run_info(module, info)


if __name__ == "__main__":
    main()
