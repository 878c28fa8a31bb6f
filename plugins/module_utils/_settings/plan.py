# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From wish and snapshot to a plan: what is set on each GPU, what is left alone, and why. Pure. PRIVATE."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from dataclasses import dataclass, field

from .._diff import Tracker
from .._errors import AccelError, BlockedError, BusyError, WishError
from .._nvml.objects import Gpu, GpuFailure, Snapshot
from .._owners.objects import Busy, Claim
from .._owners.usage import usage_of
from .._problems import Problems
from .._select import assign, failure_error, label, may_name_failure
from .judge import Seen, Verdict, judge, label_of
from .model import LOCKED, SETTINGS, Clocks, GpuPlan, Item, Memory, Others, Step, Wished, said
from .parse import selections

# By GPU UUID, then by setting.
Chosen = t.Dict[str, t.Dict[str, Wished]]
# Not lost when the last client of a GPU goes.
_LASTING = ("persistence_mode", "ecc")
_LOST = "other settings of the GPU fell back to the driver's default, and a lock goes with them"


@dataclass(frozen=True)
class Node:
    """What a plan needs to know of a node."""

    snapshot: Snapshot
    clocks: t.Mapping[str, Clocks] = field(default_factory=dict)
    memory: Memory = field(default_factory=dict)
    others: Others = field(default_factory=Others)
    busy: Busy = field(default_factory=Busy)


@dataclass(frozen=True)
class Options:
    """when_busy: refuse | defer. `today` is what `until` is compared with."""

    when_busy: str = "refuse"
    today: t.Optional[datetime.date] = None


@dataclass(frozen=True)
class NodePlan:
    """Nothing may be applied while `refusal` is set: one GPU that must not be touched stops the whole node."""

    gpus: t.Tuple[GpuPlan, ...] = ()
    actions: t.Tuple[t.Dict[str, t.Any], ...] = ()
    refusal: t.Optional[AccelError] = None

    @property
    def steps(self) -> t.Tuple[Step, ...]:
        return tuple(step for gpu in self.gpus for step in gpu.steps)


def plan(items: t.Sequence[Item], node: Node, options: Options) -> NodePlan:
    """The plan for a node. Raises WishError where the wish is wrong or impossible for a GPU."""
    snapshot = node.snapshot
    chosen = resolve(items, snapshot)
    judged = _judge_all(chosen, node)
    tracker = Tracker()
    for item in items:
        if item.until is not None and options.today is not None and options.today > item.until:
            tracker.note("wish", f"{item.told} was meant until {item.until}, which has passed")
    for failure in snapshot.failures:
        tracker.act("left_alone", f"GPU {failure.index}", f"gives no answer: {failure.message}", gpu=failure.uuid)
    plans = []
    for gpu in sorted(snapshot.gpus, key=lambda one: one.pci):
        if gpu.uuid in chosen:
            plans.append(_plan_gpu(gpu, chosen[gpu.uuid], judged[gpu.uuid], node.busy, options))
        else:
            plans.append(_unwished(gpu))
    refusals = [*_lost(items, snapshot), *(one.refusal for one in plans if one.refusal is not None)]
    told = (*tracker.actions, *(action for one in plans for action in one.actions))
    return NodePlan(tuple(plans), told, _one(refusals))


# --- which item rules what -----------------------------------------------------------------------------------------


def resolve(items: t.Sequence[Item], snapshot: Snapshot) -> Chosen:
    """What rules each setting of each GPU. Raises WishError with everything that matches nothing and all ties."""
    found: Chosen = {}
    wrong: t.List[str] = []
    for setting in SETTINGS:
        try:
            winners = assign(selections(items, setting), snapshot.gpus, snapshot.failures)
        except WishError as error:
            wrong += error.facts.get("problems") or [error.message]
            continue
        for uuid, winner in winners.items():
            found.setdefault(uuid, {})[setting] = Wished(winner.item.values[setting], winner.item)
    problems = Problems()
    for text in dict.fromkeys(wrong):  # an item with several settings matches nothing several times
        problems.add(text)
    problems.raise_any()
    return found


def _lost(items: t.Sequence[Item], snapshot: Snapshot) -> t.List[AccelError]:
    """GPUs that the wish means but that gave no answer: their settings cannot be said to be there."""
    found = []
    for failure in snapshot.failures:
        meant = [item.address for item in items if _means(item, failure, snapshot.gpus)]
        if meant:
            found.append(failure_error(failure, f"{meant[-1]}: GPU {failure.index} is meant too but gives no answer"))
    return found


