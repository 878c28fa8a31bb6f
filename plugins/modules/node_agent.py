#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module node_agent. The work is done in module_utils/_agent; the payload comes from the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_agent
short_description: Install the agent that brings the declared state of the GPUs back after a reboot
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Puts the core of this collection on the node as one archive, with pynvml beside it, a command C(accel-gpu) and a
    boot unit C(accel-gpu.service). No pip, no compiler and no internet are needed there.
  - The archive is compared by its content; it travels only where it differs.
  - The boot unit comes after nvidia-persistenced and fabric manager and before Docker, containerd, CRI-O, kubelet,
    slurmd, DCGM, MPS and the refresh of device specifications.
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.declare_module
  - accel.gpu.attributes.actiongroup_all
options:
  state:
    description:
      - V(absent) removes all files and links that this module put on the node. Wishes of other roles stay;
        RV(actions) names them.
    type: str
    choices: [present, absent]
    default: present
  boot_timeout:
    description: Seconds that the boot unit may take, at least 30.
    type: int
    default: 300
  boot_failure:
    description:
      - V(hold) keeps services that hand out GPUs from starting where the declared state cannot be made at boot;
        V(continue) lets them start.
    type: str
    choices: [hold, continue]
    default: hold
  daemon_reload:
    description:
      - V(auto) runs no C(systemctl daemon-reload) while a container of NVIDIA's legacy hook runs under the systemd
        cgroup driver, because the container would lose its GPU; RV(daemon_reload_required) is set then.
      - V(allowed) reloads anyway.
    type: str
    choices: [auto, allowed]
    default: auto
  archive_sha256:
    description: Digest of the archive that the control node has. Set by the action plugin.
    type: str
  binding_sha256:
    description: Digest of the pynvml source that the control node has. Set by the action plugin.
    type: str
  archive:
    description: The archive, packed. Set by the action plugin where the node has another one.
    type: str
  binding:
    description: The pynvml source, packed. Set by the action plugin where the node has another one.
    type: str
notes:
  - The control node needs the Python package C(nvidia-ml-py).
seealso:
  - module: accel.gpu.mig_geometry
"""

EXAMPLES = r"""
- name: Put the node agent in place
  accel.gpu.node_agent:
    boot_timeout: 300
    boot_failure: hold
  become: true

- name: Take it away again
  accel.gpu.node_agent:
    state: absent
  become: true
"""

RETURN = r"""
actions:
  description: What was or would be done, and what was left alone, each with its reason.
  returned: success
  type: list
  elements: dict
  sample: [{"action": "install", "object": "/usr/sbin/accel-gpu", "reason": "it is not there"}]
daemon_reload_required:
  description: A C(systemctl daemon-reload) is owed, because it would take the GPU from a running container.
  returned: success
  type: bool
owed:
  description: Other states that are owed to the node, such as a failed boot.
  returned: success
  type: list
  elements: dict
boot:
  description: Summary of the agent's last run at boot; empty before the first.
  returned: success
  type: dict
backups:
  description: Copies of replaced files, below C(/var/lib/accel-gpu/backup). The last three of each file are kept.
  returned: when files were written
  type: list
  elements: str
"""

import sys

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._agent import install
from ..module_utils._module.declare import run_declare


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "boot_timeout": {"type": "int", "default": 300},
            "boot_failure": {"type": "str", "choices": ["hold", "continue"], "default": "hold"},
            "daemon_reload": {"type": "str", "choices": ["auto", "allowed"], "default": "auto"},
            "archive_sha256": {"type": "str"},
            "binding_sha256": {"type": "str"},
            "archive": {"type": "str", "no_log": True},
            "binding": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    # The agent runs under the interpreter that Ansible found good enough for its modules.
    module.params["interpreter"] = sys.executable
    run_declare(module, install)


if __name__ == "__main__":
    main()
