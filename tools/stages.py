# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the stages of `make test`, each `make NAME`, two at a time, and adds up what they say.

A stage's output goes to .build/test/NAME.log; of a stage that passed only the lines that count are shown, of one that
failed all. The last line is `N passed, N failed` over all stages, and the exit status is 0 only if nothing failed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".build" / "test"
# Seconds between two signs of life while nothing ends.
HEARTBEAT = 30.0

PYTEST_LINE = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s\b.*$")
PYTEST_COUNT = re.compile(r"(\d+) ([a-z]+)")
# How other stages report: "lint: ruff passed", "package: … FAILED", "steps: 8 passed, 0 failed".
CHECK_LINE = re.compile(r"^[a-z]+: .*\b(passed|FAILED)$")
SUM_LINE = re.compile(r"^[a-z]+: (?P<passed>\d+) passed, (?P<failed>\d+) failed$")
# Molecule's own report, a scenario a line; its actions are prepare, check, converge, idempotence, verify and so on.
MOLECULE_LINE = re.compile(r"^\w+ +: actions=\d+ +successful=(?P<passed>\d+) .*\bfailed=(?P<failed>\d+)")
PYTEST_FAILURES = ("failed", "error", "errors")


@dataclass(frozen=True)
class Stage:
    """One target of the Makefile. It starts when those in `after` have ended, whatever their result: each stage
    fails by itself if it lacks something."""

    name: str
    after: tuple[str, ...] = ()
    full: bool = False  # in `make test-full` alone
    checks: bool = True  # otherwise it makes what others need


# Longest way first: what others wait for, then the long ones, then what fills the second core.
STAGES = (
    Stage("gpusim"),
    Stage("images", after=("gpusim",), checks=False),
    Stage("molecule", after=("images",)),
    Stage("package"),
    Stage("lab", after=("images",)),
    Stage("sanity"),
    Stage("installed", after=("package", "images")),
    Stage("unit"),
    Stage("component", after=("gpusim",)),
    Stage("pythons", after=("gpusim",)),
    Stage("lint"),
    Stage("cores", after=("package", "images"), full=True),
)


@dataclass
class Result:
    """What one stage came to."""

    stage: Stage
    status: int
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return self.status != 0 or self.counts.get("failed", 0) > 0


def count(output: str) -> tuple[dict[str, int], list[str]]:
    """Passed, failed and skipped checks in a stage's output, and the lines that say so."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    lines = []
    for line in output.splitlines():
        if pytest := PYTEST_LINE.match(line):
            lines.append(line.strip("= "))
            for number, word in PYTEST_COUNT.findall(pytest.group(1)):
                name = "failed" if word in PYTEST_FAILURES else word
                counts[name] = counts.get(name, 0) + int(number)
        elif summed := SUM_LINE.match(line) or MOLECULE_LINE.match(line):
            lines.append(line)
            for name in ("passed", "failed"):
                counts[name] += int(summed[name])
        elif check := CHECK_LINE.match(line):
            lines.append(line)
            counts["passed" if check.group(1) == "passed" else "failed"] += 1
    return counts, lines


def judge(stage: Stage, status: int, seconds: float, output: str) -> Result:
    """A stage that ended badly counts as one failure at least, one that ended well and counted nothing as a failure
    too: it did not test anything."""
    counts, lines = count(output)
    if stage.checks and status == 0 and not any(counts.values()):
        lines.append(f"{stage.name}: ended well and reported no check at all")
        counts["failed"] += 1
    if status != 0 and counts["failed"] == 0:
        lines.append(f"{stage.name}: ended with {status}")
        counts["failed"] += 1
    return Result(stage, status, seconds, counts, lines)


class Running(t.NamedTuple):
    """A stage in a process group of its own, so that an interrupt ends all of it."""

    stage: Stage
    process: subprocess.Popen[bytes]
    started: float


def start(stage: Stage) -> Running:
    with open(LOGS / f"{stage.name}.log", "wb") as log:
        process = subprocess.Popen(
            ["make", stage.name],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "NO_COLOR": "1", "PY_COLORS": "0", "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"},
        )
    return Running(stage, process, time.monotonic())


def finish(running: Running) -> Result:
    seconds = time.monotonic() - running.started
    output = (LOGS / f"{running.stage.name}.log").read_text(encoding="utf-8", errors="replace")
    result = judge(running.stage, running.process.returncode, seconds, output)
    if result.failed:
        print(f"----- {running.stage.name}: whole output\n{output.rstrip()}\n-----")
    for line in result.lines:
        print(f"    {line}")
    print(f"stage {running.stage.name}: {'FAILED' if result.failed else 'passed'} in {seconds:.0f} s", flush=True)
    return result


class Runner:
    """Starts what is ready, at most `width` at once, until everything has ended."""

    def __init__(self, stages: t.Sequence[Stage], width: int) -> None:
        self.names = {stage.name for stage in stages}
        self.waiting = list(stages)
        self.active: list[Running] = []
        self.results: list[Result] = []
        self.width = width
        self.last_sign = time.monotonic()

    def run(self) -> list[Result]:
        try:
            while self.waiting or self.active:
                self.start_ready()
                time.sleep(0.2)
                self.take_ended()
                self.sign_of_life()
        finally:
            for running in self.active:
                os.killpg(running.process.pid, signal.SIGTERM)
        return self.results

    def start_ready(self) -> None:
        open_names = self.names - {result.stage.name for result in self.results}
        ready = [stage for stage in self.waiting if not open_names.intersection(stage.after)]
        for stage in ready[: self.width - len(self.active)]:
            self.waiting.remove(stage)
            self.active.append(start(stage))
            print(f"stage {stage.name}: started", flush=True)

    def take_ended(self) -> None:
        for running in [one for one in self.active if one.process.poll() is not None]:
            self.active.remove(running)
            self.results.append(finish(running))
            self.last_sign = time.monotonic()

    def sign_of_life(self) -> None:
        now = time.monotonic()
        if now - self.last_sign > HEARTBEAT:
            self.last_sign = now
            print(
                "    … " + ", ".join(f"{one.stage.name} {now - one.started:.0f} s" for one in self.active), flush=True
            )


def show(results: t.Sequence[Result], seconds: float) -> None:
    print(f"\n{'stage':<12}{'result':<10}{'seconds':>8}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for result in sorted(results, key=lambda one: STAGES.index(one.stage)):
        verdict = "FAILED" if result.failed else "passed"
        counts = result.counts
        numbers = f"{counts['passed']:>8}{counts['failed']:>8}{counts['skipped']:>9}"
        print(f"{result.stage.name:<12}{verdict:<10}{result.seconds:>8.0f}{numbers}")
    print(f"{'all':<22}{seconds:>8.0f}")
    total = {name: sum(result.counts[name] for result in results) for name in ("passed", "failed")}
    print(f"{total['passed']} passed, {total['failed']} failed", flush=True)


def chosen_stages(names: t.Sequence[str], full: bool) -> list[Stage]:
    """Those that are named; without names all, the slow ones only for `make test-full`."""
    if names:
        return [stage for stage in STAGES if stage.name in names]
    return [stage for stage in STAGES if full or not stage.full]


def main() -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    unknown = set(sys.argv[1:]) - {stage.name for stage in STAGES}
    if unknown:
        sys.exit(
            f"test: no stage is called {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in STAGES)}"
        )
    # Ended from outside, it still ends its stages.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    chosen = chosen_stages(sys.argv[1:], full=bool(os.environ.get("FULL")))
    started = time.monotonic()
    results = Runner(chosen, width=2).run()
    show(results, time.monotonic() - started)
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
