# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings that nvidia-smi changes: persistence, ECC, compute mode, clocks, power limit, MIG mode."""

from __future__ import annotations

import typing as t

from nvsmi import errors, options, targets
from nvsmi.binding import nv, words

Change = t.Callable[[targets.Gpu], None]
ON_OFF = {"0": 0, "DISABLED": 0, "1": 1, "ENABLED": 1}
COMPUTE = {
    "0": 0, "DEFAULT": 0, "1": 1, "EXCLUSIVE_THREAD": 1, "2": 2, "PROHIBITED": 2, "3": 3, "EXCLUSIVE_PROCESS": 3,
}  # fmt: skip
COMPUTE_NAMES = ("DEFAULT", "EXCLUSIVE_THREAD", "PROHIBITED", "EXCLUSIVE_PROCESS")
CLOCKS_HINT = "Run 'nvidia-smi -q -d SUPPORTED_CLOCKS' to see list of supported clock combinations"


class Warned(Exception):
    """A change that this GPU does not offer: said, and the next GPU is taken."""


def main(wish: options.Wish) -> int:
    """Apply the one modification to every selected GPU. Ends at the first error, warnings do not end it."""
    name = t.cast(str, wish.modification)
    change = CHANGES[name](t.cast(str, wish.get(name)))
    warned = False
    for gpu in targets.present(wish.get("-i")):
        try:
            change(gpu)
        except Warned as warning:
            print(f"{warning}\nTreating as warning and moving on.")
            warned = True
        except errors.SmiError as error:
            raise errors.SmiError(error.code, error.text + "\nTerminating early due to previous errors.") from error
    print("All done.")
    if name == "-e":
        print("Reboot required.")
    return errors.NOT_SUPPORTED if warned and "-eow" in wish else errors.OK


def _number(text: str, table: t.Dict[str, int], what: str) -> int:
    if text.upper() not in table:
        raise errors.usage(f"Invalid {what}: {text}")
    return table[text.upper()]


def _failed(error: t.Any, unsupported: str, text: str) -> Exception:
    """The exception for an NVML error: a warning when not supported, else `text: reason`."""
    if error.value == nv.NVML_ERROR_NOT_SUPPORTED:
        return Warned(unsupported)
    return errors.SmiError(errors.exit_code(error.value), f"{text}: {words(error)}")


def _persistence(text: str) -> Change:
    mode = _number(text, ON_OFF, "persistence mode")
    word = "Enabled" if mode else "Disabled"

    def change(gpu: targets.Gpu) -> None:
        try:
            if nv.nvmlDeviceGetPersistenceMode(gpu.handle) == mode:
                print(f"Persistence mode is already {word} for GPU {gpu.pci}.")
                return
            nv.nvmlDeviceSetPersistenceMode(gpu.handle, mode)
        except nv.NVMLError as error:
            unsupported = f"Setting persistence mode is not supported for GPU {gpu.pci} on this platform."
            raise _failed(error, unsupported, f"Unable to set persistence mode for GPU {gpu.pci}") from error
        print(f"{word} persistence mode for GPU {gpu.pci}.")

    return change


def _ecc(text: str) -> Change:
    mode = _number(text, ON_OFF, "ECC configuration code")
    word = "Enabled" if mode else "Disabled"

    def change(gpu: targets.Gpu) -> None:
        try:
            if nv.nvmlDeviceGetPendingEccMode(gpu.handle) == mode:
                print(f"ECC support is already {word} for GPU {gpu.pci}.")
                return
            nv.nvmlDeviceSetEccMode(gpu.handle, mode)
        except nv.NVMLError as error:
            unsupported = f"ECC features not supported for GPU {gpu.pci}."
            raise _failed(error, unsupported, f"Unable to set ECC config for GPU {gpu.pci}") from error
        print(f"{word} ECC support for GPU {gpu.pci}.")

    return change


def _ecc_counts(text: str) -> Change:
    kind = _number(text, {"0": 0, "VOLATILE": 0, "1": 1, "AGGREGATE": 1}, "ECC type")

    def change(gpu: targets.Gpu) -> None:
        try:
            nv.nvmlDeviceClearEccErrorCounts(gpu.handle, kind)
        except nv.NVMLError as error:
            unsupported = f"Clearing ECC errors is not supported for GPU {gpu.pci}."
            raise _failed(error, unsupported, f"Unable to clear ECC errors for GPU {gpu.pci}") from error
        print("Reset {} ECC errors to zero for GPU {}.".format(("volatile", "aggregate")[kind], gpu.pci))

    return change


