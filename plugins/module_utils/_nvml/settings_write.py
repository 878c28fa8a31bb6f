# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of one GPU are set, one by one or again after a reset. PRIVATE to the collection.

What a reset takes away is read before and set after. Locked clocks come from those who remember them, for NVML reads
none back; ECC is not among them, for its change would itself need a reset.
Values: power limit in watts, application clocks as [memory, graphics] in MHz, locked clocks as [min, max] in MHz, None
where the GPU does not offer it.
"""

from __future__ import annotations

import typing as t

from .._data.nvml_names import COMPUTE_MODES
from .._errors import GpuLostError, NvmlError
from .address import by_uuid
from .caller import Caller
from .objects import SettingSet
from .settings import GRAPHICS, MEMORY, watts

Settings = t.Dict[str, t.Any]
# NVML has no call that reads them.
UNREAD = ("locked_clocks", "locked_memory_clocks")
# MIG mode has these values and no other, and a GPU in MIG mode need not tell them (nvml.h, Set calls of both).
MIG_VALUES: t.Mapping[str, t.Any] = {"compute_mode": "default", "accounting_mode": False}
_MODE_NUMBERS = {name: number for number, name in COMPUTE_MODES.items()}


def settings_of(caller: Caller, uuid: str, pci: t.Optional[str]) -> Settings:
    """What is set now. A value that cannot be read although the GPU has it raises: it could not be set again."""
    with caller.target(pci or uuid):
        return _read(caller, by_uuid(caller, uuid, pci))


def restore(caller: Caller, uuid: str, pci: t.Optional[str], before: Settings) -> t.Tuple[SettingSet, ...]:
    """Sets what differs from `before`; an entry for each such setting, also where the GPU refuses it."""
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        todo = differing(before, _read(caller, handle))
        refused = {name: _set(caller, handle, name, before[name]) for name in todo}
        found = _read(caller, handle) if todo else {}
    return tuple(SettingSet(name, before[name], found.get(name, before[name]), refused[name]) for name in todo)


def set_one(caller: Caller, uuid: str, pci: t.Optional[str], name: str, value: t.Any) -> None:
    """Sets one setting; None takes clocks back to the driver's default. Values as above."""
    with caller.target(pci or uuid):
        handle = by_uuid(caller, uuid, pci)
        if value is None:
            caller(_RESETS[name], handle)
        else:
            function, arguments = _WRITES[name]
            caller(function, handle, *arguments(value))


def differing(before: Settings, found: Settings) -> t.List[str]:
    """Names of the settings to be set, in the order of setting. Pure.

    What a GPU did not tell before was not its administrator's wish; what it does not tell now may be its default.
    """
    names = []
    for name in _WRITES:
        wanted, now = before.get(name), found.get(name)
        if wanted is not None and wanted != (MIG_VALUES.get(name) if now is None else now):
            names.append(name)
    return names


def _read(caller: Caller, handle: t.Any) -> Settings:
    mode = caller.offered("nvmlDeviceGetComputeMode", handle)
    clocks = [caller.offered("nvmlDeviceGetApplicationsClock", handle, kind) for kind in (MEMORY, GRAPHICS)]
    boost = caller.offered("nvmlDeviceGetAutoBoostedClocksEnabled", handle)
    return {
        "persistence_mode": _flag(caller.offered("nvmlDeviceGetPersistenceMode", handle)),
        "power_limit": watts(caller.offered("nvmlDeviceGetPowerManagementLimit", handle)),
        "compute_mode": None if mode is None else COMPUTE_MODES.get(mode),
        "application_clocks": None if None in clocks else clocks,
        "auto_boost": None if boost is None else bool(boost[0]),
        "accounting_mode": _flag(caller.offered("nvmlDeviceGetAccountingMode", handle)),
    }


def _flag(number: t.Optional[int]) -> t.Optional[bool]:
    return None if number is None else bool(number)


def _set(caller: Caller, handle: t.Any, name: str, value: t.Any) -> str:
    """NVML's name of the refusal, "" where there is none. A lost GPU and missing rights raise."""
    function, arguments = _WRITES[name]
    try:
        caller(function, handle, *arguments(value))
    except GpuLostError:
        raise
    except NvmlError as error:
        return str(error.facts["code_name"])
    return ""


def _two(value: t.Sequence[t.Any]) -> t.Tuple[int, ...]:
    return (int(value[0]), int(value[1]))


# In the order of setting: persistence keeps the driver from dropping the others, and application clocks may switch
# auto boost off (nvml.h), so that comes after them.
_WRITES: t.Dict[str, t.Tuple[str, t.Callable[[t.Any], t.Tuple[int, ...]]]] = {
    "persistence_mode": ("nvmlDeviceSetPersistenceMode", lambda value: (int(value),)),
    "power_limit": ("nvmlDeviceSetPowerManagementLimit", lambda value: (round(value * 1000),)),
    "compute_mode": ("nvmlDeviceSetComputeMode", lambda value: (_MODE_NUMBERS[value],)),
    "application_clocks": ("nvmlDeviceSetApplicationsClocks", _two),
    "auto_boost": ("nvmlDeviceSetAutoBoostedClocksEnabled", lambda value: (int(value),)),
    "accounting_mode": ("nvmlDeviceSetAccountingMode", lambda value: (int(value),)),
    "locked_clocks": ("nvmlDeviceSetGpuLockedClocks", _two),
    "locked_memory_clocks": ("nvmlDeviceSetMemoryLockedClocks", _two),
    # Never set again after a reset: `_read` does not tell it.
    "ecc": ("nvmlDeviceSetEccMode", lambda value: (int(value),)),
}
_RESETS: t.Dict[str, str] = {
    "application_clocks": "nvmlDeviceResetApplicationsClocks",
    "locked_clocks": "nvmlDeviceResetGpuLockedClocks",
    "locked_memory_clocks": "nvmlDeviceResetMemoryLockedClocks",
}
