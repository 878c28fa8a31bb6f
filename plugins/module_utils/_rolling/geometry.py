# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the MIG instances of before a change are there after it, GPU by GPU. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

# By these mig_geometry tells that a wish says what becomes of a GPU's instances. `keep` of "mig on" is a wish for the
# mode alone.
_DECIDES = frozenset(
    (
        "create_gpu_instance",
        "create_compute_instance",
        "destroy_gpu_instance",
        "destroy_compute_instance",
        "keep",
    )
)
_MODE_ON = "mig on"
_MODE_OFF = ("set_mig_mode", "mig off")

Layouts = t.Mapping[str, t.Any]
Action = t.Mapping[str, t.Any]


def lost(before: Layouts, after: Layouts, actions: t.Sequence[Action], told: t.Sequence[str] = ()) -> t.List[str]:
    """A sentence for each GPU whose instances are gone though nobody declares others. `before` and `after` are layout
    documents of gpu_info, `actions` those of mig_geometry in between. `told` are sentences, each with a UUID in front,
    for layouts that gpu_driver could not create: an interrupted run may have known one that is in no document."""
    now = {gpu["uuid"]: gpu for gpu in after.get("gpus") or ()}
    declared = {action.get("gpu") for action in actions if _decides(action)}
    found = {
        gpu["uuid"]: f"MIG of {gpu['uuid']}: {_shown(now.get(gpu['uuid']))} is there and not {_shown(gpu)}, as before "
        "the change"
        for gpu in before.get("gpus") or ()
        if gpu["mig"] and gpu["uuid"] not in declared and not _has(now.get(gpu["uuid"]), gpu)
    }
    others = (text for text in told if text.partition(":")[0] not in {*found, *declared})
    return [*found.values(), *others]


def _decides(action: Action) -> bool:
    what = (action["action"], action["object"])
    return what == _MODE_OFF or (what[0] in _DECIDES and what[1] != _MODE_ON)


def _has(now: t.Optional[Layouts], before: Layouts) -> bool:
    return now is not None and bool(now["mig"]) and all(one in now["instances"] for one in before["instances"])


def _shown(gpu: t.Optional[Layouts]) -> str:
    if gpu is None:
        return "no answer"
    if not gpu["mig"]:
        return "mig off"
    return (
        ", ".join(f"{one['profile']} at {one['placement']}" for one in gpu["instances"]) or "mig on without instances"
    )
