# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Health readings of one GPU. PRIVATE to the collection.

Readings only, no judgement: thresholds belong to `_health`. Plain values with fixed keys, None where the GPU does not
offer one. Temperatures in degrees Celsius, power in watts, clocks in MHz.
"""

from __future__ import annotations

import ctypes
import typing as t

from .._data.nvml_names import (
    CLOCKS,
    FIELD_MEMORY_TEMPERATURE,
    FIELD_RECOVERY_ACTION,
    MEMORY_LOCATIONS,
    RECOVERY_ACTIONS,
    TEMPERATURE_LIMITS,
    event_reasons,
    word,
)
from .caller import Caller
from .links import fabric, nvlinks, pcie
from .settings import watts

# nvmlMemoryErrorType_t, nvmlEccCounterType_t, nvmlPageRetirementCause_t
CORRECTED, UNCORRECTED = 0, 1
VOLATILE, AGGREGATE = 0, 1
RETIRED_FOR_SBE, RETIRED_FOR_DBE = 0, 1
# nvmlTemperatureSensors_t NVML_TEMPERATURE_GPU
GPU_SENSOR = 0
# nvmlValueType_t and the member of the union that holds it
VALUE_FIELDS = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}


def read(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    """All readings; shape as RETURN of gpu_info, key gpus[].health."""
    fields = _fields(caller, handle, (FIELD_RECOVERY_ACTION, FIELD_MEMORY_TEMPERATURE))
    action = fields[FIELD_RECOVERY_ACTION]
    return {
        "temperature": _temperature(caller, handle, fields[FIELD_MEMORY_TEMPERATURE]),
        "power": _power(caller, handle),
        "clocks": _clocks(caller, handle),
        "throttle": _throttle(caller, handle),
        "utilization": _utilization(caller, handle),
        "ecc": _ecc(caller, handle),
        "remapped_rows": _remapped_rows(caller, handle),
        "retired_pages": _retired_pages(caller, handle),
        "recovery_action": None if action is None else word(RECOVERY_ACTIONS, int(action)),
        "nvlinks": nvlinks(caller, handle),
        "fabric": fabric(caller, handle),
        "pcie": pcie(caller, handle),
    }


def _temperature(caller: Caller, handle: t.Any, memory: t.Optional[int]) -> t.Dict[str, t.Any]:
    return {
        "gpu": _gpu_temperature(caller, handle),
        "memory": memory,
        # Degrees left until the GPU slows itself down; the measure that NVIDIA and gpud use instead of a fixed number.
        "margin": caller.get("nvmlDeviceGetMarginTemperature", handle),
        "limits": {
            name: caller.get("nvmlDeviceGetTemperatureThreshold", handle, number) for name, number in TEMPERATURE_LIMITS
        },
    }


def _gpu_temperature(caller: Caller, handle: t.Any) -> t.Any:
    # The V form replaces the old one with CUDA 14, drivers before 570 have only the old one.
    for function in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"):
        value = caller.get(function, handle, GPU_SENSOR)
        if value is not None:
            return value
    return None


def _power(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    return {
        "draw": watts(caller.get("nvmlDeviceGetPowerUsage", handle)),
        "enforced_limit": watts(caller.get("nvmlDeviceGetEnforcedPowerLimit", handle)),
        "energy_joules": _thousandth(caller.get("nvmlDeviceGetTotalEnergyConsumption", handle)),
    }


def _thousandth(number: t.Optional[int]) -> t.Optional[float]:
    return None if number is None else number / 1000


def _clocks(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    now = {name: caller.get("nvmlDeviceGetClockInfo", handle, number) for name, number in CLOCKS}
    highest = {name: caller.get("nvmlDeviceGetMaxClockInfo", handle, number) for name, number in CLOCKS}
    return {"current": now, "max": highest, "performance_state": caller.get("nvmlDeviceGetPerformanceState", handle)}


def _throttle(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    """Names of the reasons; None where they cannot be read. The functions were renamed at driver 535."""
    return {
        "active": _reasons(caller, handle, "Current"),
        "supported": _reasons(caller, handle, "Supported"),
    }


def _reasons(caller: Caller, handle: t.Any, which: str) -> t.Optional[t.List[str]]:
    for word_ in ("Event", "Throttle"):
        mask = caller.get(f"nvmlDeviceGet{which}Clocks{word_}Reasons", handle)
        if mask is not None:
            return event_reasons(int(mask))
    return None


def _utilization(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    rates = caller.get("nvmlDeviceGetUtilizationRates", handle)
    return {"gpu": rates.gpu if rates else None, "memory": rates.memory if rates else None}


def _ecc(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    """Counts of errors; volatile since the driver was loaded, aggregate over the life of the card."""

    def total(kind: int, since: int) -> t.Any:
        return caller.get("nvmlDeviceGetTotalEccErrors", handle, kind, since)

    def counter(kind: int, since: int, location: int) -> t.Any:
        return caller.get("nvmlDeviceGetMemoryErrorCounter", handle, kind, since, location)

    result: t.Dict[str, t.Any] = {}
    for period, since in (("volatile", VOLATILE), ("aggregate", AGGREGATE)):
        result[period] = {"corrected": total(CORRECTED, since), "uncorrected": total(UNCORRECTED, since)}
        for place, location in MEMORY_LOCATIONS:
            result[period][f"{place}_corrected"] = counter(CORRECTED, since, location)
            result[period][f"{place}_uncorrected"] = counter(UNCORRECTED, since, location)
    result["sram_threshold_exceeded"] = _sram_threshold(caller, handle)
    return result


def _sram_threshold(caller: Caller, handle: t.Any) -> t.Optional[bool]:
    """NVIDIA's own criterion for replacing a card with faulty SRAM."""
    struct = getattr(caller.pynvml, "c_nvmlEccSramErrorStatus_v1_t", None)
    if struct is None:
        return None
    status = struct()
    if caller.get("nvmlDeviceGetSramEccErrorStatus", handle, ctypes.byref(status)) is None:
        return None
    return bool(status.bThresholdExceeded)


