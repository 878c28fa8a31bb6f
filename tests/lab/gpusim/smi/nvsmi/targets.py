# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The GPUs of the node and what -i selects: an enumeration index, a UUID or a PCI bus ID."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nvsmi import errors
from nvsmi.binding import nv, text, value, words


@dataclass
class Gpu:
    """One GPU: `handle` is None when NVML gave none, then `why` is the NVML error."""

    index: int
    handle: t.Any
    pci: str
    why: t.Any = None

    @property
    def lost_text(self) -> str:
        place = f": {self.pci}" if self.pci else ""
        return "Unable to determine the device handle for GPU%d%s: %s" % (self.index, place, words(self.why))


def bus_id(handle: t.Any) -> str:
    """PCI bus ID as the command prints it: 00000000:3B:00.0."""
    return text(nv.nvmlDeviceGetPciInfo(handle).busId).upper()


def all_gpus() -> t.List[Gpu]:
    """Every GPU that NVML counts, lost ones included."""
    return [_gpu(index) for index in range(nv.nvmlDeviceGetCount())]


def _gpu(index: int) -> Gpu:
    pci = ""
    try:
        handle = nv.nvmlDeviceGetHandleByIndex(index)
        pci = bus_id(handle)
        nv.nvmlDeviceGetName(handle)
    except nv.NVMLError as error:
        return Gpu(index, None, pci, error)
    return Gpu(index, handle, pci)


def select(wanted: t.Optional[str]) -> t.List[Gpu]:
    """The GPUs of a comma separated -i value, all without one; SmiError 6 when one matches nothing."""
    gpus = all_gpus()
    chosen = gpus if wanted is None else [_match(gpus, word.strip()) for word in wanted.split(",")]
    if not chosen:
        raise errors.SmiError(errors.NOT_FOUND, errors.NO_DEVICES_TEXT)
    return chosen


def present(wanted: t.Optional[str]) -> t.List[Gpu]:
    """As `select`, and none of them lost: a lost one ends the run with exit code 15."""
    chosen = select(wanted)
    for gpu in chosen:
        if gpu.handle is None:
            raise errors.SmiError(errors.exit_code(gpu.why.value), gpu.lost_text)
    return chosen


def _match(gpus: t.Sequence[Gpu], word: str) -> Gpu:
    for gpu in gpus:
        if word == str(gpu.index) or (gpu.pci and _same_pci(word, gpu.pci)):
            return gpu
        if gpu.handle is not None and word == value(nv.nvmlDeviceGetUUID, gpu.handle):
            return gpu
    raise errors.SmiError(errors.NOT_FOUND, errors.NO_DEVICES_TEXT)


def _same_pci(word: str, pci: str) -> bool:
    """Whether two spellings name one address: 3b:00.0, 0000:3b:00.0, 00000000:3B:00.0."""

    def parts(text: str) -> t.Optional[t.Tuple[int, ...]]:
        pieces = text.replace(".", ":").split(":")
        if len(pieces) == 3:
            pieces.insert(0, "0")
        try:
            numbers = tuple(int(piece, 16) for piece in pieces)
        except ValueError:
            return None
        return numbers if len(numbers) == 4 else None

    given = parts(word)
    return given is not None and given == parts(pci)
