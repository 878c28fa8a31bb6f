# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One NVML call at a time: heartbeat, count, error. PRIVATE to the collection.

Everything that talks to NVML goes through `Caller` (child process only). It knows no MIG and no settings.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._data.nvml_names import CODE_TEXTS, code_name
from .._errors import GpuLostError, NotRootError, NvmlError

# The value is not there: not an error when something is only read.
ABSENT = frozenset(
    (
        "NOT_SUPPORTED",
        "NOT_FOUND",
        "FUNCTION_NOT_FOUND",
        "NO_DATA",
        "ARGUMENT_VERSION_MISMATCH",
        "DEPRECATED",
        "VGPU_ECC_NOT_SUPPORTED",
    )
)
LOST = frozenset(("GPU_IS_LOST", "RESET_REQUIRED", "GPU_NOT_FOUND"))


class Caller:
    """Calls functions of a pynvml module by name.

    `beat(call, gpu, index)` is told before each call what is about to run; it must be cheap. `counts` has one number
    per function, `failures` what `get` swallowed since the last `target`.
    """

    def __init__(self, pynvml: t.Any, beat: t.Callable[[str, str, t.Optional[int]], None], root: str = "/") -> None:
        self.pynvml = pynvml
        self.root = root
        self.counts: t.Dict[str, int] = {}
        self.failures: t.List[t.Dict[str, t.Any]] = []
        self.gpu = ""
        # UUID of the current or last target, None until it is read.
        self.uuid: t.Optional[str] = None
        self._index: t.Optional[int] = None
        self._beat = beat

    @contextlib.contextmanager
    def target(self, gpu: str, index: t.Optional[int] = None) -> t.Iterator[None]:
        """Names the GPU (PCI address, or "index 3" before that is known) in errors and heartbeats."""
        before = self.gpu, self._index
        self.gpu, self.uuid, self._index, self.failures = gpu, None, index, []
        try:
            yield
        finally:
            self.gpu, self._index = before

    def name_gpu(self, gpu: str) -> None:
        """A better name for the current target."""
        self.gpu = gpu

    def __call__(self, function: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """The answer of pynvml's `function`. Raises NotRootError, GpuLostError or NvmlError."""
        code = self._code_or_answer(function, args, kwargs)
        if isinstance(code, _Code):
            raise self._error(function, code.number)
        return code

    def get(self, function: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Like a call, but None where the GPU does not offer the value; another failure is noted and gives None too.

        Raises only GpuLostError: nothing more can be read from that GPU.
        """
        answer = self._code_or_answer(function, args, kwargs)
        if not isinstance(answer, _Code):
            return answer
        name = code_name(answer.number)
        if name in LOST:
            raise self._error(function, answer.number)
        if name not in ABSENT:
            self.note(function, name)
        return None

    def offered(self, function: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Like a call, but None where the GPU does not offer it: for values that a plan rests on, where a failed read
        must not look like an absent value."""
        answer = self._code_or_answer(function, args, kwargs)
        if not isinstance(answer, _Code):
            return answer
        if code_name(answer.number) in ABSENT:
            return None
        raise self._error(function, answer.number)

    def note(self, function: str, name: str) -> None:
        """Remember that `function` failed on the current GPU."""
        if not any(failure["call"] == function for failure in self.failures):
            self.failures.append({"call": function, "code_name": name, "message": CODE_TEXTS.get(name, name)})

    def first(self, *functions: str) -> t.Optional[str]:
        """The first of these functions that this pynvml has: newer versions rename and versions differ by node."""
        return next((name for name in functions if hasattr(self.pynvml, name)), None)

    def _code_or_answer(self, function: str, args: t.Any, kwargs: t.Any) -> t.Any:
        called = getattr(self.pynvml, function, None)
        if called is None:
            return _Code(13)
        self.counts[function] = self.counts.get(function, 0) + 1
        self._beat(function, self.gpu, self._index)
        try:
            return called(*args, **kwargs)
        except self.pynvml.NVMLError as error:
            return _Code(int(error.value))
        except getattr(self.pynvml, "NVMLLibraryMismatchError", ()):
            # pynvml's own word for "the library lacks the newest form of this function"
            return _Code(13)

    def _error(self, function: str, code: int) -> Exception:
        name = code_name(code)
        where = f" on GPU {self.gpu}" if self.gpu else ""
        facts = {"call": function, "gpu": self.gpu or None, "code": code, "code_name": name}
        text = f"{function}{where} failed: {name} ({CODE_TEXTS.get(name, 'see nvml.h')})"
        if name == "NO_PERMISSION":
            return NotRootError(text + "; become root (become: true)", **facts)
        if name in LOST:
            return GpuLostError(
                text
                + "; drain the node and reset this GPU, reboot if that fails, and contact support if it comes back",
                **facts,
            )
        return NvmlError(text, **facts)


class _Code:
    """An NVML return code other than success."""

    def __init__(self, number: int) -> None:
        self.number = number