def _means(item: Item, failure: GpuFailure, gpus: t.Sequence[Gpu]) -> bool:
    """Only `all` surely does: the model of a lost GPU is not known, and exact selectors have failed before."""
    excluded = any(may_name_failure(entry, failure, gpus) for entry in item.selector.exclude)
    return item.selector.kind == "all" and not excluded


def _one(refusals: t.Sequence[AccelError]) -> t.Optional[AccelError]:
    if len(refusals) < 2:
        return refusals[0] if refusals else None
    kind = type(refusals[0])
    return kind("\n".join(error.message for error in refusals), gpus=[error.facts.get("gpu") for error in refusals])


# --- what each GPU says to it --------------------------------------------------------------------------------------


def _judge_all(chosen: Chosen, node: Node) -> t.Dict[str, t.Dict[str, Verdict]]:
    """The verdicts by GPU and setting. Raises WishError with all that cannot be had, GPUs with the same trouble
    together, or BlockedError where a GPU does not tell what is set."""
    verdicts: t.Dict[str, t.Dict[str, Verdict]] = {}
    wrong: t.List[WishError] = []
    blocked: t.List[AccelError] = []
    for gpu in node.snapshot.gpus:
        seen = Seen(gpu, node.clocks.get(gpu.uuid, Clocks()), node.memory.get(gpu.uuid, {}), node.others)
        mine = verdicts.setdefault(gpu.uuid, {})
        wished = chosen.get(gpu.uuid, {})
        # What NVML does not read back comes last: what became of the others tells whether it can still be there.
        for setting in sorted(wished, key=lambda name: (name in LOCKED, SETTINGS.index(name))):
            if setting in LOCKED and _forgot(mine):
                seen = dataclasses.replace(seen, lost=_LOST)
            try:
                mine[setting] = judge(setting, wished[setting], seen)
            except WishError as error:
                wrong.append(error)
            except BlockedError as error:
                blocked.append(error)
    _raise_wrong(wrong, node.snapshot)
    refusal = _one(blocked)
    if refusal is not None:
        raise refusal
    return verdicts


def _forgot(verdicts: t.Mapping[str, Verdict]) -> bool:
    """Whether the GPU seems to have been reset, or its driver to have ended with the last client: then everything that
    was set is gone together. Persistence mode outlives a reset, but without it the driver may have ended."""
    gone = {name: verdict.gone for name, verdict in verdicts.items() if verdict.gone is not None}
    persistence = gone.pop("persistence_mode", False)
    return bool(persistence) or (bool(gone) and all(gone.values()))


def _raise_wrong(wrong: t.Sequence[WishError], snapshot: Snapshot) -> None:
    groups: t.Dict[t.Tuple[str, ...], t.List[WishError]] = {}
    for error in wrong:
        groups.setdefault(tuple(error.facts[key] for key in ("address", "setting", "text")), []).append(error)
    problems = Problems()
    for (address, setting, text), errors in groups.items():
        first = snapshot.by_uuid(errors[0].facts["gpu"])
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        named = f"{label(first) if first else errors[0].facts['gpu']}{more}"
        gpus = [error.facts["gpu"] for error in errors]
        problems.add(f"{address}.{setting} ({named}): {text}", address=address, setting=setting, gpus=gpus)
    problems.raise_any()


# --- one GPU -------------------------------------------------------------------------------------------------------


def _plan_gpu(
    gpu: Gpu, wished: t.Mapping[str, Wished], verdicts: t.Mapping[str, Verdict], busy: Busy, options: Options
) -> GpuPlan:
    tracker = Tracker()
    idle = GpuPlan(gpu.uuid, gpu.name, gpu.pci)
    order = [name for name in SETTINGS if name in verdicts]
    differing = [name for name in order if not verdicts[name].right]
    refusal = _guest(gpu, wished, differing)
    claims = usage_of(gpu, busy, False).gpu()
    hurting = [name for name in differing if _hurts(name, verdicts[name])] if claims else []
    waiting = hurting if options.when_busy == "defer" else []
    if hurting and not waiting and refusal is None:
        refusal = _busy(gpu, wished, hurting, claims)
    done = [] if refusal is not None else [name for name in differing if name not in waiting]
    for name in order:
        told = _Told(tracker, gpu, name, wished[name], verdicts[name])
        if verdicts[name].right:
            told.right()
        elif refusal is not None:
            told.refused(refusal)
        elif name in waiting:
            told.deferred(claims)
        else:
            told.done()
    _note_gpu(tracker, gpu, wished, verdicts, done)
    kept = [name for name in order if verdicts[name].right and verdicts[name].now is not None]
    owes = [name for name in order if verdicts[name].owes_reset and (verdicts[name].right or name in done)]
    return dataclasses.replace(
        idle,
        steps=tuple(_step(gpu, name, verdicts[name]) for name in done),
        before=tuple(said(name, verdicts[name].now) for name in done),
        after=tuple(said(name, verdicts[name].wanted) for name in done),
        actions=tuple(tracker.actions),
        refusal=refusal,
        deferred=bool(waiting) and refusal is None,
        reset_required=bool(owes),
        settled=(*kept, *done),
    )


