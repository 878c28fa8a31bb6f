# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Provider command: a site's own program."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import BlockedError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.draining import OURS, run


class Program:
    """A site's own program for draining."""

    def __init__(self, status):
        self.status = status
        self.called = []

    def __call__(self, argv, timeout=None, stdin=None):
        assert argv[:2] == ["/opt/drain", "--site"]
        self.called.append(argv[2:])
        if argv[2] == "drain":
            self.status = [f"drained\n{argv[4]}\n"]
        if argv[2] == "undrain":
            self.status = ["in_service\n"]
        return 0, self.status.pop(0) if len(self.status) > 1 else self.status[0], ""


def test_a_program_of_the_site():
    program = Program(["in_service\n\n\n"])
    options = {"provider": "command", "command": ["/opt/drain", "--site"]}
    assert run(program, **options)["drained_by_us"] is True
    assert run(program, state="undrained", **options)["changed"] is True
    assert program.called == [
        ["status", "s1"],
        ["drain", "s1", OURS],
        ["status", "s1"],
        ["status", "s1"],
        ["status", "s1"],
        ["undrain", "s1"],
        ["status", "s1"],
    ]


def test_a_program_names_who_works():
    program = Program([f"draining\n{OURS}\njob 1\njob 2\n", f"draining\n{OURS}\n", f"drained\n{OURS}\n"])
    result = run(program, provider="command", command=["/opt/drain", "--site"])
    assert result["actions"][0]["reason"] == "it is draining, 2 at work"
    assert result["waited"] == 10.0


def test_a_program_that_says_something_else():
    with pytest.raises(BlockedError) as error:
        run(Program(["ok\n"]), provider="command", command=["/opt/drain", "--site"])
    assert error.value.message == (
        'command: /opt/drain status s1 printed "ok"; its first line must be in_service, draining or drained'
    )
