# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""-q: everything about the GPUs, in sections, or with -d only the chosen sections."""

from __future__ import annotations

import time
import typing as t

from nvsmi import errors, full_mig, options, sections, sections_errors, targets
from nvsmi.binding import nv
from nvsmi.sections import Line
from nvsmi.summary import cuda_version

BANNER = "\n==============NVSMI LOG==============\n"
Section = t.Callable[[t.Any], t.List[Line]]
# In the order in which the real command prints them; the second word is the -d section it belongs to.
ORDER: t.Tuple[t.Tuple[Section, str], ...] = (
    (sections.product, ""),
    (full_mig.mode, ""),
    (full_mig.devices, ""),
    (sections.identity, ""),
    (sections.recovery, "RESET_STATUS"),
    (sections.pci, ""),
    (sections.performance, "PERFORMANCE"),
    (sections.memory, "MEMORY"),
    (sections.compute, "COMPUTE"),
    (sections.utilization, "UTILIZATION"),
    (sections_errors.ecc, "ECC"),
    (sections_errors.retirement, "PAGE_RETIREMENT"),
    (sections_errors.remapper, "ROW_REMAPPER"),
    (sections.temperature, "TEMPERATURE"),
    (sections.power, "POWER"),
    (sections.clocks, "CLOCK"),
    (sections.voltage, "VOLTAGE"),
    (sections.fabric, ""),
    (full_mig.process_list, "PIDS"),
)
# Printed only when asked for by name.
EXTRA: t.Dict[str, Section] = {"SUPPORTED_CLOCKS": sections.supported_clocks}


def main(wish: options.Wish) -> int:
    """Print the log; a lost GPU is named in its place and gives its code."""
    wanted = _wanted(wish.get("-d"))
    gpus = targets.select(wish.get("-i"))
    print(BANNER)
    _print((0, "Timestamp", time.strftime("%a %b %e %H:%M:%S %Y")))
    _print((0, "Driver Version", nv.nvmlSystemGetDriverVersion()))
    _print((0, "CUDA Version", cuda_version()))
    print()
    _print((0, "Attached GPUs", nv.nvmlDeviceGetCount()))
    code = errors.OK
    for gpu in gpus:
        if gpu.handle is None:
            print(gpu.lost_text)
            code = errors.exit_code(gpu.why.value)
            continue
        print(f"GPU {gpu.pci}")
        for line in _lines(gpu.handle, wanted):
            _print(line)
        print()
    return code


def _wanted(text: t.Optional[str]) -> t.Optional[t.Set[str]]:
    if text is None:
        return None
    known = {name for _section, name in ORDER if name} | set(EXTRA)
    wanted = {word.strip().upper() for word in text.split(",")}
    if not wanted <= known:
        raise errors.usage("Failed to parse --display/-d flags")
    return wanted


def _lines(handle: t.Any, wanted: t.Optional[t.Set[str]]) -> t.Iterator[Line]:
    for section, name in ORDER:
        if wanted is None or name in wanted:
            yield from section(handle)
    for name, section in EXTRA.items():
        if wanted is not None and name in wanted:
            yield from section(handle)


def _print(line: Line) -> None:
    """One line `    Name     : value`: the colon stands in the same column at every depth."""
    depth, name, found = line
    indented = " " * (4 * depth) + name
    print(indented if found is sections.TITLE else "%-41s : %s" % (indented, "N/A" if found is None else found))
