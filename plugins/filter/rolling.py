# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters for rolling changes: batches, records, proofs and a report, and how Kubernetes sees a node."""

from __future__ import annotations

import time
import typing as t

from ..module_utils._drain.kubernetes import judge
from ..module_utils._drain.model import Wish
from ..module_utils._rolling import geometry, health, report
from ..module_utils._rolling.batches import batches
from ..module_utils._rolling.parse import left_out, parse_hosts


def upgrade_batches(
    names: t.Sequence[str], variables: t.Mapping[str, t.Any], forks: int | None = None
) -> dict[str, t.Any]:
    own = {name: variables[name] for name in names}
    why = {name: left_out(own[name]) for name in names}
    hosts, errors = parse_hosts([name for name in names if why[name] is None], own)
    without = [f"{name}: {reason}" for name, reason in why.items() if reason is not None]
    if errors or not hosts:
        nothing = {"hosts": [], "sizes": [], "batch": {}, "capped": False, "max_failures": 0}
        return {"errors": errors, "left_out": without, **nothing}
    rolling = hosts[0].rolling
    whole = batches(hosts, rolling.serial, rolling.max_per_domain)
    found = batches(hosts, rolling.serial, rolling.max_per_domain, forks)
    return {
        "errors": [],
        "left_out": without,
        "hosts": [name for batch in found for name in batch],
        "sizes": [len(batch) for batch in found],
        "batch": {name: number for number, batch in enumerate(found, start=1) for name in batch},
        "capped": found != whole,
        "max_failures": rolling.max_failures,
    }


def upgrade_mark(record: t.Mapping[str, t.Any], phase: str, **facts: t.Any) -> dict[str, t.Any]:
    return report.mark(record, phase, round(time.time(), 3), facts)


def upgrade_report(
    names: t.Sequence[str],
    variables: t.Mapping[str, t.Any],
    run: str,
    max_failures: int,
    batch: int | None = None,
) -> dict[str, t.Any]:
    records = {name: variables[name].get("__upgrade") or {} for name in names}
    strict = {name: record for name, record in records.items() if variables[name].get("accel_gpu_pending") == "fail"}
    return {
        "document": report.document(run, records),
        "table": report.table(records),
        "failures": report.failures(records),
        "owed": report.owing(strict),
        # A text in any case: on ansible-core 2.18 a fact of None is "", and "" is not None.
        "stop": report.stop(records, max_failures, batch) or "",
    }


def upgrade_lost_geometry(
    before: t.Mapping[str, t.Any],
    after: t.Mapping[str, t.Any],
    actions: t.Sequence[t.Mapping[str, t.Any]],
    told: t.Sequence[str] = (),
) -> list[str]:
    return geometry.lost(before, after, actions, told)


def gpus_to_recover(gpus: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    return health.ailing(gpus)


def kubernetes_drain(
    node: t.Mapping[str, t.Any],
    pods: t.Sequence[t.Mapping[str, t.Any]],
    run: str,
    purpose: str = "",
    note: str = "",
    adopt: bool = False,
    adopt_run: str = "",
    cordoned: bool = False,
) -> dict[str, t.Any]:
    wish = Wish("drained", "kubernetes", "", run, note, purpose, adopt, adopt_run=adopt_run)
    return judge(node, pods, wish, cordoned)


class FilterModule:
    """Looked up by ansible-core."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "gpus_to_recover": gpus_to_recover,
            "kubernetes_drain": kubernetes_drain,
            "upgrade_batches": upgrade_batches,
            "upgrade_lost_geometry": upgrade_lost_geometry,
            "upgrade_mark": upgrade_mark,
            "upgrade_report": upgrade_report,
        }
