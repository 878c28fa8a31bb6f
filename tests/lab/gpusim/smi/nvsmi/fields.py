# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every property that --query-gpu knows: name → (unit, reader). A reader gets a handle and returns a value or None."""

from __future__ import annotations

import time
import typing as t

from nvsmi.binding import MIB, nv, sampled, text, value

Reader = t.Callable[[t.Any], t.Any]
NO_UNIT = ""


def _call(name: str, *args: t.Any) -> Reader:
    return lambda handle: value(getattr(nv, name), handle, *args)


def _part(name: str, key: t.Union[str, int], scale: float = 1, args: t.Tuple[t.Any, ...] = ()) -> Reader:
    def read(handle: t.Any) -> t.Any:
        whole = value(getattr(nv, name), handle, *args)
        if whole is None:
            return None
        part = whole[key] if isinstance(key, int) else getattr(whole, key)
        return part // scale if isinstance(scale, int) and scale != 1 else part

    return read


def _words(reader: Reader, *names: str) -> Reader:
    def read(handle: t.Any) -> t.Optional[str]:
        number = reader(handle)
        if number is None:
            return None
        return names[number] if 0 <= number < len(names) else "Unknown"

    return read


def _bit(mask: int) -> Reader:
    def read(handle: t.Any) -> t.Optional[str]:
        bits = value(nv.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return None if bits is None else "Active" if bits & mask else "Not Active"

    return read


def _hex(reader: Reader, digits: int) -> Reader:
    def read(handle: t.Any) -> t.Optional[str]:
        number = reader(handle)
        return None if number is None else "0x%0*X" % (digits, number)

    return read


def _watts(reader: Reader) -> Reader:
    def read(handle: t.Any) -> t.Optional[str]:
        milliwatts = reader(handle)
        return None if milliwatts is None else "%.2f" % (milliwatts / 1000)

    return read


def _pci(member: str) -> Reader:
    return _part("nvmlDeviceGetPciInfo", member)


def bus_id(handle: t.Any) -> t.Optional[str]:
    raw = _pci("busId")(handle)
    return None if raw is None else text(raw).upper()


def _memory(member: str) -> Reader:
    return _part("nvmlDeviceGetMemoryInfo", member, MIB, (nv.nvmlMemory_v2,))


def _ecc(error: int, counter: int) -> Reader:
    return _call("nvmlDeviceGetTotalEccErrors", error, counter)


def _ecc_at(error: int, counter: int, place: int) -> Reader:
    return _call("nvmlDeviceGetMemoryErrorCounter", error, counter, place)


def _pstate(handle: t.Any) -> t.Optional[str]:
    state = value(nv.nvmlDeviceGetPerformanceState, handle)
    return None if state is None else "P%d" % state


def _cuda_capability(handle: t.Any) -> t.Optional[str]:
    pair = value(nv.nvmlDeviceGetCudaComputeCapability, handle)
    return None if pair is None else "%d.%d" % tuple(pair)


def _fabric(member: str, names: t.Dict[int, str]) -> Reader:
    def read(handle: t.Any) -> t.Optional[str]:
        info = nv.c_nvmlGpuFabricInfoV_t()
        if value(nv.nvmlDeviceGetGpuFabricInfoV, handle, nv.byref(info)) is None:
            return None
        number = getattr(info, member)
        return names.get(number, "Unknown")

    return read


def _recovery(handle: t.Any) -> t.Optional[str]:
    number = sampled(nv.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, handle)
    return None if number is None else RECOVERY.get(number, "Unknown")


def _retired(cause: int) -> Reader:
    def read(handle: t.Any) -> t.Optional[int]:
        pages = value(nv.nvmlDeviceGetRetiredPages, handle, cause)
        return None if pages is None else len(pages)

    return read


def _persistence(handle: t.Any) -> t.Any:
    return value(nv.nvmlDeviceGetPersistenceMode, handle)


def _timestamp(_handle: t.Any) -> str:
    now = time.time()
    return time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now)) + ".%03d" % (now * 1000 % 1000)


