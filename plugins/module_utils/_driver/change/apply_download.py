# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch what a change will need, and see whether its modules compile. PRIVATE to the collection.

The node may serve, and an earlier run may have died on it: its journal, its kept files and what it owes are the way
back of the run that changes packages, so nothing of them is touched and no journal of our own is written. A death in
between leaves files of the repository, which the next run wants anyway.
"""

from __future__ import annotations

import contextlib
import typing as t

from ..._boot import boot_id
from ..._errors import AccelError, ApplyError, BlockedError
from .. import record
from ..record import Contents, Journal, Recorded
from ..steps import RemoveFile, Step, WriteFile
from ..words import words
from . import apply_build
from .apply_walk import StepError, Walker

if t.TYPE_CHECKING:
    from ..._packages.probe import Manager
    from ..._ports import Ports


def download(
    steps: t.Sequence[Step],
    ports: Ports,
    manager: Manager,
    own_holds: t.Collection[str],
    kernels: t.Sequence[str] = (),
) -> t.Dict[str, float]:
    """Seconds by phase. `kernels` are those for which modules are to be built. Raises an AccelError with the facts of a
    failed change; the files are as before then."""
    walker = Walker(ports, manager, Journal(boot_id(ports.files), record.BEFORE, Recorded(record.now())), own_holds)
    walker.journals = False
    before = {
        step.path: ports.files.read_text(step.path) for step in steps if isinstance(step, (WriteFile, RemoveFile))
    }
    try:
        walker.walk(steps)
    except StepError as error:
        raise _worded(error.cause, words(error.step), _files_back(before, ports)) from error
    try:
        seconds = apply_build.prove(ports, manager.kind, walker.downloaded.changes, kernels)
    except BlockedError as error:
        raise _worded(error, "building the kernel modules", _files_back(before, ports)) from error
    return {} if seconds is None else {"build": seconds}


def _files_back(before: Contents, ports: Ports) -> t.List[str]:
    """A sentence for each file that could not be put back."""
    lost = []
    for path, content in before.items():
        with contextlib.suppress(OSError):
            if ports.files.read_text(path) == content:
                continue
        try:
            if content is None:
                ports.files.remove(path)
            else:
                ports.files.write(path, content.encode("utf-8"))
        except OSError as error:
            lost.append(f"{path}: {error.strerror}")
    return lost


def _worded(cause: AccelError, what: str, lost: t.Sequence[str]) -> AccelError:
    end = f"NOT restored: {'; '.join(lost)}" if lost else "nothing was changed"
    facts = {**cause.facts, "cause": cause.kind, "step": what, "restored": not lost, "changed": bool(lost)}
    # Errors that tell the user what to do keep their class.
    kind = ApplyError if cause.kind == AccelError.kind else type(cause)
    return kind(f"{what} failed: {cause.message}; {end}", **facts)
