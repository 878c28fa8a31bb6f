# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import LockTimeoutError, NotRootError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._lock import Lock


@pytest.fixture
def files(tmp_path):
    return Files(str(tmp_path))


class Other:
    """Another process that holds the lock."""

    def __init__(self, files: Files, seconds: float = 60) -> None:
        ready_out, ready_in = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            Lock(files, command="accel-gpu mig apply").acquire(0)
            os.write(ready_in, b"x")
            time.sleep(seconds)
            os._exit(0)
        os.read(ready_out, 1)
        os.close(ready_out)
        os.close(ready_in)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def test_timeout_names_the_holder(files):
    other = Other(files)
    try:
        with pytest.raises(LockTimeoutError) as caught:
            Lock(files).acquire(0.2)
    finally:
        other.end()
    message = re.sub(r"since \S+Z", "since TIME", caught.value.message)
    assert message == (
        f"the node's lock /run/accel-gpu/lock is held by PID {other.pid} (accel-gpu mig apply) since TIME; waited "
        "lock_timeout=0.2 s; wait for that run to end, or allow a longer lock_timeout"
    )
    assert caught.value.facts["pid"] == other.pid


def test_a_killed_holder_leaves_no_lock(files):
    Other(files).end()
    lock = Lock(files)
    assert lock.acquire(0) < 1
    lock.release()


def test_waits_until_the_holder_ends(files):
    other = Other(files, seconds=0.4)
    lock = Lock(files)
    assert 0.1 < lock.acquire(30) < 20
    lock.release()
    os.waitpid(other.pid, 0)


def test_a_process_takes_it_once_and_gives_it_back(files):
    first, second = Lock(files), Lock(files)
    first.acquire(0)
    assert second.held and second.acquire(0) == 0
    first.release()
    assert not second.held
    Other(files).end()  # would wait for ever if it were still ours


def test_a_child_that_outlives_us_does_not_keep_it(files):
    """A session child in D state must not lock the node."""
    ready_out, ready_in = os.pipe()
    holder = os.fork()
    if holder == 0:
        Lock(files).acquire(0)
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        os.write(ready_in, str(child).encode())
        os._exit(0)
    child = int(os.read(ready_out, 16))
    os.waitpid(holder, 0)
    try:
        lock = Lock(files)
        # On a busy machine the child may not have come to letting go yet; it lives much longer than this waits.
        lock.acquire(20)
        lock.release()
    finally:
        os.kill(child, signal.SIGKILL)


def test_without_the_right_to_open_it_the_remedy_is_root(files, monkeypatch):
    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotRootError, match="/run/accel-gpu/lock cannot be opened as user id .* set become: true"):
        Lock(files).acquire(0)
