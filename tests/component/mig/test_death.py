# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Process death and failing calls at every NVML call of a change.

A GPU must always have its wanted or its old layout, and nothing that works may be lost. Each case runs on its own copy
of a prepared node, in a forked child with a process group of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import apply as holders
from ansible_collections.accel.gpu.plugins.module_utils._mig import resident
from ansible_collections.accel.gpu.tests.component.mig.changes import CHANGES, Change, Prepared, by_name
from ansible_collections.accel.gpu.tests.component.mig.node import Json, Layout, Node, in_child

# The same points each time, so that a failure can be repeated; another seed looks elsewhere.
SEED = os.environ.get("ACCEL_TEST_SEED", "1")
SAMPLE = 2
WRITES = ("Create", "Destroy", "SetMigMode")
# What a driver can answer although the plan was right, and what is not in its header.
CODES = ("INSUFFICIENT_RESOURCES", "IN_USE", "UNKNOWN", "NOT_FOUND", "GPU_IS_LOST")
READ_CODES = ("UNKNOWN", "GPU_IS_LOST", "hang")
# Seconds. On a machine that is busy with other tests a call that does not hang takes some tenths.
HANG_DEADLINE = 0.8
RESET_DEADLINE = 10.0


class Fault(t.NamedTuple):
    """The `nth` call of `function` from the beginning of `apply`; `action` and `when` as in `gpusim fault`."""

    function: str
    nth: int
    action: str
    when: str = "before"

    def __str__(self) -> str:
        return f"{self.function}#{self.nth}:{self.action}:{self.when}"

    @property
    def command(self) -> str:
        return f"fault {self.function} nth={self.nth} {self.action} when={self.when}"


class Bench:
    """A prepared change with the number of calls that its `apply` makes, and the layouts that it ends with."""

    def __init__(self, change: Change, folder: Path) -> None:
        self.change = change
        self.folder = folder
        self.prepared = Prepared(change, folder / "prepared")
        self._number = itertools.count()
        self._continued: t.Set[t.Tuple[str, bool]] = set()
        clean = self.prepared.node.copy(folder / "clean")
        clean.sim.control("resetcounts")
        self.calls: t.Dict[str, int] = {}
        answer = in_child(lambda: self._run(clean, None))
        assert answer is not None and not answer.get("failed"), answer
        self.calls = answer["calls"]
        self.total = sum(self.calls.values())
        self.prepared.wanted = clean.layouts()
        assert self.prepared.wanted != self.prepared.old
        shutil.rmtree(folder / "clean")

    def close(self) -> None:
        self.prepared.close()

    def deaths(self, action: str) -> t.List[Fault]:
        """Before every call, and after every call that changes something."""
        before = [Fault("*", nth, action) for nth in range(1, self.total + 1)]
        return before + [Fault(name, nth, action, "after") for name, nth in self._writes()]

    def failures(self, action: str) -> t.List[Fault]:
        """Every call that changes something; for what befalls reads too, the first and the last of each function."""
        found = [Fault(name, nth, action) for name, nth in self._writes()]
        reads = [name for name in sorted(self.calls) if not _writes(name) and action.endswith(READ_CODES)]
        return found + [Fault(name, nth, action) for name in reads for nth in sorted({1, self.calls[name]})]

    def _writes(self) -> t.List[t.Tuple[str, int]]:
        return [(name, nth) for name in sorted(self.calls) if _writes(name) for nth in range(1, self.calls[name] + 1)]

    def _run(self, node: Node, fault: t.Optional[Fault], geometry: Json = None) -> Json:
        """One run with the fault from the beginning of `apply` on; the calls that `apply` made, by function."""
        params = dict(self.change.params)
        if geometry is not None:
            params["geometry"] = geometry
        original = resident.apply

        def counted(plan: t.Any, ports: t.Any) -> t.Any:
            node.sim.control("resetcounts")
            if fault is not None:
                node.sim.control(fault.command)
            return original(plan, ports)

        resident.apply = counted
        patience = holders.RESET_SECONDS
        if node.deadline < patience:
            # The call that hangs may be one of nvidia-smi at its reset, which has minutes on a real node.
            holders.RESET_SECONDS = RESET_DEADLINE
        try:
            result = node.apply(params)
        finally:
            resident.apply, holders.RESET_SECONDS = original, patience
        return {**result, "calls": node.sim.counts()}

    def case(self, fault: Fault, deadline: float = 20.0) -> t.List[str]:
        """What is wrong after a run with the fault, and after another run without; empty when all is well."""
        folder = self.folder / f"case{next(self._number)}"
        node = self.prepared.node.copy(folder)
        node.deadline = deadline
        try:
            return [f"{self.change} {fault}: {text}" for text in self._judge(node, fault)]
        finally:
            shutil.rmtree(folder)

    def _judge(self, node: Node, fault: Fault) -> t.Iterator[str]:
        answer = in_child(lambda: self._run(node, fault))
        node.sim.control("clearfaults")
        node.sim.control("resetcounts")
        found = (node.fingerprint(), fault.nth % 3 == 0)
        yield from self._judge_workers(node, "the faulty run")
        if answer is None:
            if fault.action != "killgroup":
                yield "the run itself was killed"
        else:
            yield from self._judge_alive(node, answer)
        # Between two writes all deaths leave the same node, of which the next run makes the same.
        if found not in self._continued:
            self._continued.add(found)
            yield from self._judge_next(node, refused_first=found[1])

    def _judge_alive(self, node: Node, answer: Json) -> t.Iterator[str]:
        """The run ended by itself: it has restored or finished, and says so."""
        layouts = node.layouts()
        restored = answer.get("failed") and answer["error"].get("restored")
        for index, layout in enumerate(layouts):
            if layout not in self._legal(index):
                yield f"GPU {index} is left with {layout}: {answer.get('msg')}"
        if not answer.get("failed") and layouts != self.prepared.wanted:
            yield f"success is claimed for {layouts}"
        if answer.get("failed") and not restored:
            yield f"not restored: {answer['msg']}"
        if node.has_journal:
            yield "the journal is left"
        yield from _stopped(node)

    def _judge_next(self, node: Node, refused_first: bool) -> t.Iterator[str]:
        """The next run makes the wish true; if its wish is refused, it restores."""
        if node.has_journal and refused_first:
            yield from self._judge_refused(node)
        again = in_child(lambda: self._run(node, None))
        if again is None or again.get("failed"):
            yield f"the next run failed: {again and again['msg']}"
        elif node.layouts() != self.prepared.wanted:
            yield f"the next run ended with {node.layouts()}"
        if node.has_journal:
            yield "the next run left the journal"
        yield from self._judge_workers(node, "the next run")
        yield from _stopped(node)

    def _judge_refused(self, node: Node) -> t.Iterator[str]:
        answer = in_child(lambda: self._run(node, None, geometry=[{"gpus": "all", "instances": {"9g.99gb": 1}}]))
        if answer is None or "9g.99gb" not in answer.get("msg", ""):
            yield f"a wrong wish was not refused: {answer}"
        for index, layout in enumerate(node.layouts()):
            if layout not in self._legal(index):
                yield f"GPU {index} is not restored by a run whose wish is refused: {layout}"
        yield from self._judge_workers(node, "the refused run")
        yield from _stopped(node)

    def _legal(self, index: int) -> t.Tuple[Layout, ...]:
        """The wanted layout and the old one; a mode that was pending before need not be pending again (rule 12)."""
        mode, pending, instances = self.prepared.old[index]
        return self.prepared.wanted[index], (mode, pending, instances), (mode, mode, instances)

    def _judge_workers(self, node: Node, when: str) -> t.Iterator[str]:
        if node.workers() != self.prepared.workers:
            yield f"{when} hurt {self.prepared.workers}: {node.workers()}"


