# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `actions` of a reset: a line for everything done and left alone, with the reason. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from .._diff import Tracker
from .._mig.actions import SETTINGS
from .._mig.model import Action
from .._select import Selector
from .model import GpuReset

_REBOOTS = ("node_reboot", "system_reboot")


def no_driver(why: str) -> t.Tuple[Action, ...]:
    tracker = Tracker()
    tracker.act("deferred", "GPU reset", f"needs gpu_driver: {why}")
    return tuple(tracker.actions)


def nothing_meant(selector: Selector) -> t.Tuple[Action, ...]:
    tracker = Tracker()
    tracker.keep("GPUs", f"gpus: {selector} means no GPU of this node")
    return tuple(tracker.actions)


def told(resets: t.Sequence[GpuReset], units: t.Sequence[str], problem: str, settings: bool) -> t.Tuple[Action, ...]:
    """`problem`: why the stored MIG wish cannot be used. `settings`: there is a stored wish for settings."""
    tracker = Tracker()
    if problem:
        tracker.note("wish", problem)
    for unit in units:
        tracker.act("stop_holder", unit, "holds GPUs open that are reset")
    for one in resets:
        _gpu(tracker, one, settings)
    for unit in units:
        tracker.act("start_holder", unit, "was stopped for the reset")
    return tuple(tracker.actions)


def _gpu(tracker: Tracker, one: GpuReset, settings: bool) -> None:
    uuid = one.target.uuid or None
    if one.deferred:
        tracker.act("deferred", "GPU", one.deferred, gpu=uuid)
        return
    if one.refusal is not None:
        tracker.act("refused", "GPU", one.refusal.message, gpu=uuid)
        return
    for claim in one.given_up:
        reason = f"was allocated to {claim} without a process; allow_reset_allocated lets it go"
        tracker.note("GPU", reason, gpu=uuid)
    tracker.act("reset_gpu", one.target.pci, _why(one), gpu=uuid)
    if one.target.gpu is None:
        _silent(tracker, one, settings)
    else:
        reason = "those that the reset takes away are set again as they are before it"
        tracker.act("reapply_settings", SETTINGS, reason, gpu=uuid)
    reason = "the reset releases them and NVML reads none back; those that gpu_settings locked are locked again"
    tracker.note("locked clocks", reason, gpu=uuid)
    _geometry(tracker, one)


def _why(one: GpuReset) -> str:
    health = (one.target.gpu.health if one.target.gpu else None) or {}
    action = health.get("recovery_action")
    asks = f"; its driver asks for {action}" if action not in (None, "none") else ""
    if action in _REBOOTS:
        asks += ", which a reset does not replace"
    others = [pci for pci in one.set_ if pci != one.target.pci]
    coupled = f", in one command with {', '.join(others)}, to which NVLink couples it" if others else ""
    return f"is wished{coupled}{asks}"


def _silent(tracker: Tracker, one: GpuReset, settings: bool) -> None:
    reason = f"gives no answer, so NVML lists nobody on it; no process has it open ({one.target.problem})"
    tracker.note("GPU", reason, gpu=one.target.uuid)
    if settings:
        reason = "the GPU gives no answer now; what the stored wish says is set when it does"
        tracker.act("deferred", "settings", reason, gpu=one.target.uuid)
    else:
        reason = "a GPU without an answer tells none, so none can be set again; declare them for gpu_settings"
        tracker.note("settings", reason, gpu=one.target.uuid)
    reason = "owner and mode that others than the driver gave them are set again where the reset takes them away"
    tracker.note("device files", reason, gpu=one.target.uuid)


def _geometry(tracker: Tracker, one: GpuReset) -> None:
    uuid, after = one.target.uuid, one.geometry.after
    for note in one.geometry.notes:
        tracker.note("wish", note, gpu=uuid)
    if after is None:
        reason = "the GPU gives no answer now; what the stored wish says is made when it does"
        tracker.act("deferred", "MIG geometry", reason, gpu=uuid)
    elif after.mode is not None:
        source = "the stored wish says so" if one.geometry.by_wish else "it was found so, and a reset takes it away"
        tracker.act("restore_layout", "; ".join(after.lines()), source, gpu=uuid)
