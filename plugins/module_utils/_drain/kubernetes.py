# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Kubernetes sees a node, from the objects that its API gives, and how it is told. Pure; used on the control node.

A cordon has no reason of its own, so ours is an annotation beside it: a node that is unschedulable without it, or whose
cordon is a younger one, was cordoned by somebody else. PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from .._data import kubernetes as names
from . import cordon
from .cordon import ANNOTATION, SINCE
from .model import Situation, Wish, is_ours, run_of
from .plan import answer, earlier, foreign

# Of the API's copy of a static pod, which kubelet runs from a file of the node. Source: Kubernetes, "Well-Known Labels,
# Annotations and Taints".
MIRROR = "kubernetes.io/config.mirror"
# The labels that we set to PAUSED, one after the other.
PAUSED_BY_US = "accel.gpu/paused"
_KEYS = ("drained", "drained_by_us", "foreign", "working", "reason", "adopted", "adopted_note")
_ENDED = ("Succeeded", "Failed")
# Why a node that we cordoned is not cordoned any more.
_SERVES = "put back into service meanwhile"

Object = t.Mapping[str, t.Any]


def judge(node: Object, pods: t.Iterable[Object], wish: Wish, cordoned: bool = False) -> t.Dict[str, t.Any]:
    """The same keys as the module's result, without those of waiting, and what Kubernetes alone has.

    `cordoned`: we did that before, so where it serves it was somebody else who put it back.
    `left_behind`: the node has words or paused services of ours, and its cordon, where there is one, is not ours.
    `services` are pods that keep GPUs open and go when they are paused, `strangers` those that nothing takes away.
    `staying` are pods that belong to the node: no drain moves them, and they come again after a boot.
    `patches` has the merge patches of the node for each step.
    """
    living = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in _ENDED]
    now = situation(node, living)
    other = foreign(wish, now) or (_SERVES if cordoned and not now.closed else None)
    told = {**answer(wish, now, other, 0.0, False), **earlier(wish, now)}
    idle = [pod for pod in living if not _asks_gpus(pod) and _is_daemon(pod)]
    return {
        **{key: told[key] for key in _KEYS},
        "left_behind": _left_behind(node, wish, now),
        "services": [_name(pod) for pod in idle if _is_paused_by_label(pod)],
        "strangers": [_name(pod) for pod in idle if not _is_paused_by_label(pod) and _sees_gpus(pod)],
        "staying": [_name(pod) for pod in living if _is_daemon(pod) or MIRROR in _metadata(pod, "annotations")],
        "patches": _patches(node, wish, now),
    }


def situation(node: Object, pods: t.Iterable[Object]) -> Situation:
    return Situation(
        closed=cordon.is_closed(node),
        reason=cordon.reason(node),
        working=tuple(_name(pod) for pod in pods if _asks_gpus(pod)),
    )


def _left_behind(node: Object, wish: Wish, now: Situation) -> bool:
    told = cordon.annotation(node, ANNOTATION)
    if now.closed:
        # Only what this run left: another one may be right about its cordon.
        return now.reason != told and run_of(told, wish.purpose) == wish.run
    return is_ours(told, wish) or not told and bool(cordon.annotation(node, PAUSED_BY_US))


def _patches(node: Object, wish: Wish, now: Situation) -> t.Dict[str, t.Any]:
    labels = _metadata(node, "labels")
    pause = [name for name, value in sorted(labels.items()) if value == names.DEPLOYED and _is_deploy(name)]
    before = [name for name in cordon.annotation(node, PAUSED_BY_US).split(",") if name]
    # A label that somebody has changed since stays as it is.
    back = {name: names.DEPLOYED for name in before if labels.get(name) == names.PAUSED}
    ours = {ANNOTATION: wish.reason, SINCE: cordon.since(node)}
    nothing = {ANNOTATION: None, SINCE: None, PAUSED_BY_US: None}
    return {
        "cordon": _patch(ours, {}, True),
        "pause": _patch({PAUSED_BY_US: ",".join([*before, *pause])}, dict.fromkeys(pause, names.PAUSED))
        if pause
        else {},
        "keep": _patch({**ours, PAUSED_BY_US: None}, back, True),
        "lift": _patch(nothing, back, None),
        # What is not about the cordon itself, which is gone or somebody else's.
        "clear": _patch(nothing, back),
    }


def _patch(annotations: Object, labels: Object, *unschedulable: t.Optional[bool]) -> t.Dict[str, t.Any]:
    spec = {"spec": {"unschedulable": unschedulable[0]}} if unschedulable else {}
    return {"metadata": {"annotations": dict(annotations), "labels": dict(labels)}, **spec}


def _metadata(thing: Object, field: str) -> Object:
    return (thing.get("metadata") or {}).get(field) or {}


def _name(thing: Object) -> str:
    metadata = thing.get("metadata") or {}
    name = str(metadata.get("name", ""))
    return f"pod {metadata['namespace']}/{name}" if metadata.get("namespace") else name


def _is_deploy(label: str) -> bool:
    return label.startswith(names.DEPLOY) and label != names.DEPLOY_DRIVER


def _containers(pod: Object) -> t.List[Object]:
    spec = pod.get("spec") or {}
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def _asks_gpus(pod: Object) -> bool:
    # A claim says only in another object what for; on a node with GPUs it is taken for one.
    return bool((pod.get("spec") or {}).get("resourceClaims")) or any(map(_asks_gpu, _containers(pod)))


def _asks_gpu(container: Object) -> bool:
    resources = container.get("resources") or {}
    asked = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return any(name.startswith(names.RESOURCES) and str(count) != "0" for name, count in asked.items())


def _is_daemon(pod: Object) -> bool:
    """It stays where a node is cordoned, and comes back where it is evicted."""
    owners = (pod.get("metadata") or {}).get("ownerReferences") or ()
    return any(owner.get("kind") == "DaemonSet" for owner in owners)


def _is_paused_by_label(pod: Object) -> bool:
    selector = (pod.get("spec") or {}).get("nodeSelector") or {}
    return any(_is_deploy(name) and value == names.DEPLOYED for name, value in selector.items())


def _sees_gpus(pod: Object) -> bool:
    return (pod.get("spec") or {}).get("runtimeClassName") == names.RUNTIME_CLASS or any(
        _image(container) in names.IMAGES or _visible(container) for container in _containers(pod)
    )


def _image(container: Object) -> str:
    """As in dcgm-exporter of nvcr.io/nvidia/k8s/dcgm-exporter:4.2@sha256:…"""
    return str(container.get("image", "")).rpartition("/")[2].partition("@")[0].partition(":")[0]


def _visible(container: Object) -> bool:
    values = [one.get("value") or "" for one in container.get("env") or () if one.get("name") == names.VISIBLE]
    return any(value not in names.INVISIBLE for value in values)
