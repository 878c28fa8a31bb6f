# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else is logged in: a reboot would throw them out (live_node rule 8). Reads only. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from ..._files import Files
from ..texts.bootloader import environment
from .probe_files import text

_SESSIONS = "/run/systemd/sessions"
_OURS = re.compile(r"/session-([^/]+)\.scope")
# Classes of sessions behind which nobody sits who works. All others are people: since systemd 256 those of root are
# user-early, and later versions have more such names. Source: pam_systemd(8) of systemd 258, class=.
_NOBODY = frozenset(("greeter", "lock-screen", "background", "background-light", "manager", "manager-early", "none"))


def foreign(files: Files) -> t.Tuple[str, ...]:
    """A sentence for each login session but our own. systemd's logind keeps a file for each; our cgroup names ours."""
    ours = set(_OURS.findall(text(files, "/proc/self/cgroup")))
    return tuple(
        f"{one.get('USER', one.get('UID', 'somebody'))} is logged in (session {name})"
        for name, one in _sessions(files)
        if name not in ours and one.get("CLASS", "none") not in _NOBODY and one.get("STATE") != "closing"
    )


def _sessions(files: Files) -> t.Iterator[t.Tuple[str, t.Dict[str, str]]]:
    for name in files.names(_SESSIONS):
        if not name.endswith(".ref"):  # a pipe of logind
            yield name, environment(text(files, f"{_SESSIONS}/{name}"))
