# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the agent on the node, or take it away: walks an install plan through the ports. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._errors import ApplyError, PayloadWantedError
from .._files import BACKUPS, Files
from .._ports import Ports
from .plan import BACKED_UP, InstallPlan
from .unit import ARCHIVE, UNIT, UNIT_NAME


@dataclass(frozen=True)
class Outcome:
    backups: t.Tuple[str, ...]

    def result(self) -> t.Dict[str, t.Any]:
        return {"backups": list(self.backups)}


def apply(plan: InstallPlan, ports: Ports) -> Outcome:
    """Raises PayloadWantedError before anything is touched where the lean call did not bring what must be written."""
    if plan.missing_payload:
        raise PayloadWantedError(f"needed from the control node: {', '.join(plan.missing_payload)}")
    backups = [
        ports.files.write(file.path, file.content or b"", mode=file.mode, backup=file.path in BACKED_UP)
        for file in plan.write
    ]
    for path in plan.unlink + plan.remove:
        ports.files.remove(path)
    for path in plan.link:
        _link(path, ports.files)
    _drop_empty_folders(plan, ports.files)
    if plan.reload:
        _systemctl(ports, "daemon-reload")
    if plan.start:
        _systemctl(ports, "start", UNIT_NAME)
    if plan.forget:
        _systemctl(ports, "reset-failed", UNIT_NAME)
    return Outcome(tuple(path for path in backups if path is not None))


def _link(path: str, files: Files) -> None:
    """What `systemctl enable` does, without the daemon-reload that it cannot leave out everywhere."""
    os.makedirs(os.path.dirname(files.path(path)), mode=0o755, exist_ok=True)
    files.remove(path)
    os.symlink(UNIT, files.path(path))


def _drop_empty_folders(plan: InstallPlan, files: Files) -> None:
    """Folders that exist for our files alone."""
    folders = {os.path.dirname(path) for path in plan.unlink + plan.remove}
    for folder in sorted(folders, reverse=True):
        if folder.startswith(BACKUPS):
            files.prune(folder, top=os.path.dirname(BACKUPS))
        elif folder.endswith((".wants", ".requires")) or folder.startswith(os.path.dirname(ARCHIVE)):
            files.prune(folder)


def _systemctl(ports: Ports, *words: str) -> None:
    code, out, err = ports.run(["systemctl", *words], timeout=120)
    if code != 0:
        raise ApplyError(
            f"systemctl {' '.join(words)} ended with {code}: {_first_line(err or out)}; "
            f"see journalctl -u {UNIT_NAME}, then run again",
            step=f"systemctl {' '.join(words)}",
            restored=False,
        )


def _first_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[0].rstrip(".") if lines else "no message"
