# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The port for commands. PRIVATE to the collection.

Cores get a `Run`: modules hand in AnsibleModule.run_command in this shape (`_module`), the agent and tests use
`SubprocessRun`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import typing as t

NOT_FOUND = 127  # the program does not exist, as a shell says it
TIMED_OUT = 124  # no end within the timeout, as timeout(1) says it

Completed = t.Tuple[int, str, str]  # exit code, standard output, standard error


class Run(t.Protocol):
    """Starts one program and waits for it. `timeout` is in seconds; see NOT_FOUND and TIMED_OUT for what has no
    exit code of its own. A program that a signal ended has that signal's number as negative code."""

    def __call__(
        self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Optional[str] = None
    ) -> Completed: ...


class SubprocessRun:
    """`Run` on subprocess, with messages in the C locale.

    `environment` is laid over the process's own.
    """

    def __init__(self, environment: t.Optional[t.Mapping[str, str]] = None) -> None:
        self._environment = dict(environment or {})

    def __call__(
        self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Optional[str] = None
    ) -> Completed:
        try:
            # This is the port for commands: cores and the node agent have no AnsibleModule, run_command no deadline.
            child = subprocess.Popen(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", **self._environment},
                # A session of its own, so that all of it can be ended when it does not answer.
                start_new_session=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            return NOT_FOUND, "", f"{argv[0]}: {error.strerror}"
        try:
            out, err = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            return TIMED_OUT, "", _give_up(child, argv, timeout)
        return child.returncode, out, err


def _give_up(child: subprocess.Popen[str], argv: t.Sequence[str], timeout: t.Optional[float]) -> str:
    """Ends what we started. A program in D state cannot be ended and is left alone, not waited for."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    try:
        child.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return f"{argv[0]} (PID {child.pid}) did not answer within {timeout:g} s and cannot be ended"
    finally:
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return f"{argv[0]} did not answer within {timeout:g} s and was ended"
