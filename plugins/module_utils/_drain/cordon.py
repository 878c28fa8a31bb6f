# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node's cordon is the one that our annotation tells of. Pure. PRIVATE to the collection.

`kubectl uncordon` leaves annotations, so ours may stand beside a cordon that somebody made long afterwards. Two signs
tell that, and neither compares clocks:

- metadata.managedFields. Cordon and annotation are one patch of ours, so one manager has both. An uncordon takes the
  field away from it, and it belongs to whoever cordons again.
- The taint node.kubernetes.io/unschedulable, for those who cordon with the client that we use as well, which makes them
  the same manager. The controller of nodes adds it for each cordon anew, with its time. Where a drain is left for later
  that time is noted beside our reason.

Where a cluster has neither, the annotation alone counts. Sources: Kubernetes, pkg/controller/util/node
(SwapNodeControllerTaint sets timeAdded whatever the effect is, though the API's reference says NoExecute only), and
apimachinery/pkg/util/managedfields/internal/capmanagers.go.
"""

from __future__ import annotations

import typing as t

ANNOTATION = "accel.gpu/drain"
# timeAdded of the taint of our cordon.
SINCE = "accel.gpu/drained-since"
TAINT = "node.kubernetes.io/unschedulable"
# The fields of managers of long ago are put together under this name, so that it tells nothing.
_ANCIENT = "ancient-changes"

Object = t.Mapping[str, t.Any]


def is_closed(node: Object) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


def annotation(node: Object, name: str) -> str:
    return str(((node.get("metadata") or {}).get("annotations") or {}).get(name) or "")


def reason(node: Object) -> str:
    """Why it is cordoned, as far as that is known: our annotation, unless the cordon is another one."""
    told = annotation(node, ANNOTATION)
    by = _anew_by(node) if told and is_closed(node) else None
    return told if by is None else f"cordoned anew{by}; its annotation {ANNOTATION} is an old one ({told})"


def since(node: Object) -> t.Optional[str]:
    """When the taint of its cordon was added, None where it has none."""
    taints = (node.get("spec") or {}).get("taints") or ()
    found = [str(taint.get("timeAdded") or "") for taint in taints if taint.get("key") == TAINT]
    return found[0] or None if found and is_closed(node) else None


def _anew_by(node: Object) -> t.Optional[str]:
    """By whom somebody cordoned it after our annotation was written (empty: not known), None where nobody did."""
    ours, theirs = _managers(node, "metadata", "annotations", ANNOTATION), _managers(node, "spec", "unschedulable")
    if ours and theirs and not ours & theirs and _ANCIENT not in {name for name, _operation in theirs}:
        return f" by {', '.join(sorted(name for name, _operation in theirs))}"
    before, now = annotation(node, SINCE), since(node)
    return "" if before and now and before != now else None


def _managers(node: Object, *path: str) -> t.Set[t.Tuple[str, str]]:
    entries = (node.get("metadata") or {}).get("managedFields") or ()
    return {(str(one.get("manager")), str(one.get("operation"))) for one in entries if _has(one.get("fieldsV1"), path)}


def _has(fields: t.Any, path: t.Sequence[str]) -> bool:
    for name in path:
        fields = (fields or {}).get(f"f:{name}")
    return fields is not None
