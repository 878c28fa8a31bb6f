# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters for playbooks about whole fleets: wishes against each other, owed states, stored layouts.

For each filter that a task uses, ansible-core loads every file of filters, from its source and in the task's own
process. So what is large is imported by the function that needs it.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._errors import WishError
from ..module_utils._owed import owed_states


def fleet_problems(hosts: t.Sequence[str], variables: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    from ..module_utils._fleet import problems

    return problems({host: variables[host] for host in hosts}, datetime.date.today())


def mig_wishes(document: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    from ..module_utils._mig.document import items

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