ON_OFF = ("Disabled", "Enabled")
COMPUTE = ("Default", "Exclusive_Thread", "Prohibited", "Exclusive_Process")
RECOVERY = {0: "None", 1: "Reset", 2: "Reboot", 3: "Drain P2P", 4: "Drain and Reset"}
FABRIC_STATE = {0: "N/A", 1: "Not Started", 2: "In Progress", 3: "Completed"}
FABRIC_STATUS = {0: "Success"}
THROTTLE = {
    "gpu_idle": 0x1, "applications_clocks_setting": 0x2, "sw_power_cap": 0x4, "hw_slowdown": 0x8, "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20, "hw_thermal_slowdown": 0x40, "hw_power_brake_slowdown": 0x80,
}  # fmt: skip
TEMPERATURE = nv.NVML_TEMPERATURE_GPU
CORRECTED, UNCORRECTED = nv.NVML_MEMORY_ERROR_TYPE_CORRECTED, nv.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
VOLATILE, AGGREGATE = nv.NVML_VOLATILE_ECC, nv.NVML_AGGREGATE_ECC
CLOCKS = {
    "graphics": nv.NVML_CLOCK_GRAPHICS,
    "sm": nv.NVML_CLOCK_SM,
    "memory": nv.NVML_CLOCK_MEM,
    "video": nv.NVML_CLOCK_VIDEO,
}

