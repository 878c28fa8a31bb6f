# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply a plan of settings, one after the other, and read them back. PRIVATE to the collection.

Settings are independent of each other and setting one twice does no harm, so nothing is taken back: what fails is told,
the others are set, and the next run sets what is missing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._errors import AccelError, ApplyError, GpuHungError, GpuLostError, NotRootError, SessionDiedError, VerifyError
from .._nvml.objects import Snapshot
from . import live, memory
from .decide import Plan
from .model import Remembered, Step, said, worded
from .probe import SUBSETS

if t.TYPE_CHECKING:
    from .._nvml.session import NvmlSession
    from .._ports import Ports

_TELLING = (GpuHungError, GpuLostError, NotRootError)


@dataclass
class Done:
    """The node afterwards. `notes` are sentences on values that the hardware rounded."""

    snapshot: Snapshot
    memory: t.Dict[str, t.Dict[str, Remembered]]
    notes: t.List[str] = field(default_factory=list)


def apply(plan: Plan, ports: Ports) -> Done:
    """Sets what differs. Raises an AccelError whose facts tell `step`, `changed` and `cause`."""
    state = plan.state
    remembered = {uuid: dict(settings) for uuid, settings in state.memory.items()}
    with ports.open_nvml() as session:
        if state.snapshot is not None:
            session.know(state.snapshot)
        walker = _Walker(ports, session, state.load, remembered)
        walker.walk(plan.steps)
        if walker.failed and not walker.done:
            raise walker.failure()
        done = Done(session.snapshot(SUBSETS), remembered)
    wrong = _read_back(walker, done)
    memory.write(ports.files, state.load, remembered)
    if walker.failed:
        raise walker.failure()
    if wrong:
        raise VerifyError("; ".join(wrong), changed=True)
    return done


class _Walker:
    """Walks the steps; `done` were set, `failed` were not, with why."""

    def __init__(
        self, ports: Ports, session: NvmlSession, load: str, remembered: t.Dict[str, t.Dict[str, Remembered]]
    ) -> None:
        self.done: t.List[Step] = []
        self.failed: t.List[t.Tuple[Step, AccelError]] = []
        self._ports = ports
        self._session = session
        self._load = load
        self._remembered = remembered

    def walk(self, steps: t.Sequence[Step]) -> None:
        given_up: t.Set[str] = set()
        for step in steps:
            if step.gpu in given_up:
                continue
            try:
                self._set(step)
            except (GpuHungError, GpuLostError) as error:
                # Each further call would cost a deadline.
                given_up.add(step.gpu)
                self.failed.append((step, error))
            except AccelError as error:
                self.failed.append((step, error))
            else:
                self.done.append(step)

    def _set(self, step: Step) -> None:
        mine = self._remembered.setdefault(step.gpu, {})
        if step.sure:
            self._call(step)
            return
        # Nobody can read it back, so a run that dies here must not leave a word that is not true.
        if mine.pop(step.setting, None) is not None:
            memory.write(self._ports.files, self._load, self._remembered)
        self._call(step)
        mine[step.setting] = Remembered(step.wished)
        memory.write(self._ports.files, self._load, self._remembered)

    def _call(self, step: Step) -> None:
        try:
            self._session.set_setting(step.gpu, step.setting, given(step))
        except GpuHungError:
            raise
        except SessionDiedError:
            # The session is opened again by the next request.
            self._session.set_setting(step.gpu, step.setting, given(step))

    def failure(self) -> AccelError:
        first, cause = self.failed[0]
        lines = [
            f"{step.gpu}: {said(step.setting, step.wished)} failed: {error.message}" for step, error in self.failed
        ]
        done = ", ".join(said(step.setting, step.wished) for step in self.done) or "nothing"
        facts = {**cause.facts, "step": said(first.setting, first.wished), "cause": cause.kind}
        kind = type(cause) if isinstance(cause, _TELLING) and len(self.failed) == 1 else ApplyError
        return kind(f"{'; '.join(lines)}; set: {done}", **{**facts, "changed": bool(self.done), "restored": False})


def given(step: Step) -> t.Any:
    """The value as the port takes it."""
    if isinstance(step.value, dict):
        names = ("memory", "graphics") if step.setting == "application_clocks" else ("min", "max")
        return [step.value[name] for name in names]
    return step.value


def _read_back(walker: _Walker, done: Done) -> t.List[str]:
    """What is not as it was set. What the hardware rounded is remembered, so that the next run takes it for right."""
    wrong = []
    for step in walker.done:
        gpu = done.snapshot.by_uuid(step.gpu)
        if gpu is None:
            wrong.append(f"{step.gpu}: gives no answer any more after {said(step.setting, step.wished)}")
            continue
        if not step.sure:
            continue
        found = live.values(gpu, {})[step.setting]
        if not live.near(step.wished, found):
            wrong.append(
                f"{step.gpu}: {said(step.setting, step.wished)} was set without an error, yet it is "
                f"{worded(step.setting, found)}; see the kernel log, run again, report it if it stays"
            )
            continue
        done.memory.setdefault(step.gpu, {})[step.setting] = Remembered(step.wished, found)
        if found != step.wished:
            made = f"the GPU makes {said(step.setting, found)} of the wished {worded(step.setting, step.wished)}"
            done.notes.append(f"{step.gpu}: {made}")
    return wrong
