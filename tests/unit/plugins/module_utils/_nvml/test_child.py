# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The child process and its deadlines, with requests that hang, die and overflow; real processes, no NVML."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import GpuHungError, SessionDiedError
from ansible_collections.accel.gpu.plugins.module_utils._nvml import child as child_module
from ansible_collections.accel.gpu.plugins.module_utils._nvml.child import Child, answer, next_request

GPU = "0000:3b:00.0"


def hang(pulse):
    pulse.beat("nvmlDeviceGetName", GPU, 3)
    time.sleep(3600)


def drip(pulse):
    """Each call is in time, together they never end."""
    for number in range(10**6):
        pulse.beat(f"call{number}", GPU, 3)
        time.sleep(0.02)


def die(pulse):
    pulse.beat("nvmlDeviceGetName", GPU, 3)
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(pulse):
    os._exit(3)


def facts(pulse):
    fds = sorted(os.listdir("/proc/self/fd"), key=int)
    # The last one is that of the listing itself.
    targets = [os.readlink(f"/proc/self/fd/{fd}") for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")]
    return {
        "targets": targets,
        "group": os.getpgid(0),
        "interrupt": signal.getsignal(signal.SIGINT),
        "pid": os.getpid(),
    }


METHODS = {"hang": hang, "drip": drip, "die": die, "leave": leave, "facts": facts}


def serve(requests, answers, pulse):
    while True:
        request = next_request(requests)
        if request is None:
            return
        method, args = request
        answer(answers, METHODS[method](pulse) if method in METHODS else (method, args))


@pytest.fixture
def child():
    fds = sorted(os.listdir("/proc/self/fd"))
    started = Child(serve, deadline=0.3)
    pid = started._pid
    yield started
    started.close()
    assert sorted(os.listdir("/proc/self/fd")) == fds, "a descriptor leaked"
    assert gone(pid), "a process was left"


def gone(pid):
    """Not even a zombie is there."""
    return not os.path.exists(f"/proc/{pid}")


def test_it_answers_more_than_a_pipe_holds():
    big = "x" * 5_000_000
    patient = Child(serve, deadline=30)  # five megabytes take their time on a busy machine
    try:
        assert patient.ask("echo", big) == ("echo", (big,))
        assert patient.ask("again") == ("again", ())
    finally:
        patient.close()


def test_an_answer_that_cannot_be_sent_is_an_error_not_a_hang(child):
    METHODS["unsendable"] = lambda pulse: lambda: None
    try:
        fresh = Child(serve, 1)
        assert "cannot be sent" in fresh.ask("unsendable").message
        fresh.close()
    finally:
        del METHODS["unsendable"]


def test_a_call_that_hangs_is_named_with_its_gpu(child):
    before = time.monotonic()
    with pytest.raises(GpuHungError) as caught:
        child.ask("hang")
    assert 0.25 < time.monotonic() - before < 2
    assert caught.value.message.startswith(f"nvmlDeviceGetName on GPU {GPU} did not answer within 0.3 s; ")
    assert caught.value.facts == {"call": "nvmlDeviceGetName", "gpu": GPU, "gpu_index": 3, "deadline": 0.3}
    assert not child.alive


def test_calls_that_are_each_in_time_end_too(child):
    before = time.monotonic()
    with pytest.raises(GpuHungError) as caught:
        child.ask("drip")
    assert time.monotonic() - before < 3
    assert "drip did not finish within 1.2 s, the last call was call" in caught.value.message


def test_a_child_that_dies_names_signal_and_call(child):
    with pytest.raises(SessionDiedError) as caught:
        child.ask("die")
    assert f"ended (SIGSEGV) in nvmlDeviceGetName on GPU {GPU}" in caught.value.message
    assert caught.value.facts["signal"] == "SIGSEGV"


def test_a_child_that_exits_is_no_hang(child):
    with pytest.raises(SessionDiedError, match="exit status 3"):
        child.ask("leave")


def test_the_next_request_finds_it_dead(child):
    os.kill(child._pid, signal.SIGKILL)
    with pytest.raises(SessionDiedError, match="SIGKILL"):
        child.ask("echo")


@pytest.mark.parametrize("method", ["leave", "die"])
def test_somebody_else_may_collect_children(method, monkeypatch):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        child = Child(serve, 1)
        with pytest.raises(SessionDiedError, match="cause unknown"):
            child.ask(method)
        other = Child(serve, 1)
        assert other.ask("echo") == ("echo", ())
        other.close()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_it_holds_nothing_of_the_parent(child, tmp_path):
    """A child in D state outlives the module: it must hold neither a lock nor Ansible's connection."""
    with open(tmp_path / "lock", "w", encoding="utf-8") as lock:
        os.set_inheritable(lock.fileno(), True)
        fresh = Child(serve, 1)
        seen = fresh.ask("facts")
        fresh.close()
    names = [target for target in seen["targets"] if not target.startswith("/proc/")]
    assert names[:3] == ["/dev/null"] * 3
    assert {name.split(":")[0] for name in names[3:]} <= {"pipe", "/dev/null"}
    assert len(names) <= 6
    # It dies with the module's process group and leaves Ctrl-C to the parent.
    assert seen["group"] == os.getpgid(0)
    assert seen["interrupt"] == signal.SIG_IGN


def test_a_child_that_does_not_go_is_left_alone_and_collected_later(monkeypatch):
    """SIGKILL does not end a process in D state; here kill does nothing at first."""
    monkeypatch.setattr(child_module, "REAP_SECONDS", 0.05)
    child = Child(serve, 0.1)
    pid = child._pid
    real = os.kill
    monkeypatch.setattr(child_module.os, "kill", lambda *args: None)
    before = time.monotonic()
    with pytest.raises(GpuHungError):
        child.ask("hang")
    assert time.monotonic() - before < 1
    assert not gone(pid)
    real(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while not gone(pid) and time.monotonic() < deadline:
        with contextlib.suppress(GpuHungError):
            Child(serve, 1).close()
        time.sleep(0.01)
    assert gone(pid)


ORPHAN = """
import os, sys
from ansible_collections.accel.gpu.plugins.module_utils._nvml.child import Child, answer, next_request
def serve(requests, answers, pulse):
    while True:
        request = next_request(requests)
        if request is None:
            return
        answer(answers, os.getpid())
print(Child(serve, 5).ask("pid"), flush=True)
os._exit(0)
"""


def test_it_ends_when_its_parent_is_gone():
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=20, check=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(pid)


def running(pid):
    """A zombie that a foreign init has not collected yet has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
