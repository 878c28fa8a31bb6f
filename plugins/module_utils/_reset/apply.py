# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reset the GPUs of a plan, and verify. PRIVATE to the collection.

The walk, its journal and the way back are those of a MIG change, for a reset takes away what such a change makes: a run
that dies here is settled by the next run of either.
"""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

from .._holders import apply_fabric
from .._mig import apply as mig_apply
from .._mig import resident
from .._mig.apply_back import Change
from .._mig.live import layout_of
from .._mig.model import GpuLayout, GpuPlan, MigPlan
from .._nvml.objects import Snapshot
from .._settings.kept_devices import DeviceFiles
from . import apply_settings, judge
from .geometry import after_reset, before_reset
from .model import GpuReset, Plan
from .plan import plan as plan_again
from .plan import reset_sets
from .probe import SUBSETS, look

if t.TYPE_CHECKING:
    from .._ports import Ports


@dataclass(frozen=True)
class Outcome:
    """What was done; `result` is laid over the plan's."""

    done: t.Optional[mig_apply.Done] = None
    reboot_required: bool = False
    warnings: t.Tuple[str, ...] = ()
    told: t.Tuple[str, ...] = ()

    def result(self) -> t.Dict[str, t.Any]:
        if self.done is None:
            # An interrupted run may have been settled all the same.
            found = {"settings_reapplied": list(self.told), "warnings": list(self.warnings)}
            return {key: value for key, value in found.items() if value}
        return {
            "uuid_map": [dict(row) for row in self.done.uuid_map],
            "settings_reapplied": list(dict.fromkeys((*self.done.reapplied, *self.told))),
            "warnings": list(dict.fromkeys((*self.done.lost, *self.warnings))),
            "reboot_required": self.reboot_required,
        }


def apply(plan: Plan, ports: Ports) -> Outcome:
    """Makes it so. Raises an AccelError whose facts tell `step`, `restored`, `cause` and `uuid_map`."""
    with DeviceFiles(ports) as devices:
        outcome = _apply(plan, ports, devices)
    warnings = (*outcome.warnings, *devices.lost, *devices.noted)
    return dataclasses.replace(outcome, told=tuple(dict.fromkeys((*outcome.told, *devices.told))), warnings=warnings)


def _apply(plan: Plan, ports: Ports, devices: DeviceFiles) -> Outcome:
    settled = settle(plan, ports)
    if settled is not None:
        devices.keep()
        plan = _again(plan, ports)
    earlier = {key: tuple((settled or {}).get(key, ())) for key in ("settings_reapplied", "warnings")}
    if plan.refusal is not None:
        # What the settling lost would be told by nothing else.
        message = "; ".join([plan.refusal.message, *earlier["warnings"]])
        raise type(plan.refusal)(message, **plan.refusal.facts)
    snapshot = plan.state.snapshot
    if snapshot is None or not plan.acting:
        return Outcome(told=earlier["settings_reapplied"], warnings=earlier["warnings"])
    done = mig_apply.apply(_change(plan, snapshot), ports)
    with ports.open_nvml() as session:
        seen, late = apply_fabric.wait(session, [one.target.uuid for one in plan.acting], SUBSETS)
    judge.verify(plan.acting, seen, late)
    told, lost = _silent(plan, ports)
    warnings = (*earlier["warnings"], *judge.warnings(plan.acting, seen), *lost)
    told = (*earlier["settings_reapplied"], *told)
    return Outcome(done, judge.reboot_required(plan.acting, seen), warnings, told)


def _silent(plan: Plan, ports: Ports) -> t.Tuple[apply_settings.Sentences, apply_settings.Sentences]:
    """The settings of GPUs that told none before."""
    uuids = [one.target.uuid for one in plan.acting if one.target.gpu is None]
    if not uuids or plan.state.settings is None:
        return (), ()
    return apply_settings.from_wish(plan.state.settings, uuids, ports)


def settle(plan: Plan, ports: Ports) -> t.Optional[t.Dict[str, t.Any]]:
    """Settles an interrupted run; the answer is the result of that. None: there was none."""
    if plan.settling is None or not plan.settling.touches:
        return None
    return resident.before_refusal(plan.settling, ports)


def _again(plan: Plan, ports: Ports) -> Plan:
    """The plan for the node as it is after an interrupted run was settled."""
    with ports.open_nvml() as session:
        snapshot = session.snapshot(SUBSETS)
    return plan_again(plan.wish, look(plan.state, snapshot, ports))


def _change(plan: Plan, snapshot: Snapshot) -> Change:
    acting = plan.acting
    mig = MigPlan(tuple(_gpu(one) for one in acting), plan.steps)

    def again(seen: Snapshot) -> MigPlan:
        return after_reset(acting, seen, plan.state.geometry)

    return Change(mig, snapshot, again)


def _gpu(one: GpuReset) -> GpuPlan:
    """`replan`: the geometry is planned when the GPU answers again."""
    target = one.target
    found = layout_of(target.gpu) if target.gpu else GpuLayout(None, None)
    steps = (*before_reset(one), *reset_sets([one]))
    after = one.geometry.after or found
    return GpuPlan(target.uuid, target.name, target.pci, found, after, steps=steps, replan=True)
