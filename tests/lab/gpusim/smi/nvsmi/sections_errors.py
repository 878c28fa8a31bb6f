# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sections of -q about memory errors: ECC counters, retired pages, remapped rows."""

from __future__ import annotations

import typing as t

from nvsmi.binding import nv, value
from nvsmi.sections import TITLE, Line, block, read

ECC_WORDS = {"Correctable": "corrected", "Uncorrectable": "uncorrected"}


def ecc(handle: t.Any) -> t.List[Line]:
    lines = block("ECC Mode", handle, ("Current", "ecc.mode.current"), ("Pending", "ecc.mode.pending"))
    lines.append((1, "ECC Errors", TITLE))
    for span in ("Volatile", "Aggregate"):
        lines.append((2, span, TITLE))
        for place in ("SRAM", "DRAM"):
            for word in ECC_WORDS:
                key = f"ecc.errors.{ECC_WORDS[word]}.{span.lower()}.{place.lower()}"
                lines.append((3, f"{place} {word}", read(key, handle)))
    return lines


def retirement(handle: t.Any) -> t.List[Line]:
    return block(
        "Retired Pages",
        handle,
        ("Single Bit ECC", "retired_pages.single_bit_ecc.count"),
        ("Double Bit ECC", "retired_pages.double_bit.count"),
        ("Pending Page Blacklist", "retired_pages.pending"),
    )


def remapper(handle: t.Any) -> t.List[Line]:
    rows = value(nv.nvmlDeviceGetRemappedRows, handle)
    if rows is None:
        return [(1, "Remapped Rows", None)]
    histogram = value(nv.nvmlDeviceGetRowRemapperHistogram, handle)
    lines: t.List[Line] = [
        (1, "Remapped Rows", TITLE),
        (2, "Correctable Error", rows[0]),
        (2, "Uncorrectable Error", rows[1]),
        (2, "Pending", "Yes" if rows[2] else "No"),
        (2, "Remapping Failure Occurred", "Yes" if rows[3] else "No"),
    ]
    if histogram is not None:
        lines.append((2, "Bank Remap Availability Histogram", TITLE))
        for word in ("Max", "High", "Partial", "Low", "None"):
            lines.append((3, word, "%d bank(s)" % getattr(histogram, word.lower())))
    return lines
