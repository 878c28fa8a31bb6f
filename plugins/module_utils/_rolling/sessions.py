# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is logged in on a node, from what loginctl prints. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

_SCOPE = re.compile(r"/session-([^/.]+)\.scope")


def others(shown: str, cgroup: str) -> t.List[str]:
    """Names of the users in front of other sessions than our own, each once.

    `shown` is what `loginctl show-session --property=Id,Name,Class,State ID...` prints, `cgroup` /proc/self/cgroup of a
    process of ours: Ansible's connection is a session too. Greeters and managers are no people, and what closes has
    nobody in front of it. Source: loginctl(1), sd-login(3).
    """
    own = {match.group(1) for match in _SCOPE.finditer(cgroup)}
    found: t.List[str] = []
    for block in re.split(r"\n\s*\n", shown.strip()):
        session = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if session.get("Class", "user") != "user" or session.get("State") == "closing":
            continue
        if session.get("Id") and session["Id"] not in own:
            found.append(session.get("Name") or f"session {session['Id']}")
    return list(dict.fromkeys(found))
