# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors of a core to the outside, so that a core never knows AnsibleModule. PRIVATE to the collection.

`_module.ports` builds them for modules, the node agent builds its own, tests give a root of their own.
"""

from __future__ import annotations

import typing as t

from ._files import Files
from ._nvml.session import NvmlSession
from ._run import Run


def _silent(line: str) -> None:
    """Nobody listens."""


class Ports(t.NamedTuple):
    """What a core may use. `files` works below `root`; `open_nvml` opens a session that the caller closes; `log` takes
    one line for a person; with `check` nothing on the node may change, not even a lock file."""

    run: Run
    files: Files
    open_nvml: t.Callable[[], NvmlSession]
    root: str = "/"
    log: t.Callable[[str], None] = _silent
    check: bool = False
