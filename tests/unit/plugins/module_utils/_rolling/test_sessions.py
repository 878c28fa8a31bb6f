# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._rolling.sessions import others

CGROUP = "0::/user.slice/user-1000.slice/session-4.scope\n"


def session(number, name, kind="user", state="active"):
    return f"Id={number}\nName={name}\nClass={kind}\nState={state}\n"


@pytest.mark.parametrize(
    ("sessions", "cgroup", "expected"),
    [
        ([], CGROUP, []),
        ([session(4, "ansible")], CGROUP, []),
        ([session(4, "ansible"), session(12, "ada")], CGROUP, ["ada"]),
        ([session(12, "ada"), session(13, "ada"), session("c2", "root")], CGROUP, ["ada", "root"]),
        ([session(5, "gdm", "greeter"), session(6, "ada", "manager"), session(7, "ada", state="closing")], CGROUP, []),
        # A connection that is no session: nobody is ours.
        ([session(4, "ansible")], "0::/docker/9dc5\n", ["ansible"]),
        # Another login of the same user is one all the same.
        ([session(4, "ada"), session(44, "ada")], CGROUP, ["ada"]),
        ([session(4, "ada")], "1:name=systemd:/user.slice/user-0.slice/session-4.scope\n0::/x\n", []),
    ],
)
def test_who_is_logged_in(sessions, cgroup, expected):
    assert others("\n".join(sessions), cgroup) == expected
