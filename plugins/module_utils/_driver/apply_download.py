# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch what a change will need: repository, key and files in the manager's cache. PRIVATE to the collection.

The node may serve, and an earlier run may have died on it: its journal, its kept files and what it owes are the way
back of the run that changes packages, so nothing of them is touched and no journal of our own is written. A death in
between leaves files of the repository, which the next run wants anyway.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._boot import boot_id
from .._errors import AccelError, ApplyError
from . import record
from .apply_walk import StepError, Walker, words
from .record import Contents, Journal, Recorded
from .steps import RemoveFile, Step, WriteFile

if t.TYPE_CHECKING:
    from .._packages.probe import Manager
    from .._ports import Ports


def download(steps: t.Sequence[Step], ports: Ports, manager: Manager, own_holds: t.Collection[str]) -> None:
    """Raises an AccelError with the facts of a failed change; the files are as before then."""
    walker = Walker(ports, manager, Journal(boot_id(ports.files), record.BEFORE, Recorded(record.now())), own_holds)
    walker.journals = False
    before = {
        step.path: ports.files.read_text(step.path) for step in steps if isinstance(step, (WriteFile, RemoveFile))
    }
    try:
        walker.walk(steps)
    except StepError as error:
        raise _worded(error, _files_back(before, ports)) from error


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


def _worded(error: StepError, lost: t.Sequence[str]) -> AccelError:
    cause = error.cause
    end = f"NOT restored: {'; '.join(lost)}" if lost else "nothing was changed"
    facts = {**cause.facts, "cause": cause.kind, "step": words(error.step), "restored": not lost, "changed": bool(lost)}
    # Errors that tell the user what to do keep their class.
    kind = ApplyError if cause.kind == AccelError.kind else type(cause)
    return kind(f"{words(error.step)} failed: {cause.message}; {end}", **facts)