def _writes(name: str) -> bool:
    return any(word in name for word in WRITES)


def _stopped(node: Node) -> t.Iterator[str]:
    for unit, active in node.services.active().items():
        if not active:
            yield f"{unit} is left stopped"


@pytest.fixture(scope="module", params=CHANGES, ids=str)
def bench(request):
    with tempfile.TemporaryDirectory(prefix="n") as folder:
        made = Bench(request.param, Path(folder))
        yield made
        made.close()


def _sample(faults: t.List[Fault], bench: Bench, salt: str) -> t.List[Fault]:
    chosen = random.Random(f"{SEED} {bench.change} {salt}")  # a sample, no secret
    return chosen.sample(faults, min(SAMPLE, len(faults)))


def _try(bench: Bench, faults: t.Iterable[Fault], deadline: float = 20.0) -> None:
    wrong = [line for fault in faults for line in bench.case(fault, deadline)]
    assert not wrong, "\n".join(wrong[:20])


def test_only_nodes_that_differ_in_nothing_but_time_count_as_the_same(tmp_path):
    """Else the next run would be judged for too few deaths, and nobody would notice."""
    prepared = Prepared(by_name("grow"), tmp_path / "prepared")
    try:
        node = prepared.node.copy(tmp_path / "node")
        before = node.fingerprint()
        assert prepared.node.copy(tmp_path / "other").fingerprint() == before
        node.files.write("/var/lib/accel-gpu/mig/journal.json", b'{"since": "a", "version": 1}')
        begun = node.fingerprint()
        node.files.write("/var/lib/accel-gpu/mig/journal.json", b'{"since": "b", "version": 1}')
        assert node.fingerprint() == begun != before
        node.files.write("/var/lib/accel-gpu/mig/journal.json", b'{"since": "b", "version": 2}')
        assert node.fingerprint() not in (begun, before)
        other = prepared.node.copy(tmp_path / "third")
        assert not other.apply(prepared.change.params).get("failed")
        grown = other.fingerprint()
        other.sim.control("set 0 lost 1")
        assert len({before, grown, other.fingerprint()}) == 3
    finally:
        prepared.close()


@pytest.mark.parametrize("action", ["kill", "killgroup"])
def test_death_at_some_calls(bench: Bench, action: str):
    _try(bench, _sample(bench.deaths(action), bench, action))


def test_some_calls_fail(bench: Bench):
    faults = [fault for code in CODES for fault in bench.failures(f"code=NVML_ERROR_{code}")]
    _try(bench, _sample(faults, bench, "codes"))


def test_one_call_hangs(bench: Bench):
    _try(bench, _sample(bench.failures("hang"), bench, "hang")[:1], HANG_DEADLINE)


@pytest.mark.full
@pytest.mark.parametrize("action", ["kill", "killgroup"])
def test_death_at_every_call(bench: Bench, action: str):
    _try(bench, bench.deaths(action))


@pytest.mark.full
@pytest.mark.parametrize("code", CODES)
def test_every_write_fails(bench: Bench, code: str):
    _try(bench, bench.failures(f"code=NVML_ERROR_{code}"))


@pytest.mark.full
def test_every_write_hangs(bench: Bench):
    _try(bench, bench.failures("hang"), HANG_DEADLINE)
