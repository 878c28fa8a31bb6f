# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reset called as the module calls it, and what is asked of its node."""

from __future__ import annotations

import os

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import declare
from ansible_collections.accel.gpu.plugins.module_utils._reset import core
from ansible_collections.accel.gpu.plugins.module_utils._settings import kept
from ansible_collections.accel.gpu.tests.component.mig.changes import on, one
from ansible_collections.accel.gpu.tests.component.mig.node import Json

FABRIC_MANAGER = "nvidia-fabricmanager.service"
# The addresses of the first two GPUs of a simulated node.
PCI = ("0000:10:00.0", "0000:18:00.0")
SPLIT = [on([one("3g.40gb", 4), one("1g.10gb", 1)])]


def reset(node, gpus="all", check=False, **options):
    """The module's result, with `failed`, `msg` and `error` where it fails."""
    result: Json = {"changed": False}
    ports = node.ports(check)
    with node.seen():
        try:
            declare(core, {"gpus": gpus, **options}, ports, result)
        except AccelError as error:
            result.update(failed=True, msg=error.message, error={**error.facts, "kind": error.kind})
        finally:
            core.release(ports)
    return result


def good(node, gpus="all", **options):
    """`reset` that must succeed, after a check mode that said the same and changed nothing."""
    before = node.sim.show()
    seen = reset(node, gpus, check=True, **options)
    assert node.sim.show()["gpus"] == before["gpus"]
    done = reset(node, gpus, **options)
    assert not done.get("failed"), done.get("msg")
    same = ("changed", "actions", "diff", "gpus_reset", "deferred")
    assert {key: seen[key] for key in same} == {key: done[key] for key in same}
    assert not node.has_journal and not node.files.exists(kept.PATH)
    return done


def made_of(node, boards):
    """A node on which fabric manager runs, so that each GPU can be reset by itself."""
    made = node(boards)
    made.services.add(FABRIC_MANAGER, 1, [])
    return made


def resets(node):
    return [gpu["resets"] for gpu in node.sim.show()["gpus"]]


def uuid(node, index=0):
    return node.sim.gpu(index)["uuid"]


def label(node, index=0):
    gpu = node.sim.gpu(index)
    return f"{gpu['uuid']}, {gpu['name']}"


def power_limit(node, index):
    asked = ("--query-gpu=power.limit", "--format=csv,noheader,nounits")
    return node.sim.smi("-i", str(index), *asked, check=True).stdout.strip()


def kinds(result):
    return [action["action"] for action in result["actions"]]


def smi_resets(node):
    return [words[-1] for words in node.commands if words[:2] == ("nvidia-smi", "--gpu-reset")]


def opened(node, target):
    """A process that is no work and has a device node open, in the node's constructed /proc."""
    node.files.write("/proc/4711/comm", b"Xorg\n")
    node.files.write("/proc/4711/cgroup", b"0::/user.slice\n")
    node.files.write("/proc/4711/stat", b"4711 (Xorg) S 1 0")
    os.makedirs(node.root / "proc/4711/fd")
    os.symlink(target, node.root / "proc/4711/fd/3")
