# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask systemd about the units that name MIG devices. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import BlockedError
from .._ports import Ports
from . import restarts
from .restarts import PROPERTIES, Notified

_SECONDS = 30.0


def probe(ports: Ports, units: t.Sequence[str]) -> Notified:
    """One call for all units, none without units. Raises BlockedError where systemd gives no answer."""
    if not units:
        return Notified()
    code, out, err = ports.run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", *units], timeout=_SECONDS)
    if code != 0:
        said = (err or out).strip() or "no message"
        raise BlockedError(
            f"systemctl show {' '.join(units)} ended with {code} ({said}); units can be notified only where systemd "
            "runs the node; leave the list empty elsewhere"
        )
    return Notified(restarts.units_of(out, units), restarts.last_change(ports.files))
