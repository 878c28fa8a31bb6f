# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of clocks: locked GPU and memory clocks, applications clocks, and their resets."""

from __future__ import annotations

import typing as t

from nvsmi import errors, targets
from nvsmi.binding import nv, words
from nvsmi.modify import CLOCKS_HINT, Change, Warned


class Clock(t.NamedTuple):
    """One kind of clock pair: pynvml's set and reset calls and the texts around it."""

    set_call: str
    reset_call: str
    hint: str  # what a wrong value is told
    single: bool  # one number is taken for both
    pair: str  # how a pair is printed
    done: str
    unsupported: str


GPU_LOCK = Clock(
    "nvmlDeviceSetGpuLockedClocks",
    "nvmlDeviceResetGpuLockedClocks",
    "Please format input as 'gpuClkMin,gpuClkMax' or 'gpuClkVal' e.g. '--lock-gpu-clocks=1500,1500', "
    "'--lock-gpu-clocks=1500', or '--lock-gpu-clocks=tdp,unlimited'",
    True,
    '"(gpuClkMin %u, gpuClkMax %u)"',
    "GPU clocks set to %s for GPU %s",
    "Setting locked GPU clocks is not supported for GPU %s.",
)
MEMORY_LOCK = Clock(
    "nvmlDeviceSetMemoryLockedClocks",
    "nvmlDeviceResetMemoryLockedClocks",
    "Please format input as 'memClkMin,memClkMax' or 'memClkVal' e.g. --lock-memory-clocks=5100,5100 or "
    "--lock-memory-clocks=5100",
    True,
    '"(memClkMin %u, memClkMax %u)"',
    "Memory clocks set to %s for GPU %s",
    "Setting locked Memory clocks is not supported for GPU %s.",
)
APPLICATIONS = Clock(
    "nvmlDeviceSetApplicationsClocks",
    "nvmlDeviceResetApplicationsClocks",
    "Please format input as memClk,smClk e.g. --applications-clocks=2000,300",
    False,
    '"(MEM %u, SM %u)"',
    "Applications clocks set to %s for GPU %s",
    "Setting applications clocks is not supported for GPU %s.",
)


def _setter(clock: Clock) -> t.Callable[[str], Change]:
    def parse(text: str) -> Change:
        pieces = text.split(",")
        if not all(piece.isdigit() for piece in pieces) or len(pieces) > 2 or (len(pieces) == 1 and not clock.single):
            raise errors.usage(f'Specified clocks "{text}" are not valid. {clock.hint}')
        first, second = int(pieces[0]), int(pieces[-1])

        def change(gpu: targets.Gpu) -> None:
            shown = clock.pair % (first, second)
            try:
                getattr(nv, clock.set_call)(gpu.handle, first, second)
            except nv.NVMLError as error:
                raise _set_error(clock, error, shown, gpu) from error
            print(clock.done % (shown, gpu.pci))

        return change

    return parse


def _set_error(clock: Clock, error: t.Any, shown: str, gpu: targets.Gpu) -> Exception:
    if error.value == nv.NVML_ERROR_NOT_SUPPORTED:
        return Warned(clock.unsupported % gpu.pci)
    if error.value == nv.NVML_ERROR_INVALID_ARGUMENT:
        return Warned(f"Specified clock combination {shown} is not supported for GPU {gpu.pci}. {CLOCKS_HINT}")
    if error.value == nv.NVML_ERROR_NO_PERMISSION:
        text = f"The current user does not have permission to change clocks for GPU {gpu.pci}."
        return errors.SmiError(errors.NO_PERMISSION, text)
    return errors.SmiError(
        errors.exit_code(error.value), f"Unable to set clocks {shown} for GPU {gpu.pci}: {words(error)}"
    )


def _resetter(clock: Clock) -> t.Callable[[str], Change]:
    def parse(_text: str) -> Change:
        def change(gpu: targets.Gpu) -> None:
            try:
                getattr(nv, clock.reset_call)(gpu.handle)
            except nv.NVMLError as error:
                raise _set_error(clock, error, "", gpu) from error

        return change

    return parse


CHANGES: t.Dict[str, t.Callable[[str], Change]] = {
    "-lgc": _setter(GPU_LOCK), "-rgc": _resetter(GPU_LOCK), "-lmc": _setter(MEMORY_LOCK),
    "-rmc": _resetter(MEMORY_LOCK), "-ac": _setter(APPLICATIONS), "-rac": _resetter(APPLICATIONS),
}  # fmt: skip
