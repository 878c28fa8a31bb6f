# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run at boot: every resident with a wish, in order, and one summary. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .. import _wishes
from .._errors import AccelError
from .._ports import Ports
from .flow import ERROR, OK, TIMED_OUT, Report, options_of, run
from .residents import Resident, in_order

SUMMARY = "/run/accel-gpu/boot.json"
MARKER = "/run/accel-gpu/owed.json"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Boot:
    """Collects reports, so that a summary can be written at any time: at the end, or when the time is over."""

    def __init__(self, ports: Ports, on_failure: str, clock: t.Callable[[], str]) -> None:
        self._ports = ports
        self._on_failure = on_failure
        self._clock = clock
        self._started = clock()
        self._reports: t.List[Report] = []
        self._running = ""

    def run(self) -> int:
        """The exit code: that of the first resident that is not as wished and without which nothing should start."""
        code = OK
        for resident in in_order():
            path = _wishes.path_of(resident.name)
            if not self._ports.files.exists(path):
                continue
            self._running = resident.name
            self._reports.append(self._bring_back(resident, path))
            self._running = ""
            if resident.holds and code == OK:
                code = self._reports[-1].code
        wrong = any(report.code != OK for report in self._reports)
        self.write("failed" if code != OK else "incomplete" if wrong else "ok", self._message())
        return code

    def timed_out(self, seconds: float) -> int:
        """What is done before the process ends itself in the middle of a resident; its journal does the rest."""
        name = self._running or "no resident"
        self.write(
            "timed_out", f"{name} did not end within {seconds:g} s; its journal lets the next run finish or restore"
        )
        return TIMED_OUT

    def write(self, status: str, message: str) -> None:
        """The summary, and the marker of what is owed; the marker is removed where nothing is."""
        owed = [dict(entry, resident=report.resident) for report in self._reports for entry in report.owed]
        if status != "ok":
            owed.append({"state": "boot_failed", "object": "accel-gpu.service", "resident": "", "reason": message})
        files = self._ports.files
        files.write_json(
            SUMMARY,
            {
                "version": 1,
                "boot_id": (files.read_text(_BOOT_ID) or "").strip(),
                "started": self._started,
                "finished": self._clock(),
                "status": status,
                "message": message,
                "on_failure": self._on_failure,
                "residents": [report.document() for report in self._reports],
            },
        )
        if owed:
            files.write_json(MARKER, {"version": 1, "on_failure": self._on_failure, "owed": owed})
        else:
            files.remove(MARKER)

    def _bring_back(self, resident: Resident, path: str) -> Report:
        try:
            options = options_of(self._ports.files.read_json(path), resident, path)
        except AccelError as error:
            return Report(resident.name, "failed", ERROR, error.message)
        return run(resident, {**options, **resident.at_boot}, self._ports, apply=True)

    def _message(self) -> str:
        wrong = [report for report in self._reports if report.code != OK]
        return "; ".join(f"{report.resident} {report.status}: {report.message or _owed(report)}" for report in wrong)


def _owed(report: Report) -> str:
    return ", ".join(f"{entry['state']} {entry['object']}" for entry in report.owed)
