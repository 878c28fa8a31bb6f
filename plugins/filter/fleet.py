# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters for playbooks about whole fleets: wishes against each other, owed states, stored layouts."""

from __future__ import annotations

import datetime
import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._errors import WishError
from ..module_utils._fleet import problems
from ..module_utils._mig.document import items


def fleet_problems(hosts: t.Sequence[str], variables: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    return problems({host: variables[host] for host in hosts}, datetime.date.today())


def owed_states(results: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    return [line for result in results for line in _owed(result)]


def _owed(result: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for uuid in result.get("reset_required") or ():
        yield f"reset of {uuid}: its pending MIG mode waits for it"
    if result.get("reboot_required"):
        yield "reboot: the stored wish is applied at the next boot"
    for uuid in result.get("deferred") or ():
        yield f"geometry of {uuid}: deferred while it is busy"
    if result.get("daemon_reload_required"):
        yield "systemctl daemon-reload: a running container would lose its GPU"
    for entry in result.get("owed") or ():
        yield f"{entry['object']}: {entry['state']}, {entry['reason']}"


def mig_wishes(document: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    try:
        return items(document, "document")
    except WishError as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """Looked up by ansible-core."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "fleet_problems": fleet_problems,
            "mig_wishes": mig_wishes,
            "owed_states": owed_states,
        }
