# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of residents: what the agent brings back after a reboot, and in which order. PRIVATE to the collection.

Settings come before MIG (ECC and clocks need a whole GPU), MPS, device access and vGPU types after it (they need its
devices). A new resident adds one row here and its core, nothing else.
"""

from __future__ import annotations

import typing as t

from .._mig import resident as mig
from .._mig.document import export_node
from .._ports import Ports
from .._settings import resident as settings


class Core(t.Protocol):
    """What a resident can do; modules of the collection run the same core. See `_module.declare`."""

    def parse(self, params: t.Mapping[str, t.Any]) -> t.Any: ...

    def read(self, wish: t.Any, ports: Ports) -> t.Any: ...

    def plan(self, wish: t.Any, state: t.Any) -> t.Any: ...

    def apply(self, plan: t.Any, ports: Ports) -> t.Any: ...


class Resident(t.NamedTuple):
    """`name` is the name of its wish file and, where `role` is empty, of its role. `document` is the option that takes
    what `export` gives. `at_boot` are options that count at boot whatever the wish says. `holds`: without it those who
    give GPUs to work may be held back at boot (live_node rule 29)."""

    name: str
    order: int
    core: Core
    document: str
    export: t.Callable[[Ports], t.Dict[str, t.Any]]
    at_boot: t.Mapping[str, t.Any]
    role: str = ""
    holds: bool = True

    @property
    def role_name(self) -> str:
        return self.role or self.name


def export_mig(ports: Ports) -> t.Dict[str, t.Any]:
    """The layout of every GPU of the node."""
    with ports.open_nvml() as session:
        return export_node(session.snapshot(("identity", "mig")))


RESIDENTS: t.Tuple[Resident, ...] = (
    Resident("settings", 10, settings, "settings", settings.export, {}, role="gpu_settings", holds=False),
    # This is the boot that `mig_apply: next_boot` waited for.
    Resident("mig", 20, mig, "geometry", export_mig, {"mig_apply": "now"}),
)


def in_order() -> t.Tuple[Resident, ...]:
    return tuple(sorted(RESIDENTS, key=lambda resident: resident.order))
