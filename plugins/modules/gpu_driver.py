#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_driver. The work is done in module_utils/_driver; pynvml comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_driver
short_description: Install, pin, change and remove the NVIDIA driver
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Brings repository, signing key, packages with exact versions, holds, module parameters, units and loaded modules of
    the NVIDIA driver to what is declared, and changes only what differs.
  - Package names, the flavour of the kernel modules and what goes with the driver (fabric manager, nvlsm, imex)
    follow from distribution, source, branch and the GPUs in the PCI tree. What does not go together is refused with
    the reason.
  - The transaction is simulated before anything is touched. It fails where it would change a kernel package, a package
    that somebody else holds, or remove what was not named.
  - Where an NVIDIA module is loaded, no NVIDIA package gets another version, because that breaks every new CUDA
    process; the module reports RV(upgrade_pending) instead. O(change_loaded=true) does it on a node that is not busy.
  - Before the first package changes, names, versions, holds and files are written down and the files of the old
    packages are kept. If a step fails, what was there before is brought back and the error says so. A run that was
    killed is finished or undone by the next one.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.declare_module
  - accel.gpu.attributes.actiongroup_nvml
  - accel.gpu.expected
  - accel.gpu.nvml
attributes:
  check_mode:
    details:
      - Versions of a repository that the node does not have yet are read from its index without writing it.
