# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Kubernetes sees a node, from the objects that its API gives. Pure; used on the control node. PRIVATE.

A cordon has no reason of its own, so ours is an annotation beside it: a node that is unschedulable without it
was cordoned by somebody else.
"""

from __future__ import annotations

import typing as t

from .model import Situation, Wish
from .plan import answer, earlier, foreign

ANNOTATION = "accel.gpu/drain"
# Resources of NVIDIA's device plugin, of its MIG strategies and of the sharing schedulers built on it.
_RESOURCES = "nvidia.com/"
_KEYS = ("drained", "drained_by_us", "foreign", "working", "reason", "adopted", "adopted_note")
_ENDED = ("Succeeded", "Failed")

Object = t.Mapping[str, t.Any]


def situation(node: Object, pods: t.Iterable[Object]) -> Situation:
    annotations = (node.get("metadata") or {}).get("annotations") or {}
    return Situation(
        closed=bool((node.get("spec") or {}).get("unschedulable")),
        reason=str(annotations.get(ANNOTATION, "")),
        working=tuple(_name(pod) for pod in pods if _holds_gpu(pod)),
    )


def judge(node: Object, pods: t.Iterable[Object], run: str, purpose: str, adopt: bool) -> t.Dict[str, t.Any]:
    """The same keys as the module's result, without those of waiting."""
    wish = Wish("drained", "kubernetes", _name(node), run, "", purpose, adopt)
    now = situation(node, pods)
    told = {**answer(wish, now, foreign(wish, now), 0.0, False), **earlier(wish, now)}
    return {key: told[key] for key in _KEYS}


def _name(thing: Object) -> str:
    metadata = thing.get("metadata") or {}
    name = str(metadata.get("name", ""))
    return f"pod {metadata['namespace']}/{name}" if metadata.get("namespace") else name


def _holds_gpu(pod: Object) -> bool:
    spec = pod.get("spec") or {}
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return False
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    # A claim says only in another object what for; on a node with GPUs it is taken for one.
    return bool(spec.get("resourceClaims")) or any(_asks_gpu(container) for container in containers)


def _asks_gpu(container: Object) -> bool:
    resources = container.get("resources") or {}
    asked = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return any(name.startswith(_RESOURCES) and str(count) != "0" for name, count in asked.items())
