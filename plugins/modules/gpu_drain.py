#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_drain. The work is done in module_utils/_drain."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_drain
short_description: Take a node out of its scheduler's service, wait for its work to end, and put it back
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Tells the scheduler to give the node no new work, and waits until what runs there has ended. Nothing is ended by
    force.
  - >-
    The reason that is left in the scheduler carries the id of the run, as in C(accel.gpu RUN: NOTE), or with O(purpose)
    as in C(accel.gpu PURPOSE RUN: NOTE). Only such a reason of the same run is lifted again; a node that somebody else
    drained is left alone, see RV(foreign).
  - If the work has not ended in time, the node is put back as it was, see O(on_timeout).
  - A scheduler that does not answer, such as one that restarts, is asked again for a minute, and while running work is
    waited for until O(timeout) has passed.
  - Kubernetes is drained over its API from the control node, by task files of the playbook C(accel.gpu.driver_upgrade).
extends_documentation_fragment:
  - accel.gpu.attributes
  - accel.gpu.attributes.declare_module
  - accel.gpu.attributes.actiongroup_all
options:
  state:
    description: V(drained) takes the node out of service and waits; V(undrained) puts it back.
    type: str
    choices: [drained, undrained]
    default: drained
  provider:
    description: Who gives the node its work.
    type: str
    choices: [slurm, command]
    required: true
  node:
    description: Name of the node, as the scheduler knows it.
    type: str
    required: true
  run:
    description:
      - Id of the run. It stands in the reason and says whose drain it is.
      - 1 to 64 letters, digits, dots, underscores and hyphens.
    type: str
    required: true
  note:
    description:
      - What stands in the reason after the id, one line. Another note on a node that we drained replaces the reason.
    type: str
    default: maintenance
  purpose:
    description:
      - What several runs have in common, such as the name of the playbook that drains. It stands in the reason before
        the id of the run. A drain with another purpose, or with none, is somebody else's.
      - 1 to 64 letters, digits, dots, underscores and hyphens. C(accel.gpu.driver_upgrade) drains with
        V(driver_upgrade).
    type: str
  adopt:
    description:
      - Whether the drain of any other run with the same O(purpose) counts as ours, such as one that was interrupted. It
        needs O(purpose).
      - The drain is taken over with our reason. From then on only that reason is ours. A run that takes the drain over
        from us, while we wait, keeps it.
      - RV(adopted) and RV(adopted_note) tell whose drain it was. With that run and that note, O(state=drained) puts the
        reason back as it was.
    type: bool
    default: false
  adopt_run:
    description:
      - The one other run whose drain counts as ours without O(adopt). It needs O(purpose). With the run that was taken
        over as O(run), and our own one here, the reason of that run is put back, but never over that of a third one.
    type: str
  timeout:
    description: Seconds to wait for running work to end. V(0) does not wait.
    type: float
    default: 0
  on_timeout:
    description:
      - What happens where work has not ended in time. V(lift) takes the drain back, to the reason of the run whose
        drain was adopted, if there was one. V(keep) keeps it.
    type: str
    choices: [lift, keep]
    default: lift
  poll:
    description: Seconds between two looks at the scheduler.
    type: float
    default: 10
  command:
    description:
      - Program for O(provider=command), with its first arguments. It is called with three further forms of arguments.
      - C(status NODE) prints V(in_service), V(draining) or V(drained) on its first line, the reason on its second line,
        and on each further line somebody who still works.
      - C(drain NODE REASON) takes the node out of service without waiting; on a node that is out of service it replaces
        the reason.
      - C(undrain NODE) puts it back.
      - Every call ends with exit code 0, or with another one and a sentence on standard error.
    type: list
    elements: str
notes:
  - Slurm is asked and told by C(scontrol), so the module runs where that is, as root or as an operator of Slurm.
  - For a long O(timeout) run the task with C(async), so that no connection has to live that long.
seealso:
  - module: accel.gpu.gpu_info
"""

EXAMPLES = r"""
- name: Drain the node and wait for its jobs, two days at most
  accel.gpu.gpu_drain:
    provider: slurm
    node: "{{ inventory_hostname_short }}"
    run: change-4711
    note: new driver
    timeout: 172800
  become: true
  async: 172900
  poll: 10
  register: drain

- name: Put it back, unless somebody else keeps it out of service
  accel.gpu.gpu_drain:
    state: undrained
    provider: slurm
    node: "{{ inventory_hostname_short }}"
    run: change-4711
  become: true

- name: Drain a node of another scheduler by a program of the site
  accel.gpu.gpu_drain:
    provider: command
    command: [/usr/local/sbin/drain-tool, --cluster, prod]
    node: "{{ inventory_hostname_short }}"
    run: change-4711
    timeout: 3600
  delegate_to: scheduler.example
"""

RETURN = r"""
drained:
  description: The node gets no work and has none.
  returned: success
  type: bool
drained_by_us:
  description: The node is out of service for a reason of ours.
  returned: success
  type: bool
foreign:
  description: Why somebody else took the node out of service, or V(null). Such a node is left alone.
  returned: success
  type: str
  sample: "drained: bad DIMM"
adopted:
  description:
    - The other run whose drain was there when the module began and counts as ours, see O(adopt), or V(null).
  returned: success
  type: str
  sample: "20261125T221504Z-1a2b"
adopted_note:
  description: The note in the reason of that run, or V(null).
  returned: success
  type: str
  sample: upgrade failed, the old driver is back
timed_out:
  description: The work had not ended in time.
  returned: success
  type: bool
waited:
  description: Seconds that were waited for work to end.
  returned: success
  type: float
working:
  description: Who still works on the node.
  returned: success
  type: list
  elements: str
  sample: ["Slurm job 4711 of ada(1001)"]
reason:
  description: The reason that the scheduler shows.
  returned: success
  type: str
  sample: "accel.gpu change-4711: new driver"
actions:
  description: What was or would be done, and what was left alone, each with its reason.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._drain import core
from ..module_utils._module.declare import run_declare


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["drained", "undrained"], "default": "drained"},
            "provider": {"type": "str", "choices": ["slurm", "command"], "required": True},
            "node": {"type": "str", "required": True},
            "run": {"type": "str", "required": True},
            "note": {"type": "str", "default": "maintenance"},
            "purpose": {"type": "str"},
            "adopt": {"type": "bool", "default": False},
            "adopt_run": {"type": "str"},
            "timeout": {"type": "float", "default": 0},
            "on_timeout": {"type": "str", "choices": ["lift", "keep"], "default": "lift"},
            "poll": {"type": "float", "default": 10},
            "command": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    run_declare(module, core)


if __name__ == "__main__":
    main()
