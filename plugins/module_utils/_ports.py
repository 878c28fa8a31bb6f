# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors of a core to the outside, so that a core never knows AnsibleModule. PRIVATE to the collection.

`_module.ports` builds them for modules, the node agent builds its own, tests give a root of their own.
"""

from __future__ import annotations

import typing as t

from ._nvml.session import NvmlSession

RunResult = t.Tuple[int, str, str]


class Run(t.Protocol):
    """Runs a command without a shell: (exit code, stdout, stderr).

    `timeout` is in seconds; code 124 tells that it expired (as coreutils' timeout does). A program that is not there
    gives code 127 and says so in stderr. Nothing is raised.
    """

    def __call__(
        self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Optional[str] = None
    ) -> RunResult: ...


class Ports(t.NamedTuple):
    """What a core may use. `files` is a `_files.Files` under `root`; `open_nvml` opens a session that the caller
    closes; `log` takes one line for a person."""

    run: Run
    files: t.Any
    open_nvml: t.Callable[[], NvmlSession]
    root: str = "/"
    log: t.Callable[[str], None] = lambda line: None
