# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One wished setting against one live GPU: is it right, can it be had, who owns it. Pure. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from .._data.settings import WITHOUT
from .._errors import BlockedError, WishError
from .._nvml.objects import Gpu
from .._nvml.settings_write import MIG_VALUES
from .._select import label
from .model import DEFAULT, Clocks, Others, Remembered, Value, Wished, said, worded

# Pieces of the names of the NVML calls that a setting is read with.
_CALLS = {
    "persistence_mode": "PersistenceMode",
    "ecc": "EccMode",
    "power_limit": "PowerManagement",
    "compute_mode": "ComputeMode",
    "application_clocks": "ApplicationsClock",
    "auto_boost": "AutoBoosted",
    "accounting_mode": "AccountingMode",
}
PERSISTENCED = "nvidia-persistenced.service"


@dataclass(frozen=True)
class Seen:
    """What is known of the GPU. `lost` says why nothing that was set is there any more, "" where it may be."""

    gpu: Gpu
    clocks: Clocks = field(default_factory=Clocks)
    remembered: t.Mapping[str, Remembered] = field(default_factory=dict)
    others: Others = field(default_factory=Others)
    lost: str = ""

    @property
    def settings(self) -> t.Mapping[str, t.Any]:
        return self.gpu.settings or {}


@dataclass(frozen=True)
class Verdict:
    """`now` is None where nobody knows it. `call` is what the port is given, see `model.Step`. `why` says why it is
    set, or why it is left. `gone`: whether it reads as the driver's default although it was set to another value in
    this boot; None where it was not."""

    now: Value
    wanted: Value
    right: bool
    why: str = ""
    call: Value = None
    notes: t.Tuple[str, ...] = ()
    sure: bool = True
    owes_reset: bool = False
    gone: t.Optional[bool] = None


def judge(setting: str, wished: Wished, seen: Seen) -> Verdict:
    """Raises WishError where it cannot be had or another owner contradicts, BlockedError where nothing is told."""
    try:
        return _JUDGES[setting](_Question(setting, wished, seen))
    except WishError as error:
        if not wished.item.lenient:
            raise
        return Verdict(None, wished.value, True, str(error.facts["text"]))


class _Question:
    """One setting of one GPU, and the words for it."""

    def __init__(self, setting: str, wished: Wished, seen: Seen) -> None:
        self.setting = setting
        self.value = wished.value
        self.item = wished.item
        self.seen = seen
        self.gpu = seen.gpu
        self.where = f"{wished.item.address}.{setting} ({label(seen.gpu)})"

    def wrong(self, text: str) -> WishError:
        facts = {"address": self.item.address, "gpu": self.gpu.uuid, "setting": self.setting}
        return WishError(f"{self.where}: {text}", text=text, **facts)

    def lacks(self, remedy: str = "give a selector without this GPU") -> WishError:
        """The error for a setting that the GPU does not offer, or cannot tell."""
        piece = _CALLS.get(self.setting, "")
        failed = [str(one["call"]) for one in self.gpu.failures if piece and piece in str(one["call"])]
        if failed:
            problem = f"{self.where}: {', '.join(failed)} failed, so it is unknown what is set"
            raise BlockedError(f"{problem}; see the kernel log for this GPU and run again", gpu=self.gpu.uuid)
        return self.wrong(f"this GPU does not offer it; {remedy}")

    def left(self, why: str) -> Verdict:
        return Verdict(None, self.value, True, why)

    def answer(self, now: Value, wanted: Value, call: Value = None, default: Value = None) -> Verdict:
        """The verdict of a setting that NVML reads back. What the hardware made of the same wish before is right."""
        remembered = self.seen.remembered.get(self.setting)
        same = remembered is not None and remembered.wished == wanted
        gone = now == default if same and wanted != default else None
        if now == wanted or (same and remembered is not None and remembered.found == now):
            notes = () if now == wanted else (f"the GPU makes {worded(self.setting, now)} of it",)
            return Verdict(now, wanted, True, notes=notes, gone=gone)
        return Verdict(now, wanted, False, f"it is {worded(self.setting, now)}", call, gone=gone)


def _persistence_mode(question: _Question) -> Verdict:
    now, wanted = question.seen.settings.get("persistence_mode"), question.value
    path = question.seen.others.persistenced
    if path and question.item.lenient:
        return question.left(f"belongs to nvidia-persistenced ({path})")
    if now is None:
        raise question.lacks()
    if now == wanted:
        return Verdict(now, wanted, True, f"it belongs to nvidia-persistenced ({path})" if path else "")
    if not path:
        return question.answer(now, wanted, wanted, False)
    owner = f"nvidia-persistenced ({path}), to which persistence mode belongs"
    if wanted:
        raise question.wrong(
            f"true is wished, but {owner}, does not keep it on; start {PERSISTENCED} without --no-persistence-mode, or "
            f"take it out of service (systemctl mask)"
        )
    raise question.wrong(
        f"false contradicts {owner} and which keeps it on; remove persistence_mode from the item, or stop and mask "
        f"{PERSISTENCED}"
    )


