# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The child process that holds NVML, seen from its parent. PRIVATE to the collection.

NVML can hang for ever in a driver call, and no thread can be freed from that. So every call runs in a forked child; its
parent waits with a deadline, kills the child on expiry and does not wait for one that the kernel cannot end.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import struct
import time
import typing as t

from .._errors import GpuHungError, InternalError, SessionDiedError
from .pulse import Beat, Pulse

LENGTH = struct.Struct("=Q")
# A request of many calls may take this many deadlines together, so that a GPU that answers each call late ends too.
REQUEST_DEADLINES = 4
# How long an ended or killed child may take to go away before it is left alone (it is then in D state).
REAP_SECONDS = 2.0

Serve = t.Callable[[int, int, Pulse], None]

# Killed children that the kernel had not ended when we looked last; collected when they have gone, never waited for.
_LEFT_ALONE: t.Set[int] = set()


class Child:
    """A running child. `ask` raises GpuHungError or SessionDiedError, and then the child is gone (`alive` is False)."""

    def __init__(self, serve: Serve, deadline: float) -> None:
        self.deadline = deadline
        self.pulse = Pulse()
        self._requests, self._answers, self._pid = _start(serve, self.pulse)

    @property
    def alive(self) -> bool:
        return self._pid > 0

    def ask(self, method: str, *args: t.Any) -> t.Any:
        """The child's answer to one request: (value or AccelError, NVML calls it took by name)."""
        self.pulse.beat(method)
        try:
            _write(self._requests, pickle.dumps((method, args)))
            return self._receive(method)
        except (BrokenPipeError, EOFError):
            raise self._died() from None

    def close(self) -> None:
        """End the child in good order; kill it where it does not go."""
        if not self.alive:
            return
        os.close(self._requests)
        self._requests = -1
        if self._reap(min(self.deadline, REAP_SECONDS)) is None:
            self._kill()
        self._release()

    def _receive(self, method: str) -> t.Any:
        started = time.monotonic()
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        buffer = b""
        wanted = LENGTH.size
        while len(buffer) < wanted:
            if not poll.poll(self._patience(method, started) * 1000):
                continue
            chunk = os.read(self._answers, 1 << 20)
            if not chunk:
                raise EOFError
            buffer += chunk
            if len(buffer) >= LENGTH.size:
                wanted = LENGTH.size + LENGTH.unpack(buffer[: LENGTH.size])[0]
        return pickle.loads(buffer[LENGTH.size :])

    def _patience(self, method: str, started: float) -> float:
        """Seconds until the next look; raises GpuHungError when the patience is over."""
        now = time.monotonic()
        beat = self.pulse.read()
        whole = self.deadline * REQUEST_DEADLINES
        call_left = beat.started + self.deadline - now
        if call_left <= 0:
            raise self._hung(beat, f"{beat} did not answer within {self.deadline:g} s")
        if started + whole <= now:
            raise self._hung(beat, f"{method} did not finish within {whole:g} s, the last call was {beat}")
        return max(min(call_left, started + whole - now), 0.001)

    def _hung(self, beat: Beat, text: str) -> GpuHungError:
        self._kill()
        self._release()
        remedy = "the GPU or its driver hangs: see the kernel log for an Xid, drain the node and reboot it"
        return GpuHungError(
            f"{text}; {remedy}", call=beat.call, gpu=beat.gpu or None, gpu_index=beat.gpu_index, deadline=self.deadline
        )

    def _died(self) -> SessionDiedError:
        beat = self.pulse.read()
        how = _how(self._reap(REAP_SECONDS))
        self._kill()
        self._release()
        text = f"the process that held the NVML session ended ({how}) in {beat}"
        remedy = "see the kernel log of the node; run again, and report it with that log if it comes back"
        return SessionDiedError(
            f"{text}; {remedy}", call=beat.call, gpu=beat.gpu or None, gpu_index=beat.gpu_index, signal=how
        )

    def _kill(self) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap(REAP_SECONDS)

    def _reap(self, seconds: float) -> t.Optional[int]:
        """Wait status of the child, None while it still runs after `seconds`. Never blocks longer than that."""
        end = time.monotonic() + seconds
        pause = 0.0005
        while True:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                # Somebody else collected it (a SIGCHLD handler, or SIGCHLD ignored): it is gone, how is unknown.
                self._pid = -1
                return -1
            if pid:
                self._pid = -1
                return status
            if time.monotonic() >= end:
                return None
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _release(self) -> None:
        for fd in (self._requests, self._answers):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        if self.alive:
            _LEFT_ALONE.add(self._pid)
        self._requests = self._answers = self._pid = -1
        self.pulse.close()


def _start(serve: Serve, pulse: Pulse) -> t.Tuple[int, int, int]:
    """(request pipe's write end, answer pipe's read end, pid)."""
    _collect()
    request_out, request_in = os.pipe()
    answer_out, answer_in = os.pipe()
    pulse.beat("start")
    pid = os.fork()
    if pid:
        os.close(request_out)
        os.close(answer_in)
        return request_in, answer_out, pid
    try:
        _become_child((request_out, answer_in))
        serve(request_out, answer_in, pulse)
    finally:
        # Never return into the caller's stack: it would run the module a second time.
        os._exit(0)


def _collect() -> None:
    for pid in tuple(_LEFT_ALONE):
        try:
            gone = os.waitpid(pid, os.WNOHANG)[0]
        except ChildProcessError:
            gone = pid
        if gone:
            _LEFT_ALONE.discard(pid)


def _become_child(keep: t.Tuple[int, int]) -> None:
    # A child in D state outlives the module. It must not hold Ansible's connection (standard streams) nor a lock
    # file open, so everything but its own two pipes is closed.
    for name in ("SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    # Ctrl-C reaches the whole process group; the parent decides, a create or destroy under way is finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _write(fd: int, data: bytes) -> None:
    view = memoryview(LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def answer(fd: int, value: t.Any) -> None:
    """Child side: send one answer."""
    try:
        data = pickle.dumps(value)
    except Exception as error:
        data = pickle.dumps(InternalError(f"an answer of the NVML session cannot be sent: {error}"))
    _write(fd, data)


def next_request(fd: int) -> t.Optional[t.Tuple[str, t.Tuple[t.Any, ...]]]:
    """Child side: (method, arguments), None at the end."""
    head = _read(fd, LENGTH.size)
    if head is None:
        return None
    body = _read(fd, LENGTH.unpack(head)[0])
    return None if body is None else pickle.loads(body)


def _read(fd: int, size: int) -> t.Optional[bytes]:
    data = b""
    while len(data) < size:
        chunk = os.read(fd, size - len(data))
        if not chunk:
            return None
        data += chunk
    return data


def _how(status: t.Optional[int]) -> str:
    if status is None or status == -1:
        return "cause unknown"
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit status {os.WEXITSTATUS(status)}"
