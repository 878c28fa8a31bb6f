# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver change that failed: what was there before again, and the words for what happened. PRIVATE."""

from __future__ import annotations

import contextlib
import typing as t

from ..._errors import AccelError, ApplyError, BusyError
from .. import record
from ..decide import back
from ..look import probe_now, probe_use
from ..record import Journal
from ..steps import ReloadModules, SetUnit, Step
from ..words import words
from .apply_walk import StepError, Walker, hurts

if t.TYPE_CHECKING:
    from ..._packages.probe import Manager
    from ..._ports import Ports
    from .apply_gpus import Gpus

# Lets dpkg finish what a killed run left half-way, without questions.
_DPKG_SECONDS = 1800.0
_DPKG = ("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold", "--configure", "--pending")


class Aftermath(t.NamedTuple):
    """`missing`: one sentence for each step of the way back that failed. `walked`: how many steps there were."""

    missing: t.Tuple[str, ...]
    walked: int


def repair(ports: Ports, kind: str) -> None:
    """dpkg's database after our own death in the middle. What dpkg cannot configure is replaced or removed by the steps
    that follow, so its failure is not ours."""
    if kind == "apt":
        ports.run(_DPKG, timeout=_DPKG_SECONDS)


def undo(journal: Journal, ports: Ports, manager: Manager) -> Aftermath:
    """Brings back what `journal` found. Every step is tried: what can be restored is, whatever else fails. Nothing is
    done under work that has come since but that stopped units run again."""
    walker = Walker(ports, manager, journal)
    hindered = probe_use.hindrance(ports)
    half = journal.phase == record.PACKAGES
    try:
        if half and not hindered:
            repair(ports, manager.kind)
        now = probe_now.look(journal.before, ports, manager, journal.initramfs, half=half)
        steps = back.steps_back(journal.before, now)
    except AccelError as error:
        return Aftermath((f"what is there cannot be read ({error.message})",), 0)
    if hindered and (half or any(_hurts(step) for step in steps)):
        steps, missing = [], [f"{hindered}; packages and modules stay as they are until that ends"]
    else:
        missing = _walk_back(steps, walker)
    try:
        walker.start_left()
    except AccelError as error:
        missing.append(error.message)
    if not missing:
        for key in sorted({*record.read_state(ports.files).get("keys", ())} - {*journal.before.state.get("keys", ())}):
            manager.distrust(key)
        record.write_state(ports.files, journal.before.state)
        record.remove_journal(ports.files)
    return Aftermath(tuple(missing), len(steps))


def _hurts(step: Step) -> bool:
    return hurts(step) or (isinstance(step, SetUnit) and step.running is False)


def _walk_back(steps: t.Sequence[Step], walker: Walker) -> t.List[str]:
    """A sentence for each step that failed."""
    missing: t.List[str] = []
    walker.owe(steps)
    for step in steps:
        try:
            walker.walk([step])
        except StepError as error:
            missing.append(f"{words(step)} failed ({error.cause.message})")
            if isinstance(step, ReloadModules) and not step.load:
                break  # the module that stays needs its packages
    return [*missing, *(f"the modules stay ({reason})" for reason in walker.reload)]


def give_up(error: BaseException, walker: Walker, gpus: Gpus) -> BaseException:
    """Restores, and words the failure. What is no failure of a step (a signal) is handed on as it is."""
    gpus.take_again(loaded=bool(walker.journal.before.modules))
    after = undo(walker.journal, walker.ports, walker.manager)
    with contextlib.suppress(AccelError):
        gpus.back()
        gpus.still_late()
    if isinstance(error, OSError):
        error = AccelError(f"{error.filename or 'a file'}: {error.strerror}")
    if not isinstance(error, (StepError, AccelError)):
        return error
    return _worded(error, after, [*gpus.lost, *gpus.layouts_lost, *gpus.noted])


def _worded(error: t.Union[StepError, AccelError], after: Aftermath, lost: t.Sequence[str]) -> AccelError:
    cause = error.cause if isinstance(error, StepError) else error
    facts: t.Dict[str, t.Any] = {**cause.facts, "cause": cause.kind, "step": "verification"}
    what = cause.message
    if isinstance(error, StepError):
        facts["step"] = words(error.step)
        what = f"{facts['step']} failed: {cause.message}"
    if after.missing:
        end = f"NOT restored: {'; '.join(after.missing)}; the next run tries again"
    else:
        end = "what was there before is back" if after.walked else "nothing was changed"
    facts.update(restored=not after.missing, changed=bool(after.missing))
    # Errors that tell the user what to do keep their class; "busy" alone would say that nothing was changed.
    changed = isinstance(cause, BusyError) and after.missing
    kind = ApplyError if changed or cause.kind == AccelError.kind else type(cause)
    return kind("; ".join([what, end, *lost]), **facts)
