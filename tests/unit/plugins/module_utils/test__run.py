# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time

from ansible_collections.accel.gpu.plugins.module_utils._run import NOT_FOUND, TIMED_OUT, SubprocessRun


def test_code_output_and_error_of_a_program():
    code, out, err = SubprocessRun()(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (code, out, err) == (3, "out\n", "err\n")


def test_standard_input_is_given_or_empty():
    assert SubprocessRun()(["cat"], stdin="words") == (0, "words", "")
    assert SubprocessRun()(["cat"]) == (0, "", "")


def test_a_missing_program_is_told_by_its_code():
    code, out, err = SubprocessRun()(["no-such-program-here", "x"])
    assert (code, out, err) == (NOT_FOUND, "", "no-such-program-here: No such file or directory")


def test_messages_are_in_the_c_locale_and_the_environment_is_laid_over():
    code, out, _err = SubprocessRun({"WORD": "x"})(["sh", "-c", "echo $LC_ALL $WORD"])
    assert (code, out) == (0, "C x\n")


def test_on_expiry_the_program_and_its_children_are_ended(tmp_path):
    note = tmp_path / "pid"
    start = time.monotonic()
    code, _out, err = SubprocessRun()(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], timeout=0.3)
    assert (code, err) == (TIMED_OUT, "sh did not answer within 0.3 s and was ended")
    assert time.monotonic() - start < 5
    pid = int(note.read_text())
    end = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and _state(pid) != "Z" and time.monotonic() < end:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}") or _state(pid) == "Z"


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as handle:
            return handle.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
