# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core of module gpu_driver: parse, read (one look at the node), plan (pure), apply (verified, or the old again).

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from dataclasses import dataclass

from .._errors import AccelError
from .._lock import Lock
from .._owners.probe_reload import containers_at_risk
from .._packages.objects import Change as PackageChange
from .._packages.objects import Transaction
from .._packages.probe import manager
from . import parse as parsing
from . import record
from .change import apply_geometry
from .change.apply import apply as apply_change
from .change.apply import fetch, take_back
from .change.apply_back import repair
from .change.objects import Change, Done
from .decide import plan_guard, plan_modules, plan_names, plan_packages, planned
from .decide.back import Now
from .decide.geometry import Kept
from .decide.planned import Asked, Planned, Seen, decide
from .look import probe_now, probe_offers, probe_others, probe_system, probe_unset, probe_use
from .look.probe import probe
from .model import Node
from .steps import LoadModules, ReloadModules, Step

if t.TYPE_CHECKING:
    from .._packages.probe import Manager
    from .._ports import Ports


@dataclass(frozen=True)
class Outcome:
    """`after` is what a fresh look says."""

    plan: Planned
    after: Planned
    done: Done

    def result(self) -> t.Dict[str, t.Any]:
        found = {key: value for key, value in self.after.result().items() if key in planned.OWED}
        # The fresh look knows the reason too, unless it has gone since.
        found["reload_required"] = found["reload_required"] or list(self.done.reload)
        if self.done.waits or self.done.reload:
            left = self.plan.without(self.done.waits or "; ".join(self.done.reload), all_=bool(self.done.waits))
            found.update(left, changed=left["changed"] or bool(self.done.geometry))
        done = self.done
        found["not_restored"] = list(done.lost)
        found["geometry_not_restored"] = list(done.layouts_lost)
        found["restored_otherwise"] = list(done.noted)
        told = (*found["warnings"], *done.warnings, *done.lost, *done.layouts_lost, *done.noted)
        found["warnings"] = list(dict.fromkeys(told))
        found["settings_reapplied"] = list(self.done.reapplied)
        found["geometry_restored"] = list(self.done.geometry)
        found["seconds"] = dict(self.done.seconds)
        return found


def parse(params: t.Mapping[str, t.Any]) -> Asked:
    """The options as a wish. Raises WishError."""
    options = {name: params.get(name) for name in parsing.OPTIONS if name in params}
    options["address_prefix"] = params.get("address_prefix")
    return Asked(parsing.parse(options, datetime.date.today()), lean=params.get("nvml_binding") is None)


def read(asked: Asked, ports: Ports) -> Seen:
    """One look, and a second one under the node's lock where something would be changed."""
    journal = record.read_journal(ports.files)
    may = not ports.check and probe_system.is_root()
    # A download too needs a database that its manager can read.
    if journal is not None and may and (asked.wish.download_only or not planned.leaves(asked.wish, journal)):
        _settle(asked, journal, ports)
    seen = _look(asked, ports)
    plan_ = decide(asked, seen)
    if plan_.refusal is not None and any(plan_guard.LOCKED in one for one in seen.state.node.package_problems):
        with manager(ports) as packages:
            probe_now.wait_for_lock(packages, asked.wish.lock_timeout)
        seen = _look(asked, ports)
        plan_ = decide(asked, seen)
    if not may or not plan_.acts or plan_.refusal is not None:
        return seen
    if asked.lean and any(_loads(step) for step in plan_.steps):
        # After the change the driver is asked whether all GPUs answer; its library may come with this very change.
        planned.want_binding()
    if not Lock(ports.files).held:
        Lock(ports.files).acquire(asked.wish.lock_timeout)
        seen = _look(asked, ports)  # another run may have changed the node since
    return seen


def _loads(step: Step) -> bool:
    return isinstance(step, LoadModules) or (isinstance(step, ReloadModules) and bool(step.load))


def _settle(asked: Asked, journal: record.Journal, ports: Ports) -> None:
    """dpkg's database, where it was our own run that died in the middle. Not under work that has come since: the
    scripts of packages restart their services."""
    Lock(ports.files).acquire(asked.wish.lock_timeout)
    if journal.phase == record.PACKAGES and not _unsettled(asked, journal, ports):
        with manager(ports) as packages:
            repair(ports, packages.kind)


def _unsettled(asked: Asked, journal: t.Optional[record.Journal], ports: Ports) -> str:
    """Why packages that an interrupted run left half-way have to stay so for now; empty: they need not."""
    if journal is None or journal.phase != record.PACKAGES:
        return ""
    risk = containers_at_risk(ports.root) if asked.wish.daemon_reload == "auto" else ()
    return probe_use.hindrance(ports) or (plan_packages.risk(risk) if risk else "")


def _look(asked: Asked, ports: Ports) -> Seen:
    with manager(ports, lock_timeout=asked.wish.lock_timeout) as packages:
        return _seen(asked, ports, packages)


