# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions about nodes that the tests of the plan begin with: a fresh node, a settled one."""

from __future__ import annotations

import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._driver import model
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide.plan import Plan
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

OLD, NEW = "580.95.05", "580.126.16"
KERNEL = "6.8.0-90-generic"
BUSY = (model.Busy("GPU 0000:17:00.0", "Slurm job 4711", True),)
RISK = ("container web (docker)",)
SWITCHES = nodes.gpus(nodes.H100_SWITCH)
LIBRARY = "libnvidia-cfg1-580"  # comes by dependency
INSTALLED = ("libnvidia-compute-580", "nvidia-compute-utils-580", "nvidia-dkms-580-open", "nvidia-utils-580")


def words(made: Plan) -> t.List[str]:
    """The kinds of steps in their order."""
    return [type(step).__name__ for step in made.steps]


def only(made: Plan, kind: t.Type[t.Any]) -> t.Any:
    (found,) = [step for step in made.steps if isinstance(step, kind)]
    return found


def dependency(version: str, before: t.Optional[str] = None) -> t.Tuple[model.Change, ...]:
    return (model.Change(LIBRARY, before and f"{before}-1", f"{version}-1"), model.Change("dkms", None, "3.0.11-1"))


def fresh(wish: t.Optional[model.Wish] = None, **facts: t.Any) -> t.Tuple[model.State, Plan]:
    """A node without a driver and its decision."""
    return nodes.decided(nodes.node(**facts), wish or nodes.mirror(), NEW, OLD, changes=dependency(NEW))


def settled(wish: t.Optional[model.Wish] = None, version: str = OLD, **facts: t.Any) -> model.Node:
    """A node that a run has brought to `version`, with the module loaded."""
    asked = wish or nodes.mirror(version=version)
    state, made = nodes.decided(nodes.node(**facts), asked, version, changes=dependency(version))
    assert made.refusal is None
    return nodes.after(state, made)


def again(node: model.Node, wish: t.Optional[model.Wish] = None, **facts: t.Any) -> Plan:
    _state, made = nodes.decided(node, wish or nodes.mirror(version=OLD), NEW, OLD, **facts)
    assert made.refusal is None
    return made


def image(*versions: str, nouveau: bool = False, unread: str = "") -> model.Initramfs:
    return model.Initramfs("/boot/initrd.img", versions, nouveau, unread)