FIELDS: t.Dict[str, t.Tuple[str, Reader]] = {
    "timestamp": (NO_UNIT, _timestamp),
    "driver_version": (NO_UNIT, lambda _handle: value(nv.nvmlSystemGetDriverVersion)),
    "count": (NO_UNIT, lambda _handle: value(nv.nvmlDeviceGetCount)),
    "name": (NO_UNIT, _call("nvmlDeviceGetName")),
    "serial": (NO_UNIT, _call("nvmlDeviceGetSerial")),
    "uuid": (NO_UNIT, _call("nvmlDeviceGetUUID")),
    "index": (NO_UNIT, _call("nvmlDeviceGetIndex")),
    "vbios_version": (NO_UNIT, _call("nvmlDeviceGetVbiosVersion")),
    "compute_cap": (NO_UNIT, _cuda_capability),
    "pci.bus_id": (NO_UNIT, bus_id),
    "pci.domain": (NO_UNIT, _hex(_pci("domain"), 4)),
    "pci.bus": (NO_UNIT, _hex(_pci("bus"), 2)),
    "pci.device": (NO_UNIT, _hex(_pci("device"), 2)),
    "pci.device_id": (NO_UNIT, _hex(_pci("pciDeviceId"), 8)),
    "pci.sub_device_id": (NO_UNIT, _hex(_pci("pciSubSystemId"), 8)),
    "pcie.link.gen.current": (NO_UNIT, _call("nvmlDeviceGetCurrPcieLinkGeneration")),
    "pcie.link.gen.gpucurrent": (NO_UNIT, _call("nvmlDeviceGetCurrPcieLinkGeneration")),
    "pcie.link.gen.max": (NO_UNIT, _call("nvmlDeviceGetMaxPcieLinkGeneration")),
    "pcie.link.gen.gpumax": (NO_UNIT, _call("nvmlDeviceGetGpuMaxPcieLinkGeneration")),
    "pcie.link.width.current": (NO_UNIT, _call("nvmlDeviceGetCurrPcieLinkWidth")),
    "pcie.link.width.max": (NO_UNIT, _call("nvmlDeviceGetMaxPcieLinkWidth")),
    "display_mode": (NO_UNIT, _words(_call("nvmlDeviceGetDisplayMode"), *ON_OFF)),
    "display_active": (NO_UNIT, _words(_call("nvmlDeviceGetDisplayActive"), *ON_OFF)),
    "persistence_mode": (NO_UNIT, _words(_persistence, *ON_OFF)),
    "accounting.mode": (NO_UNIT, _words(_call("nvmlDeviceGetAccountingMode"), *ON_OFF)),
    "accounting.buffer_size": (NO_UNIT, _call("nvmlDeviceGetAccountingBufferSize")),
    "driver_model.current": (NO_UNIT, lambda _handle: None),
    "driver_model.pending": (NO_UNIT, lambda _handle: None),
    "inforom.img": (NO_UNIT, _call("nvmlDeviceGetInforomImageVersion")),
    "inforom.oem": (NO_UNIT, _call("nvmlDeviceGetInforomVersion", nv.NVML_INFOROM_OEM)),
    "inforom.ecc": (NO_UNIT, _call("nvmlDeviceGetInforomVersion", nv.NVML_INFOROM_ECC)),
    "inforom.pwr": (NO_UNIT, _call("nvmlDeviceGetInforomVersion", nv.NVML_INFOROM_POWER)),
    "gom.current": (NO_UNIT, lambda _handle: None),
    "gom.pending": (NO_UNIT, lambda _handle: None),
    "fan.speed": ("%", _call("nvmlDeviceGetFanSpeed")),
    "pstate": (NO_UNIT, _pstate),
    "clocks_event_reasons.supported": (NO_UNIT, _hex(_call("nvmlDeviceGetSupportedClocksThrottleReasons"), 16)),
    "clocks_event_reasons.active": (NO_UNIT, _hex(_call("nvmlDeviceGetCurrentClocksThrottleReasons"), 16)),
    "memory.total": ("MiB", _memory("total")),
    "memory.reserved": ("MiB", _memory("reserved")),
    "memory.used": ("MiB", _memory("used")),
    "memory.free": ("MiB", _memory("free")),
    "compute_mode": (NO_UNIT, _words(_call("nvmlDeviceGetComputeMode"), *COMPUTE)),
    "utilization.gpu": ("%", _part("nvmlDeviceGetUtilizationRates", "gpu")),
    "utilization.memory": ("%", _part("nvmlDeviceGetUtilizationRates", "memory")),
    "utilization.encoder": ("%", _part("nvmlDeviceGetEncoderUtilization", 0)),
    "utilization.decoder": ("%", _part("nvmlDeviceGetDecoderUtilization", 0)),
    "ecc.mode.current": (NO_UNIT, _words(_part("nvmlDeviceGetEccMode", 0), *ON_OFF)),
    "ecc.mode.pending": (NO_UNIT, _words(_part("nvmlDeviceGetEccMode", 1), *ON_OFF)),
    "retired_pages.single_bit_ecc.count": (
        NO_UNIT,
        _retired(nv.NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS),
    ),
    "retired_pages.double_bit.count": (NO_UNIT, _retired(nv.NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR)),
    "retired_pages.pending": (NO_UNIT, _words(_call("nvmlDeviceGetRetiredPagesPendingStatus"), "No", "Yes")),
    "temperature.gpu": (NO_UNIT, _call("nvmlDeviceGetTemperature", TEMPERATURE)),
    "temperature.gpu.tlimit": (NO_UNIT, _call("nvmlDeviceGetMarginTemperature")),
    "temperature.memory": (NO_UNIT, lambda handle: sampled(nv.NVML_FI_DEV_MEMORY_TEMP, handle)),
    "power.management": (NO_UNIT, _words(_call("nvmlDeviceGetPowerManagementMode"), "Disabled", "Supported")),
    "power.draw": ("W", _watts(_call("nvmlDeviceGetPowerUsage"))),
    "power.draw.average": ("W", _watts(lambda handle: sampled(nv.NVML_FI_DEV_POWER_AVERAGE, handle))),
    "power.draw.instant": ("W", _watts(lambda handle: sampled(nv.NVML_FI_DEV_POWER_INSTANT, handle))),
    "power.limit": ("W", _watts(_call("nvmlDeviceGetPowerManagementLimit"))),
    "enforced.power.limit": ("W", _watts(_call("nvmlDeviceGetEnforcedPowerLimit"))),
    "power.default_limit": ("W", _watts(_call("nvmlDeviceGetPowerManagementDefaultLimit"))),
    "power.min_limit": ("W", _watts(_part("nvmlDeviceGetPowerManagementLimitConstraints", 0))),
    "power.max_limit": ("W", _watts(_part("nvmlDeviceGetPowerManagementLimitConstraints", 1))),
    "mig.mode.current": (NO_UNIT, _words(_part("nvmlDeviceGetMigMode", 0), *ON_OFF)),
    "mig.mode.pending": (NO_UNIT, _words(_part("nvmlDeviceGetMigMode", 1), *ON_OFF)),
    "gsp.mode.current": (NO_UNIT, _words(_part("nvmlDeviceGetGspFirmwareMode", 0), *ON_OFF)),
    "gsp.mode.default": (NO_UNIT, _words(_part("nvmlDeviceGetGspFirmwareMode", 1), *ON_OFF)),
    "fabric.state": (NO_UNIT, _fabric("state", FABRIC_STATE)),
    "fabric.status": (NO_UNIT, _fabric("status", FABRIC_STATUS)),
    "gpu_recovery_action": (NO_UNIT, _recovery),
}
for _name, _mask in THROTTLE.items():
    FIELDS["clocks_event_reasons." + _name] = (NO_UNIT, _bit(_mask))