options:
  state:
    description:
      - V(present) makes what is declared.
      - V(absent) removes what this module put on the node, packages with the headers and tools that came for them,
        holds, files and the signing key; the modules are unloaded where nobody uses them. Services that hold GPUs are
        stopped for it and started again when the driver is gone.
      - V(restored) brings back what was there before the last change of packages, by name and version, from the kept
        files where no repository has them any more; an initramfs that carries the driver is built again. A change that
        was interrupted counts as the last one. Only O(change_loaded), O(takeover), O(daemon_reload), O(run),
        O(restore_runs) and O(lock_timeout) are read then; a loaded driver needs O(change_loaded=true), and a node that
        is busy is always refused.
    type: str
    choices: [present, absent, restored]
    default: present
  source:
    description:
      - Where packages come from. V(nvidia) is NVIDIA's network repository, V(mirror) a copy of it (see O(mirror)), and
        V(distribution) what the distribution itself has.
    type: str
    choices: [distribution, nvidia, mirror]
    default: nvidia
  mirror:
    description:
      - The copy for O(source=mirror). No other address is asked then.
    type: dict
    suboptions:
      url:
        description:
          - The address that stands for C(https://developer.download.nvidia.com/compute/cuda/repos).
          - Without user name and password, which are for the package manager's own configuration.
        type: str
        required: true
      key:
        description:
          - The armored key that signs it. Without it the key is taken from the mirror and must be one of NVIDIA's.
          - A public key is no secret.
        type: str
        default: ""
      fingerprint:
        description: All 40 hexadecimal digits of that key's fingerprint. Needed with O(mirror.key).
        type: str
        default: ""
  branch:
    description:
      - The driver branch, such as V(580). Any installed version of the branch will do, see O(newest).
      - Without O(branch) and O(version) the default branch is taken, V(580), a branch with long-term support. With
        O(source=distribution) it is the first branch of the distribution that fits the GPUs.
      - Mutually exclusive with O(version).
    type: str
  version:
    description: The exact version, such as V(580.126.16), without the revision of a package.
    type: str
  newest:
    description: Whether a branch means its newest version that the repository has.
    type: bool
    default: false
  flavour:
    description:
      - The kind of kernel modules. V(auto) takes open ones where all GPUs and the branch have them.
    type: str
    choices: [auto, open, proprietary]
    default: auto
  profile:
    description: V(compute) leaves out everything for displays, V(full) installs it.
    type: str
    choices: [compute, full]
    default: compute
  modules:
    description:
      - V(dkms) builds the kernel modules on the node, V(precompiled) takes those that are built for its kernel.
    type: str
    choices: [dkms, precompiled]
    default: dkms
  parameters:
    description:
      - Parameters of the kernel modules, as a dictionary of module and of name and value.
      - What a loaded module shows is compared with the live value; a difference needs a reload.
    type: dict
    default: {}
  persistenced:
    description: Whether nvidia-persistenced is installed, enabled and running.
    type: bool
    default: true
  hold:
    description: Hold the packages against unattended upgrades. Holds of others are never touched.
    type: bool
    default: true
  blacklist_nouveau:
    description: Keep nouveau from loading, in the initramfs too where it carries that module.
    type: bool
    default: true
  reload:
    description:
      - V(if_needed) reloads the kernel modules where they differ from what is installed, on a node that is not busy. If
        one module cannot go, none goes, and RV(reboot_required) says why a reboot is owed; units are not stopped for
        another try in the same boot unless the reason is gone.
      - V(never) reports it in RV(reload_required) only.
    type: str
    choices: [never, if_needed]
    default: if_needed
  change_loaded:
    description: Change packages to another version although a module is loaded. A busy node is not changed even so.
    type: bool
    default: false
  allow_kernel_change:
    description: The transaction may install, upgrade or remove packages of the kernel.
    type: bool
    default: false
  when_busy:
    description:
      - What happens where work is in the way of a change, of a reload alone too. V(refuse) fails and names it, V(defer)
        reports what is pending.
      - Who has the GPUs is asked again right before packages change under a loaded module and before the first service
        is stopped. Work that came until then is treated alike; packages that had changed before it came stay with
        V(defer), and the reload is owed.
    type: str
    choices: [refuse, defer]
    default: defer
  takeover:
    description: Act although another manager of the driver is found on the node, such as GPU Operator.
    type: bool
    default: false
  daemon_reload:
    description:
      - V(auto) changes no package, because its scripts run C(systemctl daemon-reload), while a container would lose its
        GPU by that, and reports RV(daemon_reload_required). V(allowed) does.
    type: str
    choices: [auto, allowed]
    default: auto
  download_only:
    description:
      - Put the files that the change needs into the package manager's cache, and repository and key in place, and
        change nothing else. Files in a cache are no change of the node, so RV(ignore:changed) tells of the repository
        alone.
      - Where DKMS builds the kernel modules, they are built once in a folder of this collection for the kernels that
        have headers, at the lowest priority, and thrown away; a version that does not compile fails here. The package
        builds them again when it is installed.
    type: bool
    default: false
  keep_geometry:
    description:
      - The caller reboots the node next. What MIG layout it has is written down, and the first call after the boot
        creates it again, see RV(geometry_restored).
    type: bool
    default: false
  run:
    description:
      - A name for the caller's change, such as the id of a run. It is written down with what was there before, so that
        O(restore_runs) can tell this change from others.
    type: str
  restore_runs:
    description:
      - With O(state=restored), the names (see O(run)) of the changes that may be taken back. Where the last change on
        the node is another one, or one without a name, nothing is touched and RV(restored) is false.
      - Without it the last change is taken back, whosever it was. An empty list takes back nothing.
    type: list
    elements: str
  cache_valid_time:
    description: Seconds for which the index of the repositories is not fetched again.
    type: int
    default: 3600
  lock_timeout:
    description: Seconds to wait for another run that changes GPUs on the same node, and for the package manager.
    type: float
    default: 300
  expected:
    description:
      - What the host declares to have, usually the variable C(accel_gpu_expected). Where fewer GPUs than
        O(expected.count) are in the PCI tree, V(present) fails before anything is changed. The rest is compared where a
        driver answers, see M(accel.gpu.gpu_info).
    type: dict
  address_prefix:
    description:
      - Put in front of the names of options in messages and in RV(actions). Role P(accel.gpu.gpu_driver#role) gives
        V(gpu_driver_), so that messages name its variables.
    type: str
    default: ""
notes:
  - Needs root, so use C(become).
  - A reboot is reported in RV(reboot_required) and never made.
  - After a change the NVLink fabric is waited for, 300 seconds at most, where fabric manager runs or had completed it
    before. If it is not completed then, the module fails with the state of each GPU, and the change stands.
  - A reload of the modules takes MIG devices, power limit, clocks and modes; what was there before is made again, a MIG
    layout only where nobody made another one since. MIG devices have new UUIDs then.
seealso:
  - module: accel.gpu.driver_info
  - module: accel.gpu.gpu_info
"""

EXAMPLES = r"""
- name: The newest driver of the long-term branch that NVIDIA's repository had at the first run
  accel.gpu.gpu_driver:
    branch: "580"
  become: true

- name: Exactly this version from a mirror without a way to the internet
  accel.gpu.gpu_driver:
    source: mirror
    mirror:
      url: https://mirror.example/nvidia
      key: "{{ lookup('ansible.builtin.file', 'nvidia.asc') }}"
      fingerprint: EB693B3035CD5710E231E123A4B469963BF863CC
    version: 580.126.16
  become: true

- name: What Debian itself has
  accel.gpu.gpu_driver:
    source: distribution
  become: true

- name: Another version on a node that was drained
  accel.gpu.gpu_driver:
    version: 595.71.05
    change_loaded: true
    when_busy: refuse
  become: true

- name: Back to what was there before
  accel.gpu.gpu_driver:
    state: restored
    change_loaded: true
  become: true

- name: Back to what was there before this change, and nothing where it never began
  accel.gpu.gpu_driver:
    state: restored
    restore_runs: [kernel-week-48]
    change_loaded: true
  become: true

- name: Profiling for everybody
  accel.gpu.gpu_driver:
    branch: "580"
    parameters:
      nvidia: {NVreg_RestrictProfilingToAdminUsers: 0}
  become: true
"""

RETURN = r"""
actions:
  description:
    - What was or would be done, and what was left alone, each with C(action), C(object) and C(reason).
  returned: always
  type: list
  elements: dict
  sample:
    - action: install_package
      object: nvidia-driver-cuda
      reason: wished by branch 580
      version: 580.126.16-1
driver:
  description:
    - Versions of the driver. C(installed) is what the packages say, C(loaded) the kernel module in memory, C(library)
      that of libnvidia-ml, C(wanted) what the wish means here.
  returned: always
  type: dict
  sample: {installed: 580.126.16, loaded: 580.126.16, library: 580.126.16, wanted: 580.126.16}
branch:
  description: The branch that the wish means.
  returned: always
  type: str
  sample: "580"
flavour:
  description: The kind of kernel modules.
  returned: always
  type: str
  sample: open
source:
  description: Where packages come from.
  returned: always
  type: str
  sample: nvidia
repository:
  description: The address of the repository, null for those of the distribution.
  returned: always
  type: str
  sample: https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/
packages:
  description: The packages that are wanted, with their versions.
  returned: always
  type: dict
  sample: {nvidia-driver-cuda: 580.126.16-1}
upgrade_pending:
  description:
    - C(from) and C(to) where another version is wished than the loaded one and the packages were left alone, else null.
      Read from the node at each run; never counts as changed. The same holds for everything that is owed below.
  returned: always
  type: dict
  sample: {from: 580.95.05, to: 580.126.16}
reload_required:
  description: Why the kernel modules should be reloaded.
  returned: always
  type: list
  elements: str
  sample: []
reboot_required:
  description:
    - Why the driver needs a reboot of the node, such as a kernel module that could not be unloaded in this boot. What
      other packages ask for is in RV(reboot_pending).
  returned: always
  type: list
  elements: str
  sample: []
reboot_pending:
  description:
    - Why the node should be rebooted for other packages, from the file that they leave (C(/run/reboot-required)). It
      says nothing of the driver, and no reboot of role P(accel.gpu.gpu_driver#role) is made for it.
  returned: always
  type: list
  elements: str
  sample: ["/run/reboot-required is there, for libc6"]
daemon_reload_required:
  description: Containers that would lose their GPU by the scripts of packages, see O(daemon_reload).
  returned: always
  type: list
  elements: str
  sample: []
enrolment_required:
  description: The step that a person has to do at the console so that Secure Boot accepts the modules, else null.
  returned: always
  type: str
  sample: null
fabric_deferred:
  description:
    - What of the NVLink fabric (fabric manager, nvlsm, imex) has to wait, with the reason. Such packages and services
      are left alone while any GPU of the node is busy.
  returned: always
  type: list
  elements: str
  sample: []
boot_without_driver:
  description:
    - Why the node would be without the wished driver after its next boot, such as a kernel for which no module was
      built. With O(download_only=true) what will be so after the change too.
  returned: always
  type: list
  elements: str
  sample: []
settings_reapplied:
  description:
    - A sentence for each setting of a GPU that a reload took away and that was set again, and for each of the driver's
      files in C(/dev) that has the owner and mode again which something else than the driver had given it.
  returned: when something was changed
  type: list
  elements: str
  sample: []
not_restored:
  description:
    - A sentence for each setting and each file in C(/dev) that a reload took away and that did not come back. What an
      earlier call lost is told until a later one has set it again, M(accel.gpu.gpu_settings) has decided on it, or the
      node is rebooted.
  returned: always
  type: list
  elements: str
  sample: []
geometry_not_restored:
  description:
    - A sentence for each MIG layout that a reload took away and that could not be created again. Each is a warning too.
  returned: when something was changed
  type: list
  elements: str
  sample: []
restored_otherwise:
  description:
    - A sentence for what is no loss, or may be none. These are a value that the hardware rounded, a setting that waits
      until MIG is off or that the driver does not have any more, a file in C(/dev) on which somebody else decided
      since, a unit that was stopped for a MIG layout and does not run again, and what could not be read before the
      reload. Each is a warning too.
  returned: when something was changed
  type: list
  elements: str
  sample: []
geometry_restored:
  description:
    - A sentence for each GPU whose MIG layout a reload or a reboot took away and that has it again. A layout that could
      not be created stays written down, a warning says why, and the next call tries again.
  returned: when something was changed
  type: list
  elements: str
  sample: []
seconds:
  description:
    - How long the parts of a change took, of C(install), C(build), C(initramfs), C(reload) and C(units) those that
      there were. C(build) is what DKMS took for the packages, or with O(download_only) the build that is thrown away.
  returned: when something was changed
  type: dict
  sample: {install: 61.3, build: 212.0, reload: 4.2}
reboot_hindered:
  description:
    - Why a reboot that is owed would hurt somebody now. Work on GPUs and processes that have GPUs open, then work that
      needs none (jobs of Slurm, pods and containers that are not the node's own, virtual machines) and logins of
      others.
  returned: always
  type: list
  elements: str
  sample: []
reboot_hindered_by_work:
  description:
    - Those entries of C(reboot_hindered) that are no login. They count on a node that was drained, too, while people
      who are logged in there do not.
  returned: always
  type: list
  elements: str
  sample: []
restored:
  description:
    - Whether the node has what was there before the last change. False where that is none of O(restore_runs), and then
      a warning says whose it is.
  returned: when O(state=restored)
  type: bool
  sample: true
downloaded:
  description: Packages and versions whose files were put into the cache, see O(download_only).
  returned: when O(download_only=true)
  type: dict
  sample: {nvidia-driver-cuda: 580.126.16-1}
drain_required:
  description:
    - Why the node has to be drained before the rest of the wish is made, told with O(download_only=true). Empty where
      the rest disturbs no work.
  returned: when O(download_only=true)
  type: list
  elements: str
  sample: [the driver changes from 580.95.05 to 580.126.16, the kernel modules are loaded again]
error:
  description:
    - What went wrong, for machines. C(kind) is a stable word such as V(wish), V(busy), V(blocked), V(gpu_missing),
      V(foreign_manager), V(locked), V(permission), V(package_locked), V(package_state), V(repository),
      V(version_missing), V(dependency), V(held), V(disk_full), V(transaction), V(verify), V(apply). C(changed) tells
      whether this call left something changed on the node. After a failed step there are C(step), C(restored) and
      C(cause).
    - What stands in the way of the decision, before anything is done, is V(wish) where another wish would do (a version
      that the repository does not have) and V(blocked) where the node has to change (a repository that gives no answer,
      a lock).
  returned: failure
  type: dict
  sample:
    kind: blocked
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._driver import core
from ..module_utils._module.arguments import EXPECTED_ARGUMENTS, NVML_ARGUMENTS
from ..module_utils._module.declare import run_declare


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent", "restored"], "default": "present"},
            "source": {"type": "str", "choices": ["distribution", "nvidia", "mirror"], "default": "nvidia"},
            "mirror": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "key": {"type": "str", "default": "", "no_log": False},
                    "fingerprint": {"type": "str", "default": ""},
                },
            },
            "branch": {"type": "str"},
            "version": {"type": "str"},
            "newest": {"type": "bool", "default": False},
            "flavour": {"type": "str", "choices": ["auto", "open", "proprietary"], "default": "auto"},
            "profile": {"type": "str", "choices": ["compute", "full"], "default": "compute"},
            "modules": {"type": "str", "choices": ["dkms", "precompiled"], "default": "dkms"},
            "parameters": {"type": "dict", "default": {}},
            "persistenced": {"type": "bool", "default": True},
            "hold": {"type": "bool", "default": True},
            "blacklist_nouveau": {"type": "bool", "default": True},
            "reload": {"type": "str", "choices": ["never", "if_needed"], "default": "if_needed"},
            "change_loaded": {"type": "bool", "default": False},
            "allow_kernel_change": {"type": "bool", "default": False},
            "when_busy": {"type": "str", "choices": ["refuse", "defer"], "default": "defer"},
            "takeover": {"type": "bool", "default": False},
            "daemon_reload": {"type": "str", "choices": ["auto", "allowed"], "default": "auto"},
            "download_only": {"type": "bool", "default": False},
            "keep_geometry": {"type": "bool", "default": False},
            "run": {"type": "str"},
            "restore_runs": {"type": "list", "elements": "str"},
            "cache_valid_time": {"type": "int", "default": 3600},
            "lock_timeout": {"type": "float", "default": 300},
            "address_prefix": {"type": "str", "default": ""},
            **EXPECTED_ARGUMENTS,
            **NVML_ARGUMENTS,
        },
        mutually_exclusive=[("branch", "version")],
        supports_check_mode=True,
    )
    run_declare(module, core)


if __name__ == "__main__":
    main()
