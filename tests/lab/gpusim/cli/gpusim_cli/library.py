# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the simulator's shared object and speak to its control function."""

from __future__ import annotations

import ctypes
import json
import os
import typing as t

SONAME = "libnvidia-ml.so.1"
# Room for `show` of 16 GPUs with all instances and processes.
OUT_BYTES = 4 * 1024 * 1024


class ControlError(Exception):
    """The simulator refused a command. `code` is the NVML return code, `str()` its one sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class LibraryMissing(Exception):
    """No usable simulator library was found."""


def candidates() -> t.List[str]:
    """Where the library may be, best first: the environment, beside this package, then the loader's own search."""
    here = os.path.dirname(os.path.realpath(__file__))
    named = os.environ.get("GPUSIM_LIBRARY")
    if named:
        return [named]
    beside = [os.path.join(folder, SONAME) for folder in (here, os.path.dirname(here))]
    return [path for path in beside if os.path.exists(path)] + [SONAME]


def load() -> ctypes.CDLL:
    """The loaded library with a typed `gpusim_control`, or LibraryMissing with what was tried."""
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise LibraryMissing("cannot load %s (%s); set GPUSIM_LIBRARY to the simulator's library" % (path, error))
        try:
            library.gpusim_control.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
        except AttributeError:
            raise LibraryMissing("%s is not the simulator: it has no gpusim_control" % path)
        library.gpusim_control.restype = ctypes.c_int
        return library
    raise LibraryMissing("no %s found" % SONAME)


def control(words: t.Sequence[str], library: t.Optional[ctypes.CDLL] = None) -> t.Any:
    """Send one command (its words must hold no white space) and return the decoded JSON answer, or None."""
    for word in words:
        if not word or word.split() != [word]:
            raise ControlError(2, "a value may not be empty or hold white space: %r" % word)
    out = ctypes.create_string_buffer(OUT_BYTES)
    code = (library or load()).gpusim_control(" ".join(words).encode(), out, OUT_BYTES)
    text = out.value.decode(errors="replace").strip()
    if code != 0:
        raise ControlError(code, text or "refused with code %d" % code)
    return json.loads(text) if text else None