def _ecc(question: _Question) -> Verdict:
    ecc = question.seen.settings.get("ecc") or {}
    current, pending = ecc.get("current"), ecc.get("pending")
    if current is None or pending is None:
        if question.value is not True:
            return Verdict(False, False, True, "this GPU has no ECC")
        raise question.lacks()
    wanted = ecc.get("default") if question.value == DEFAULT else question.value
    if wanted is None:
        raise question.wrong("this GPU does not tell its default; give true or false")
    owes = current != wanted
    if pending == wanted:
        return Verdict(pending, wanted, True, owes_reset=owes)
    why = f"it is {worded('ecc', current)}" + ("" if pending == current else f", {worded('ecc', pending)} pending")
    return Verdict(pending, wanted, False, why, wanted, owes_reset=owes)


def _power_limit(question: _Question) -> Verdict:
    limits = question.seen.settings.get("power_limit") or {}
    now, least, most = limits.get("current"), limits.get("min"), limits.get("max")
    if now is None:
        raise question.lacks()
    wanted = limits.get("default") if question.value == DEFAULT else question.value
    if wanted is None:
        raise question.wrong("this GPU does not tell its default; give a number of watts")
    if (least is not None and wanted < least) or (most is not None and wanted > most):
        raise question.wrong(f"{wanted:g} W is out of range; this GPU allows {_range(least, most)} W")
    verdict = question.answer(now, wanted, wanted, limits.get("default"))
    enforced = limits.get("enforced")
    if verdict.right and enforced is not None and enforced < now:
        outside = f"the GPU enforces {enforced:g} W: something outside the driver, such as a BMC, limits it further"
        return dataclasses.replace(verdict, notes=(*verdict.notes, outside))
    return verdict


def _compute_mode(question: _Question) -> Verdict:
    now, wanted = _mig_value(question, question.seen.settings.get("compute_mode")), question.value
    mps = question.seen.others.mps.get(question.gpu.uuid)
    if mps and question.item.lenient:
        return question.left(f"belongs to MPS ({mps})")
    if now is None:
        raise question.lacks()
    if now != wanted and mps:
        raise question.wrong(
            f"{wanted} contradicts MPS, to which the compute mode of this GPU belongs ({mps}; it is {now}); remove "
            "compute_mode for this GPU, or take it from MPS"
        )
    _refuse_in_mig(question, wanted)
    return question.answer(now, wanted, wanted, DEFAULT)


def _accounting_mode(question: _Question) -> Verdict:
    now, wanted = _mig_value(question, question.seen.settings.get("accounting_mode")), question.value
    if now is None:
        raise question.lacks()
    _refuse_in_mig(question, wanted)
    return question.answer(now, wanted, wanted, False)


def _mig_value(question: _Question, now: Value) -> Value:
    """A GPU in MIG mode need not tell what it cannot change."""
    return MIG_VALUES[question.setting] if now is None and question.gpu.mig.current else now


def _refuse_in_mig(question: _Question, wanted: Value) -> None:
    only = MIG_VALUES[question.setting]
    if question.gpu.mig.current and wanted != only:
        given, allowed = (str(value).lower() for value in (wanted, only))
        raise question.wrong(
            f"{given} cannot be had in MIG mode, which this GPU is in and which allows {allowed} only; give {allowed}, "
            "or switch MIG off first (mig: false in mig_geometry, then playbook accel.gpu.mig)"
        )


def _application_clocks(question: _Question) -> Verdict:
    clocks = question.seen.settings.get("application_clocks") or {}
    now = {name: clocks.get(name) for name in ("graphics", "memory")}
    default = {name: clocks.get(f"default_{name}") for name in ("graphics", "memory")}
    if None in now.values():
        raise question.lacks("lock its clocks instead (locked_clocks, locked_memory_clocks)")
    if question.value == DEFAULT:
        if None in default.values():
            raise question.wrong("this GPU does not tell its default; give graphics and memory in MHz")
        return question.answer(now, default, None, default)
    _check_pair(question, question.seen.clocks.steps)
    return question.answer(now, question.value, question.value, default)


