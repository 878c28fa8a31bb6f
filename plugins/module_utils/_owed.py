# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run leaves owed to a host, from the results of its tasks. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t


def owed_states(results: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """What is still owed to a host after these results of tasks, one sentence each (rule 25).

    A unit that a task among them has restarted owes nothing any more.
    """
    tasks = [task for result in results for task in (result, *(result.get("results") or ()))]
    restarted = {str(task.get("name")) for task in tasks if task.get("changed") and task.get("name")}
    return [line for result in results for line in _owed(result, restarted)]


# What resets and deferred changes are about, by the key `subject` of a result.
_SUBJECTS = {"geometry": "MIG mode", "settings": "ECC mode"}


def _owed_reboot(result: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """True where the stored wish is the reason, else a list of reasons."""
    required = result.get("reboot_required")
    if isinstance(required, (list, tuple)):
        yield from (f"reboot: {reason}" for reason in required)
    elif required:
        yield "reboot: the stored wish is applied at the next boot"


def _owed_driver(result: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    pending = result.get("upgrade_pending")
    if pending:
        yield f"driver: upgrade pending {pending['from']} → {pending['to']}, its module is loaded"
    for reason in result.get("reload_required") or ():
        yield f"reload of the kernel modules: {reason}"
    if result.get("enrolment_required"):
        yield f"a key to be enrolled: {result['enrolment_required']}"
    for reason in result.get("fabric_deferred") or ():
        yield f"NVLink fabric: {reason}"
    for reason in result.get("boot_without_driver") or ():
        yield f"the next boot would be without the driver: {reason}"
    for text in result.get("not_restored") or ():
        yield f"lost by a reload of the driver: {text}"


def _owed(result: t.Mapping[str, t.Any], restarted: t.Collection[str]) -> t.Iterator[str]:
    subject = str(result.get("subject") or "geometry")
    for uuid in result.get("reset_required") or ():
        yield f"reset of {uuid}: its pending {_SUBJECTS.get(subject, subject)} waits for it"
    yield from _owed_reboot(result)
    yield from _owed_driver(result)
    for uuid in result.get("deferred") or ():
        yield f"{subject} of {uuid}: deferred while it is busy"
    for unit in result.get("restart_required") or ():
        if unit not in restarted:
            yield f"restart of {unit}: it was started before the MIG devices changed"
    if result.get("daemon_reload_required"):
        yield "systemctl daemon-reload: a running container would lose its GPU"
    for entry in result.get("owed") or ():
        yield f"{entry['object']}: {entry['state']}, {entry['reason']}"