def _remapped_rows(caller: Caller, handle: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    rows = caller.get("nvmlDeviceGetRemappedRows", handle)
    if rows is None:
        return None
    histogram = caller.get("nvmlDeviceGetRowRemapperHistogram", handle)
    return {
        "correctable": rows[0],
        "uncorrectable": rows[1],
        "pending": bool(rows[2]),
        "failure": bool(rows[3]),
        "banks_without_spare_rows": None if histogram is None else histogram.none,
    }


def _retired_pages(caller: Caller, handle: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    """Only boards before Ampere retire pages, later ones remap rows."""
    single = caller.get("nvmlDeviceGetRetiredPages", handle, RETIRED_FOR_SBE)
    if single is None:
        return None
    double = caller.get("nvmlDeviceGetRetiredPages", handle, RETIRED_FOR_DBE)
    pending = caller.get("nvmlDeviceGetRetiredPagesPendingStatus", handle)
    return {
        "single_bit": len(single),
        "double_bit": None if double is None else len(double),
        "pending": None if pending is None else bool(pending),
    }


def _fields(caller: Caller, handle: t.Any, ids: t.Tuple[int, ...]) -> t.Dict[int, t.Any]:
    """Field values by id, None for each that this GPU does not have."""
    values = caller.get("nvmlDeviceGetFieldValues", handle, list(ids))
    if values is None:
        return dict.fromkeys(ids)
    return {number: _field(value) for number, value in zip(ids, values)}


def _field(value: t.Any) -> t.Any:
    if value.nvmlReturn != 0 or value.valueType not in VALUE_FIELDS:
        return None
    return getattr(value.value, VALUE_FIELDS[value.valueType], None)