def _step(gpu: Gpu, name: str, verdict: Verdict) -> Step:
    return Step(gpu.uuid, name, verdict.call, verdict.wanted, verdict.sure)


def _hurts(name: str, verdict: Verdict) -> bool:
    """Whether running work would feel the change. Pending ECC waits for a reset; persistence on and accounting on cost
    nothing, while accounting off forgets what it counted (nvml.h)."""
    return not (name == "ecc" or (name in ("persistence_mode", "accounting_mode") and verdict.wanted is True))


def _guest(gpu: Gpu, wished: t.Mapping[str, Wished], differing: t.Sequence[str]) -> t.Optional[AccelError]:
    if not differing or gpu.virtualization != "vgpu":
        return None
    where = f"{wished[differing[0]].item.address}.{differing[0]} ({label(gpu)})"
    return BlockedError(
        f"{where}: it is a vGPU, whose settings belong to the hypervisor; change them there", gpu=gpu.uuid
    )


def _busy(
    gpu: Gpu, wished: t.Mapping[str, Wished], hurting: t.Sequence[str], claims: t.Sequence[Claim]
) -> t.Optional[AccelError]:
    begin = f"{wished[hurting[0]].item.address} ({label(gpu)}): {', '.join(hurting)} cannot be set now"
    return BusyError(
        f"{begin}: the GPU is in use by {', '.join(map(str, claims))}; drain it first, or give when_busy: defer",
        gpu=gpu.uuid,
        owners=[str(claim) for claim in claims],
    )


class _Told:
    """Writes the actions of one setting of one GPU."""

    def __init__(self, tracker: Tracker, gpu: Gpu, name: str, wished: Wished, verdict: Verdict) -> None:
        self._tracker = tracker
        self._gpu = gpu
        self._name = name
        self._item = wished.item
        self._verdict = verdict

    def right(self) -> None:
        if self._verdict.now is None:
            self._act("left_alone", self._verdict.why)
        else:
            also = f"; {self._verdict.why}" if self._verdict.why else ""
            self._act("keep", f"is as {self._item.told} wishes{also}")
        self._notes()

    def done(self) -> None:
        self._act("set_setting", f"wished by {self._item.told}; {self._verdict.why}")
        self._notes()

    def deferred(self, claims: t.Sequence[Claim]) -> None:
        self._act("deferred", f"the GPU is in use by {', '.join(map(str, claims))}; wished by {self._item.told}")

    def refused(self, refusal: AccelError) -> None:
        self._act("refused", refusal.message)

    def _notes(self) -> None:
        for note in self._verdict.notes:
            self._act("note", note)

    def _act(self, action: str, reason: str) -> None:
        told = label_of(self._name, self._verdict)
        self._tracker.act(action, told, reason, gpu=self._gpu.uuid, setting=self._name)


def _note_gpu(
    tracker: Tracker,
    gpu: Gpu,
    wished: t.Mapping[str, Wished],
    verdicts: t.Mapping[str, Verdict],
    done: t.Sequence[str],
) -> None:
    settings = gpu.settings or {}
    fleeting = [name for name in wished if name not in _LASTING and not wished[name].item.lenient]
    if fleeting and settings.get("persistence_mode") is False and "persistence_mode" not in done:
        tracker.note(
            "persistence_mode off",
            "the driver may drop what is set when the last client of the GPU ends; run nvidia-persistenced, or wish "
            "persistence_mode: true",
            gpu=gpu.uuid,
        )
    _note_pending(tracker, gpu, "ecc" in verdicts)


def _note_pending(tracker: Tracker, gpu: Gpu, wished: bool) -> None:
    ecc = (gpu.settings or {}).get("ecc") or {}
    if not wished and ecc.get("pending") != ecc.get("current"):
        pending = said("ecc", ecc.get("pending"))
        tracker.note(f"{pending} pending", "nobody wished this; a reset or reboot would bring it", gpu=gpu.uuid)


def _unwished(gpu: Gpu) -> GpuPlan:
    tracker = Tracker()
    tracker.act("left_alone", "GPU", "no item of the wish means it", gpu=gpu.uuid)
    _note_pending(tracker, gpu, False)
    return GpuPlan(gpu.uuid, gpu.name, gpu.pci, actions=tuple(tracker.actions))
