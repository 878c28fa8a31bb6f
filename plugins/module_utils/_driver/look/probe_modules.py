# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules in memory: nvidia, nouveau, who uses them, and their parameters. Reads only. PRIVATE."""

from __future__ import annotations

import typing as t

from ..._files import Files
from ..model import LoadedModule, ModuleFile
from ..texts import loaded
from .probe_files import line, text

SYS = "/sys/module"
KERNELS = "/lib/modules"
PROC = "/proc/driver/nvidia"


class Memory(t.NamedTuple):
    """`version` of module nvidia is None where it is not loaded."""

    version: t.Optional[str]
    open: t.Optional[bool]
    dependents: t.Tuple[str, ...]
    nouveau: bool
    nouveau_holders: t.Tuple[str, ...]
    parameters: t.Dict[str, t.Dict[str, str]]


def probe(files: Files) -> Memory:
    names = files.names(SYS)
    holders = {name: files.names(f"{SYS}/{name}/holders") for name in names}
    version = line(files, f"{SYS}/nvidia/version")
    # A module that is built in has a folder too if it has parameters, but only a loaded one has this file.
    nouveau = files.exists(f"{SYS}/nouveau/initstate")
    return Memory(
        version=version,
        open=loaded.is_open(text(files, f"{PROC}/version")),
        dependents=loaded.removal_order("nvidia", holders) if version else (),
        nouveau=nouveau,
        nouveau_holders=loaded.removal_order("nouveau", holders) if nouveau else (),
        parameters={name: _parameters(files, name) for name in names if name.startswith("nvidia")},
    )


def users(files: Files, name: str) -> t.Optional[int]:
    """How many references to a module are held by others than the modules that use it: open files of its devices, a
    console. Each module that uses it holds one and stands in holders. None: the kernel does not tell, because it cannot
    unload modules or this one is built in."""
    references = line(files, f"{SYS}/{name}/refcnt") or ""
    return max(0, int(references) - len(files.names(f"{SYS}/{name}/holders"))) if references.isdigit() else None


def lacking(files: Files, wanted: t.Sequence[str], release: str) -> t.Tuple[str, ...]:
    """Those that are neither in memory nor built into the kernel."""
    built = text(files, f"{KERNELS}/{release}/modules.builtin")
    return tuple(name for name in wanted if not files.exists(f"{SYS}/{name}") and f"/{name}.ko" not in built)


def loaded_module(memory: Memory, on_disk: t.Sequence[ModuleFile]) -> t.Optional[LoadedModule]:
    """`on_disk` are the running kernel's files: who signed the module in memory is told by the file it came from."""
    if memory.version is None:
        return None
    source = next((file for file in on_disk if file.version == memory.version), None)
    return LoadedModule(memory.version, memory.open, source.signer if source else None, memory.dependents)


def _parameters(files: Files, module: str) -> t.Dict[str, str]:
    """Module nvidia shows its own in /proc only."""
    if module == "nvidia":
        return loaded.parameters(text(files, f"{PROC}/params"))
    folder = f"{SYS}/{module}/parameters"
    return {name: line(files, f"{folder}/{name}") or "" for name in files.names(folder)}
