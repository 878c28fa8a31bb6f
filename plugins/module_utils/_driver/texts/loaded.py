# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules in memory and how they depend on each other. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

_LIBRARY = re.compile(r"libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)*)$")
_CACHED = re.compile(rb"(/[^\0]*/libnvidia-ml\.so\.1)\0")
_PARAMETER = re.compile(r"^(\w+): ?(.*)$", re.MULTILINE)


def is_open(version_text: str) -> t.Optional[bool]:
    """From /proc/driver/nvidia/version: the open module calls itself so, the other one only a kernel module."""
    first = version_text.partition("\n")[0]
    if "Open Kernel Module" in first:
        return True
    return False if "Kernel Module" in first else None


def removal_order(module: str, holders: t.Mapping[str, t.Sequence[str]]) -> t.Tuple[str, ...]:
    """All modules that use `module`, directly or not, the outermost first; `holders` is /sys/module/*/holders.

    Equal ones stand in alphabetical order, so that two looks at one node tell the same.
    """
    order: t.List[str] = []

    def visit(name: str) -> None:
        for holder in sorted(holders.get(name, ())):
            if holder not in order and holder != module:
                visit(holder)
                if holder not in order:
                    order.append(holder)

    visit(module)
    return tuple(order)


def library_version(path: str) -> t.Optional[str]:
    """From the name of the file that libnvidia-ml.so.1 leads to."""
    match = _LIBRARY.search(path)
    return match.group(1) if match else None


def cached_libraries(cache: bytes) -> t.Tuple[str, ...]:
    """The paths of libnvidia-ml.so.1 in ld.so.cache, those for 64-bit programs first."""
    paths = dict.fromkeys(found.decode("utf-8", "replace") for found in _CACHED.findall(cache))
    return tuple(sorted(paths, key=_is_narrow))


def _is_narrow(path: str) -> bool:
    return "/i386-linux-gnu/" in path or "/lib32/" in path or path.startswith(("/usr/lib/libnv", "/lib/libnv"))


def parameters(params: str) -> t.Dict[str, str]:
    """The parameters of module nvidia by their names in modprobe.d, from /proc/driver/nvidia/params."""
    return {f"NVreg_{name}": value for name, value in _PARAMETER.findall(params)}