for _word, _error in (("corrected", CORRECTED), ("uncorrected", UNCORRECTED)):
    for _span, _counter in (("volatile", VOLATILE), ("aggregate", AGGREGATE)):
        _stem = f"ecc.errors.{_word}.{_span}."
        FIELDS[_stem + "dram"] = (NO_UNIT, _ecc_at(_error, _counter, nv.NVML_MEMORY_LOCATION_DRAM))
        FIELDS[_stem + "device_memory"] = FIELDS[_stem + "dram"]
        FIELDS[_stem + "sram"] = (NO_UNIT, _ecc_at(_error, _counter, nv.NVML_MEMORY_LOCATION_SRAM))
        FIELDS[_stem + "total"] = (NO_UNIT, _ecc(_error, _counter))
for _word, _clock in CLOCKS.items():
    FIELDS["clocks.current." + _word] = ("MHz", _call("nvmlDeviceGetClockInfo", _clock))
    if _word != "video":
        FIELDS["clocks.max." + _word] = ("MHz", _call("nvmlDeviceGetMaxClockInfo", _clock))
    if _word in ("graphics", "memory"):
        FIELDS["clocks.applications." + _word] = ("MHz", _call("nvmlDeviceGetApplicationsClock", _clock))
        FIELDS["clocks.default_applications." + _word] = (
            "MHz",
            _call("nvmlDeviceGetDefaultApplicationsClock", _clock),
        )

# Other spellings of the same property; the header line shows the name on the left of FIELDS.
ALIASES = {
    "gpu_name": "name", "gpu_serial": "serial", "gpu_uuid": "uuid", "gpu_bus_id": "pci.bus_id",
    "inforom.image": "inforom.img", "inforom.power": "inforom.pwr", "gpu_operation_mode.current": "gom.current",
    "gpu_operation_mode.pending": "gom.pending", "retired_pages.sbe": "retired_pages.single_bit_ecc.count",
    "retired_pages.dbe": "retired_pages.double_bit.count", "clocks.gr": "clocks.current.graphics",
    "clocks.sm": "clocks.current.sm", "clocks.mem": "clocks.current.memory", "clocks.video": "clocks.current.video",
    "clocks.applications.gr": "clocks.applications.graphics", "clocks.applications.mem": "clocks.applications.memory",
    "clocks.default_applications.gr": "clocks.default_applications.graphics",
    "clocks.default_applications.mem": "clocks.default_applications.memory",
    "clocks.max.gr": "clocks.max.graphics", "clocks.max.mem": "clocks.max.memory",
}  # fmt: skip
for _name in list(FIELDS):
    if _name.startswith("clocks_event_reasons."):
        ALIASES[_name.replace("event", "throttle")] = _name
