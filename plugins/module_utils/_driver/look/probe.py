# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at a node for the driver core. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._data.driver_gpus import TRAYS
from ..._data.driver_node import INITRAMFS_RECORD, PACKAGES
from ..._data.driver_packages import STREAM_MODULE
from ..._data.driver_system import ENROLLING, FABRIC_MODULES
from ..._owners import managers
from ..._owners.probe_reload import containers_at_risk
from ..._ports import Ports
from ..decide.plan_names import listed
from ..model import Node
from ..texts import osrelease
from . import probe_kernels, probe_modules, probe_pci, probe_refused, probe_system, probe_use, probe_users
from .probe_files import text


class Installed(t.Protocol):
    """A package that is there."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...


class Packages(t.Protocol):
    """The questions that a look at a node asks its package manager."""

    def installed(self, patterns: t.Sequence[str]) -> t.Sequence[Installed]: ...
    def holds(self) -> t.FrozenSet[str]: ...
    def problems(self) -> t.Tuple[str, ...]: ...
    def needs_for_holds(self) -> t.Tuple[str, ...]: ...
    def stream(self, module: str) -> t.Optional[str]: ...


def probe(ports: Ports, packages: t.Optional[Packages] = None, users: bool = True, problem: str = "") -> Node:
    """The snapshot. Without `packages` the package manager is not asked; `problem` says why there is none.

    `users` false leaves out what only an act on a running driver needs: NVML, owners of work, open devices. Raises
    BindingWantedError where NVML could answer and no pynvml is there; before that nothing costly runs.
    """
    files = ports.files
    library = probe_system.library(files)
    found = probe_pci.probe(files)
    memory = probe_modules.probe(files)
    fabric = bool(found.switches) or found.nvlink5
    use = probe_use.look(ports, library, memory.version, fabric) if users else probe_use.Use(probe_users.Answer(""))
    units = {name: unit for name, unit in probe_system.units(ports).items() if name not in use.never}
    records = probe_system.records(files)
    kernels = probe_kernels.probe(ports, probe_system.records(files, INITRAMFS_RECORD))
    installed = _installed(packages, records) if packages else {}
    tools = {name: version for name, version in installed.items() if name in _tools(records) and not listed(name)}
    return Node(
        distribution=osrelease.distribution(_os_release(ports), probe_kernels.architecture(files)),
        running=kernels.running,
        next=kernels.next,
        next_from=kernels.said_by,
        gpus=found.gpus,
        switches=found.switches,
        nvlink5=found.nvlink5,
        lacking_modules=_lacking(ports, kernels.running.release) if found.nvlink5 else (),
        imex_lacks=probe_system.imex_lacks(files) if any(gpu.device_id in TRAYS for gpu in found.gpus) else "",
        secure_boot=probe_system.secure_boot(ports),
        loaded=probe_modules.loaded_module(memory, kernels.running.modules),
        nouveau_loaded=memory.nouveau,
        nouveau_holders=memory.nouveau_holders,
        nouveau_blacklists=probe_system.nouveau_blacklists(files),
        boot_id=probe_system.boot(files),
        live_parameters=memory.parameters,
        library=library,
        packages={name: version for name, version in installed.items() if name not in tools},
        tools=tools,
        holds=packages.holds() if packages else frozenset(),
        hold_tools=packages.needs_for_holds() if packages else (),
        stream=_stream(packages.stream(STREAM_MODULE)) if packages else None,
        package_problems=packages.problems() if packages else tuple(filter(None, (problem,))),
        units=units,
        fabric_state=use.answer.fabric,
        managers=tuple((one.name, one.evidence) for one in managers.probe(files)),
        busy=use.busy,
        holders=use.holders,
        refused=probe_refused.standing(ports, units) if memory.version else "",
        reboot_pending=probe_system.reboot_pending(files),
        reboot_packages=probe_system.reboot_packages(files),
        daemon_reload_risk=containers_at_risk(ports.root),
        files=probe_system.our_files(files),
        records=records,
        root=probe_system.is_root(),
        nvml=use.answer.why,
        nvml_state=use.answer.state,
    )


def _lacking(ports: Ports, release: str) -> t.Tuple[str, ...]:
    return probe_modules.lacking(ports.files, FABRIC_MODULES, release)


def _installed(packages: Packages, records: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """The driver's packages, and the others that matter here, by one question."""
    recorded = (str(name) for name in records.get("packages") or ())
    return {one.name: one.version for one in packages.installed((*PACKAGES, *recorded, *_tools(records)))}


def _tools(records: t.Mapping[str, t.Any]) -> t.Tuple[str, ...]:
    return (*ENROLLING, *(str(name) for name in records.get("tools") or ()))


def _stream(name: t.Optional[str]) -> t.Optional[str]:
    return f"{STREAM_MODULE}:{name}" if name else None


def _os_release(ports: Ports) -> str:
    return text(ports.files, "/etc/os-release") or text(ports.files, "/usr/lib/os-release")