def _seen(
    asked: Asked, ports: Ports, packages: Manager, way: t.Optional[record.Recorded] = None, done: bool = False
) -> Seen:
    """`way` is the way back that was decided on; the journal of this very run is none. `done`: the steps were walked;
    what an interrupted run had unloaded is there again or has no file."""
    wish, journal = asked.wish, record.read_journal(ports.files)
    unsettled = _unsettled(asked, journal, ports)
    half = ports.check or bool(unsettled)
    node = probe(ports, packages)
    node = node if done else dataclasses.replace(node, unloaded=plan_modules.unloaded(node, journal))
    if journal is not None and journal.phase == record.PACKAGES:
        node = dataclasses.replace(node, package_problems=_foreign(node.package_problems, journal, half))
    unset = probe_unset.unset(ports.files)
    recorded, now = _way_back(ports, packages, journal, node, way) if wish.state == "restored" else (None, None)
    try:
        state = (
            planned.bare(node)
            if wish.state == "restored"
            else probe_offers.look(wish, node, packages, ports, always=half and journal is not None)
        )
    except AccelError as error:
        return Seen(planned.bare(node), journal, recorded, now, error, unsettled=unsettled, unset=unset)
    seen = Seen(state, journal, recorded, now, unsettled=unsettled, unset=unset)
    plan_ = decide(asked, seen)
    others = probe_others.probe(ports) if plan_.decided.owed.reboot else planned.Others()
    return dataclasses.replace(seen, others=others, layouts=_layouts(asked, plan_, ports))


def _layouts(asked: Asked, plan_: Planned, ports: Ports) -> t.Tuple[Kept, ...]:
    none = asked.wish.download_only or asked.wish.state == "absent" or plan_.seen.unsettled
    if none or plan_.refusal is not None:
        return ()
    return apply_geometry.look(ports, any(_loads(step) for step in plan_.steps))


def _way_back(
    ports: Ports, packages: Manager, journal: t.Optional[record.Journal], node: Node, way: t.Optional[record.Recorded]
) -> t.Tuple[t.Optional[record.Recorded], t.Optional[Now]]:
    # Kernels may have come since the record was written.
    carriers = [one.release for one in plan_names.kernels(node) if one.initramfs and one.initramfs.versions]
    if way is not None:
        return way, probe_now.look(way, ports, packages, carriers=carriers)
    recorded = record.way_back(journal, record.read_record(ports.files))
    if recorded is None:
        return None, None
    kernels = journal.initramfs if journal else ()
    half = journal is not None and journal.phase == record.PACKAGES
    return recorded, probe_now.look(recorded, ports, packages, kernels, half, carriers)


def _foreign(problems: t.Sequence[str], journal: record.Journal, half: bool) -> t.Tuple[str, ...]:
    """Without what our own run left half-way: the steps that follow replace or remove what dpkg cannot configure.
    `half`: dpkg was not asked to finish yet (check mode), so nothing of its state counts. Pure."""
    ours = [f"package {name} is " for name in (*journal.before.packages, *journal.before.added)]
    return tuple(one for one in problems if plan_guard.LOCKED in one or not (half or any(name in one for name in ours)))


def plan(asked: Asked, seen: Seen) -> Planned:
    """The plan; what is refused is its `refusal`."""
    return decide(asked, seen)


def before_refusal(plan: Planned, ports: Ports) -> t.Dict[str, t.Any]:
    """Undoes an interrupted run although this wish is refused; the answer is laid over the result. Not under work that
    has come since: packages and fabric manager stay as they are until it is gone."""
    journal, node = plan.seen.journal, plan.seen.state.node
    in_use = node.loaded is not None and plan_modules.in_use(node)
    if journal is None or not plan.resumes or not node.root or in_use:
        return {}
    Lock(ports.files).acquire(plan.wish.lock_timeout)
    with manager(ports, lock_timeout=plan.wish.lock_timeout) as packages:
        back = take_back(journal, ports, packages)
    return {
        "changed": back.after.walked > 0,
        "settings_reapplied": list(back.reapplied),
        "geometry_restored": list(back.geometry),
        "warnings": list(back.warnings),
    }


def apply(plan: Planned, ports: Ports) -> Outcome:
    """Makes it so. Raises an AccelError whose facts tell `step`, `restored`, `changed` and `cause`."""
    with manager(ports, lock_timeout=plan.wish.lock_timeout) as packages:
        looks: t.List[Planned] = []

        def again() -> t.Tuple[Node, t.Sequence[t.Any]]:
            seen = _seen(plan.asked, ports, packages, plan.seen.recorded, done=True)
            looks.append(decide(plan.asked, dataclasses.replace(seen, journal=None)))
            if looks[-1].refusal is not None:
                raise looks[-1].refusal
            return looks[-1].seen.state.node, () if plan.wish.download_only else looks[-1].steps

        make = fetch if plan.wish.download_only else apply_change
        done = make(_change(plan, again), ports, packages)
        if done.waits:
            again()
    if plan.wish.state == "absent" and not looks[-1].steps and not record.read_state(ports.files):
        record.forget(ports.files)
    return Outcome(plan, looks[-1], done)


def _change(plan: Planned, again: t.Any) -> Change:
    changes = tuple(PackageChange(*one) for one in plan.transaction)
    return Change(
        plan.steps,
        plan.seen.state.node,
        again,
        Transaction(changes),
        flavour=planned.flavour_of(plan.seen.state.node),
        earlier=plan.seen.journal,
        remembers=plan.wish.state != "restored",
        state=plan.state_after,
        own_holds=planned.own_holds(plan.seen.state.node),
        # On a way back that fails in its turn they tell what this one changed.
        parameters=plan.seen.recorded.parameters if plan.seen.recorded else plan.wish.parameters,
        run=plan.wish.run,
        keep_geometry=plan.wish.keep_geometry,
        defers=plan.wish.when_busy == "defer" and plan.wish.state != "restored",
    )
