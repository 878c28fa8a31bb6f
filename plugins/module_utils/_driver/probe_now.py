# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the node has of what was recorded, for the way back. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from . import probe_modules
from .back import Now
from .record import Recorded

if t.TYPE_CHECKING:
    from .._packages.probe import Manager
    from .._ports import Ports

_SECONDS = 30.0


def look(recorded: Recorded, ports: Ports, packages: Manager, initramfs: t.Tuple[str, ...] = ()) -> Now:
    """`initramfs` are kernels whose image may be that of a failed change."""
    names = sorted({*recorded.packages, *recorded.added})
    installed = {package.name: package.version for package in packages.installed(names)}
    gone = [name for name, version in recorded.packages.items() if installed.get(name) != version]
    offers = packages.versions(gone)
    memory = probe_modules.probe(ports.files)
    loaded = probe_modules.loaded_module(memory, ())
    return Now(
        packages=installed,
        holds=packages.holds() & set(names),
        files={path: ports.files.read_text(path) for path in recorded.files},
        units={name: unit_state(ports, name) for name in recorded.units},
        initramfs=initramfs,
        modules=(*loaded.dependents, "nvidia") if loaded else (),
        loaded=memory.version,
        from_cache=tuple(name for name in gone if recorded.packages[name] not in offers.get(name, ())),
    )


def unit_state(ports: Ports, name: str) -> t.Tuple[bool, bool]:
    """(enabled, active)"""
    enabled = ports.run(["systemctl", "is-enabled", name], timeout=_SECONDS)[0] == 0
    return enabled, ports.run(["systemctl", "is-active", name], timeout=_SECONDS)[0] == 0