def _compute(text: str) -> Change:
    mode = _number(text, COMPUTE, "compute mode")
    if mode == 1:
        raise errors.usage("Exclusive_Thread was deprecated! Use value 3:Exclusive_Process instead.")
    word = COMPUTE_NAMES[mode]

    def change(gpu: targets.Gpu) -> None:
        try:
            if nv.nvmlDeviceGetComputeMode(gpu.handle) == mode:
                print(f"Compute mode is already set to {word} for GPU {gpu.pci}.")
                return
            nv.nvmlDeviceSetComputeMode(gpu.handle, mode)
        except nv.NVMLError as error:
            unsupported = f"Setting compute mode to {word} is not supported."
            raise _failed(error, unsupported, f"Unable to set the compute mode for GPU {gpu.pci}") from error
        print(f"Set compute mode to {word} for GPU {gpu.pci}.")

    return change


def _power(text: str) -> Change:
    try:
        watts = float(text)
    except ValueError:
        raise errors.usage(f"Invalid power limit: {text}") from None

    def change(gpu: targets.Gpu) -> None:
        try:
            low, high = nv.nvmlDeviceGetPowerManagementLimitConstraints(gpu.handle)
            before = nv.nvmlDeviceGetPowerManagementLimit(gpu.handle)
            if not low <= watts * 1000 <= high:
                allowed = f"between {low / 1000:.2f} W and {high / 1000:.2f} W for GPU {gpu.pci}"
                raise errors.usage(
                    f"Provided power limit {watts:.2f} W is not a valid power limit which should be {allowed}"
                )
            nv.nvmlDeviceSetPowerManagementLimit(gpu.handle, int(watts * 1000))
        except nv.NVMLError as error:
            unsupported = f"Changing power management limit is not supported for GPU: {gpu.pci}."
            raise _failed(error, unsupported, f"Failed to set power management limit for GPU {gpu.pci}") from error
        print(f"Power limit for GPU {gpu.pci} was set to {watts:.2f} W from {before / 1000:.2f} W.")

    return change


def _mig(text: str) -> Change:
    mode = _number(text, ON_OFF, "MIG Mode")
    word = "enable" if mode else "disable"

    def change(gpu: targets.Gpu) -> None:
        try:
            status = nv.nvmlDeviceSetMigMode(gpu.handle, mode)
        except nv.NVMLError as error:
            said = f"Unable to {word} MIG Mode for GPU {gpu.pci}"
            raise _failed(error, f"{said}: {words(error)}", said) from error
        if status == nv.NVML_SUCCESS:
            print(f"{word.capitalize()}d MIG Mode for GPU {gpu.pci}")
            return
        # A guest without reset is told "Not Supported" although NVML's status is RESET_REQUIRED.
        hidden = status == nv.NVML_ERROR_RESET_REQUIRED and _is_guest(gpu)
        why = nv.nvmlErrorString(nv.NVML_ERROR_NOT_SUPPORTED if hidden else status)
        print(f"Warning: MIG mode is in pending {word} state for GPU {gpu.pci}:{why}")
        if status == nv.NVML_ERROR_IN_USE:
            print(
                f"{gpu.pci} is currently being used by one or more other processes (e.g. CUDA application or a "
                "monitoring application such as another instance of nvidia-smi). Please first kill all processes using "
                "the device and retry the command or reboot the system to make MIG mode effective."
            )
        else:
            print(f"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU {gpu.pci}")

    return change


def _is_guest(gpu: targets.Gpu) -> bool:
    try:
        mode = nv.nvmlDeviceGetVirtualizationMode(gpu.handle)
    except nv.NVMLError:
        return False
    return bool(mode == nv.NVML_GPU_VIRTUALIZATION_MODE_PASSTHROUGH)


def _clocks(name: str) -> t.Callable[[str], Change]:
    def later(text: str) -> Change:
        from nvsmi import clocks

        return clocks.CHANGES[name](text)

    return later


CHANGES: t.Dict[str, t.Callable[[str], Change]] = {
    "-pm": _persistence, "-e": _ecc, "-p": _ecc_counts, "-c": _compute, "-pl": _power, "-mig": _mig,
    "-lgc": _clocks("-lgc"), "-rgc": _clocks("-rgc"), "-lmc": _clocks("-lmc"), "-rmc": _clocks("-rmc"),
    "-ac": _clocks("-ac"), "-rac": _clocks("-rac"),
}  # fmt: skip
