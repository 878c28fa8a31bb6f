# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the node has of what was recorded, for the way back. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import time
import typing as t

from ..._data.driver_packages import STREAM_MODULE
from ..._data.driver_system import DISPLAY, MPS
from ..decide.back import Now
from ..decide.plan_guard import LOCKED
from ..model import flavour
from ..record import CACHE, Recorded
from . import probe_kernels, probe_modules, probe_system

if t.TYPE_CHECKING:
    from ..._packages.probe import Manager
    from ..._ports import Ports

_SECONDS = 30.0
_PAUSE = 1.0  # seconds between two looks at a lock
# Never stopped without knowing who uses them; that the node was idle does not say it.
_WITH_PEOPLE = (DISPLAY, MPS)


def look(
    recorded: Recorded,
    ports: Ports,
    packages: Manager,
    initramfs: t.Tuple[str, ...] = (),
    half: bool = False,
    carriers: t.Collection[str] = (),
) -> Now:
    """`initramfs` are kernels whose image may be that of a failed change, `carriers` those of whose image a look says
    that it carries the driver; `half` as in Now. A kernel that was removed since has no image to be built."""
    names = sorted({*recorded.packages, *recorded.added})
    installed = {package.name: package.version for package in packages.installed(names)}
    gone = [name for name, version in recorded.packages.items() if installed.get(name) != version]
    kept = set(ports.files.names(CACHE))
    stream = packages.stream(STREAM_MODULE)
    memory = probe_modules.probe(ports.files)
    loaded = probe_modules.loaded_module(memory, ())
    return Now(
        packages=installed,
        holds=packages.holds() & set(names),
        stream=f"{STREAM_MODULE}:{stream}" if stream else None,
        files={path: ports.files.read_text(path) for path in recorded.files},
        units={name: unit_state(ports, name) for name in recorded.units},
        modules=(*loaded.dependents, "nvidia") if loaded else (),
        loaded=memory.version,
        flavour=flavour(loaded.open) if loaded else None,
        parameters=memory.parameters,
        half=half,
        initramfs=initramfs,
        images=tuple(
            kernel
            for kernel in dict.fromkeys((*recorded.initramfs, *carriers))
            if probe_kernels.image_of(ports.files, kernel)
        ),
        from_cache=tuple(name for name in gone if recorded.kept.get(name) in kept),
        stops=tuple(
            name for name, unit in probe_system.units(ports).items() if unit.active and name not in _WITH_PEOPLE
        ),
    )


def wait_for_lock(packages: Manager, seconds: float) -> None:
    """Until nobody else works on packages any more, or the time is over."""
    end = time.monotonic() + seconds
    while any(LOCKED in problem for problem in packages.problems()) and time.monotonic() < end:
        time.sleep(_PAUSE)


def unit_state(ports: Ports, name: str) -> t.Tuple[bool, bool]:
    """(enabled, active)"""
    enabled = ports.run(["systemctl", "is-enabled", name], timeout=_SECONDS)[0] == 0
    return enabled, ports.run(["systemctl", "is-active", name], timeout=_SECONDS)[0] == 0