def _check_pair(question: _Question, steps: t.Mapping[int, t.Tuple[int, ...]]) -> None:
    """Application clocks are one of the GPU's pairs, and nothing between them."""
    memory, graphics = question.value["memory"], question.value["graphics"]
    if steps and memory not in steps:
        has = ", ".join(str(clock) for clock in sorted(steps))
        raise question.wrong(f"memory {memory} MHz is no memory clock of this GPU; it has {has}")
    offered = sorted(steps.get(memory, ()))
    if offered and graphics not in offered:
        near = " and ".join(str(clock) for clock in nearest(graphics, offered))
        raise question.wrong(
            f"graphics {graphics} MHz is no graphics clock of this GPU at memory {memory} MHz; it has "
            f"{_range(offered[0], offered[-1])} MHz, nearest {near}"
        )


def _auto_boost(question: _Question) -> Verdict:
    boost = question.seen.settings.get("auto_boost") or {}
    now = boost.get("current")
    if now is None:
        raise question.lacks("Pascal and newer rule it by application_clocks and locked_clocks")
    wanted = boost.get("default") if question.value == DEFAULT else question.value
    if wanted is None:
        raise question.wrong("this GPU does not tell its default; give true or false")
    return question.answer(now, wanted, wanted, boost.get("default"))


def _locked_clocks(question: _Question) -> Verdict:
    return _locked(question, question.seen.clocks.all_graphics, question.seen.clocks.graphics)


def _locked_memory_clocks(question: _Question) -> Verdict:
    return _locked(question, question.seen.clocks.all_memory, question.seen.clocks.memory)


def _locked(question: _Question, steps: t.Sequence[int], running: t.Optional[int]) -> Verdict:
    if (question.gpu.architecture or "").lower() in WITHOUT[question.setting]:
        raise question.lacks()
    wanted = question.value
    call, notes = (None, ()) if wanted == DEFAULT else (wanted, _check_lock(question, steps))
    remembered = question.seen.remembered.get(question.setting)
    if remembered is None:
        if question.item.lenient:
            return question.left("nothing is locked that is remembered")
        why = "NVML reads no locked clock back, and nothing is remembered since boot, reset and load of the driver"
        return Verdict(None, wanted, False, why, call, notes, sure=False)
    now = remembered.wished
    if now != wanted:
        return Verdict(now, wanted, False, f"it is {worded(question.setting, now)}", call, notes, sure=False)
    why = "" if wanted == DEFAULT else question.seen.lost or _above(wanted, steps, running)
    return Verdict(None if why else now, wanted, not why, why, call, notes, sure=False)


def _check_lock(question: _Question, steps: t.Sequence[int]) -> t.Tuple[str, ...]:
    """Within the range anything is legal; what is between two clocks is rounded by the hardware."""
    notes = []
    for name in ("min", "max"):
        clock = question.value[name]
        if steps and not steps[0] <= clock <= steps[-1]:
            raise question.wrong(f"{name} {clock} MHz is out of range; this GPU has {_range(steps[0], steps[-1])} MHz")
        if steps and clock not in steps:
            near = " or ".join(str(one) for one in nearest(clock, steps))
            notes.append(f"{name} {clock} MHz is between two clocks of this GPU, which takes {near} MHz")
    return tuple(notes)


def _above(wanted: Value, steps: t.Sequence[int], running: t.Optional[int]) -> str:
    """A clock above the lock proves that it is gone; one below proves nothing, heat and power take it there too."""
    if running is None:
        return ""
    highest = min((clock for clock in steps if clock >= wanted["max"]), default=wanted["max"])
    return f"the GPU runs at {running} MHz, above what was locked" if running > highest else ""


def nearest(clock: int, steps: t.Sequence[int]) -> t.List[int]:
    """The next step below and the next above, or the one end of the range."""
    below = [one for one in steps if one < clock][-1:]
    return below + [one for one in steps if one > clock][:1]


def _range(least: t.Optional[float], most: t.Optional[float]) -> str:
    low, high = ("?" if end is None else f"{end:g}" for end in (least, most))
    return low if low == high else f"{low} to {high}"


def label_of(setting: str, verdict: Verdict) -> str:
    """The setting with what it is or will be."""
    return said(setting, verdict.now if verdict.right and verdict.now is not None else verdict.wanted)


_JUDGES: t.Mapping[str, t.Callable[[_Question], Verdict]] = {
    "persistence_mode": _persistence_mode,
    "ecc": _ecc,
    "power_limit": _power_limit,
    "compute_mode": _compute_mode,
    "application_clocks": _application_clocks,
    "auto_boost": _auto_boost,
    "locked_clocks": _locked_clocks,
    "locked_memory_clocks": _locked_memory_clocks,
    "accounting_mode": _accounting_mode,
}
