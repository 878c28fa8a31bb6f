# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs in the session's child. PRIVATE to the collection.

A loop of request and answer over two pipes; the table `METHODS` is all that it can do.
"""

from __future__ import annotations

import os
import signal
import traceback
import typing as t

from .._errors import AccelError, InternalError
from . import load, mig, mig_write, settings, settings_write, snapshot
from .caller import Caller
from .child import REQUEST_DEADLINES, answer, next_request
from .pulse import Pulse

METHODS: t.Dict[str, t.Callable[..., t.Any]] = {
    "snapshot": snapshot.take,
    "mig_state": mig.state_of,
    "compute_profiles": mig.compute_profiles_of,
    "set_mig_mode": mig_write.set_mode,
    "create_gpu_instance": mig_write.create_gpu_instance,
    "destroy_gpu_instance": mig_write.destroy_gpu_instance,
    "create_compute_instance": mig_write.create_compute_instance,
    "destroy_compute_instance": mig_write.destroy_compute_instance,
    "settings": settings_write.settings_of,
    "restore_settings": settings_write.restore,
    "set_setting": settings_write.set_one,
    "clocks": settings.clocks_of,
}


class Server:
    """Holds NVML open between requests."""

    def __init__(self, binding: t.Optional[str], deadline: float, root: str) -> None:
        self._binding = binding
        self._root = root
        # The last resort when the parent was killed while a call hangs: nobody else would end this process.
        self._alarm = deadline * (REQUEST_DEADLINES + 1)
        self._caller: t.Optional[Caller] = None

    def __call__(self, requests: int, answers: int, pulse: Pulse) -> None:
        while True:
            request = next_request(requests)
            if request is None:
                break
            signal.setitimer(signal.ITIMER_REAL, self._alarm)
            answer(answers, self._do(pulse, *request))
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._end()

    def _do(self, pulse: Pulse, method: str, args: t.Tuple[t.Any, ...]) -> t.Any:
        try:
            caller = self._open(pulse)
            before = dict(caller.counts)
            try:
                value: t.Any = METHODS[method](caller, *args)
            except AccelError as error:
                value = error
            return value, _difference(before, caller.counts)
        except AccelError as error:
            return error, {}
        except Exception as error:
            text = f"{type(error).__name__} in the NVML session ({method}): {error}"
            return InternalError(text, traceback=traceback.format_exc()), {}

    def _open(self, pulse: Pulse) -> Caller:
        if self._caller is None:
            pulse.beat("loading of pynvml")
            pynvml = load.load(self._binding)
            load.initialise(pynvml, pulse.beat)
            self._caller = Caller(pynvml, pulse.beat, self._root)
            self._caller.counts["nvmlInit"] = 1
        return self._caller

    def _end(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._alarm)
        if self._caller is not None:
            self._caller.get("nvmlShutdown")
        os._exit(0)


def _difference(before: t.Dict[str, int], after: t.Dict[str, int]) -> t.Dict[str, int]:
    return {name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name, 0)}
