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
# Room for most answers; the library names a larger size when it needs one.
OUT_BYTES = 256 * 1024
# Return codes of gpusim_control, see include/gpusim.h.
OK, FAILED, TOO_SMALL = 0, 1, 2


class ControlError(Exception):
    """The simulator refused a command. `code` is gpusim_control's, `str()` its one sentence."""

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
    parent = os.path.dirname(here)
    beside = [os.path.join(folder, SONAME) for folder in (here, parent, os.path.join(parent, "lib"))]
    return [path for path in beside if os.path.exists(path)] + [SONAME]


def load() -> ctypes.CDLL:
    """The loaded library with a typed `gpusim_control`, or LibraryMissing with what was tried."""
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise LibraryMissing(
                f"cannot load {path} ({error}); set GPUSIM_LIBRARY to the simulator's library"
            ) from error
        try:
            library.gpusim_control.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
        except AttributeError:
            raise LibraryMissing(f"{path} is not the simulator: it has no gpusim_control") from None
        library.gpusim_control.restype = ctypes.c_int
        return library
    raise LibraryMissing(f"no {SONAME} found")


def quoted(word: str) -> str:
    """A word as the control interface reads it: in double quotes when it holds a blank."""
    if '"' in word or any(char in word for char in "\n\r\0"):
        raise ControlError(FAILED, f"a value may not hold a double quote or a line break: {word!r}")
    return f'"{word}"' if " " in word or "\t" in word or not word else word


def control(words: t.Sequence[str], library: t.Optional[ctypes.CDLL] = None) -> t.Any:
    """Send one command and return the decoded JSON answer. Raises ControlError with the simulator's sentence."""
    command = " ".join(quoted(word) for word in words).encode()
    loaded = library or load()
    room = OUT_BYTES
    while True:
        out = ctypes.create_string_buffer(room)
        code = loaded.gpusim_control(command, out, room)
        text = out.value.decode(errors="replace").strip()
        if code == OK:
            return json.loads(text)
        if code != TOO_SMALL:
            raise ControlError(code, text or f"refused with code {code}")
        room = int(text)
