# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports of a core that runs in a module. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._files import Files
from .._nvml.session import open_session
from .._ports import Ports
from .._run import NOT_FOUND, Completed, Run, SubprocessRun
from .arguments import deadline

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def module_ports(module: AnsibleModule) -> Ports:
    """Ports for `module`. Raises WishError where an NVML option is wrong."""
    seconds = deadline(module.params)
    binding = module.params.get("nvml_binding")
    return Ports(
        run=module_run(module),
        files=Files("/"),
        open_nvml=lambda: open_session(binding, seconds),
        log=module.debug,
        check=module.check_mode,
    )


def module_run(module: AnsibleModule) -> Run:
    """AnsibleModule.run_command in the shape of `Run`; it knows no timeout, so a bounded call goes another way."""
    bounded = SubprocessRun()

    def run(argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Optional[str] = None) -> Completed:
        if timeout is not None:
            return bounded(argv, timeout, stdin)
        try:
            code, out, err = module.run_command(
                list(argv), data=stdin, handle_exceptions=False, environ_update={"LC_ALL": "C"}
            )
        except OSError as error:
            return NOT_FOUND, "", f"{argv[0]}: {error.strerror}"
        return code, out, err

    return run
