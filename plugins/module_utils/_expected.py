# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host declares to have (`accel_gpu_expected`, `accel_gpu_exceptions`) against what is there. Pure. PRIVATE.

A declared GPU that is missing fails the host: a dead node must not look like a node without GPUs.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from ._errors import WishError
from ._problems import Problems
from ._select import is_model
from ._shape import date, integer, keys, mapping, number, sequence, shown, text

EXPECTED = "accel_gpu_expected"
EXCEPTIONS = "accel_gpu_exceptions"
# Further figures are compared by the checks of a rollout, not here.
_EXPECTED_KEYS = ("count", "model", "nvlinks", "compute_nics", "gbps")
_EXCEPTION_KEYS = ("gpu", "state", "reason", "until")
STATES = ("missing",)


@dataclass(frozen=True)
class Expected:
    """`count` GPUs, `model` a glob over their names (None: any). No count: the host declares no GPU."""

    count: int = 0
    model: t.Optional[str] = None


@dataclass(frozen=True)
class KnownFault:
    """An exception from the declaration. It excuses the GPU until it is removed; past `until` it is a warning."""

    gpu: str
    state: str
    reason: str
    until: datetime.date
    address: str

    def __str__(self) -> str:
        return f"{self.gpu} is {self.state}: {self.reason} (until {self.until})"


def parse_expected(value: t.Any, address: str = EXPECTED) -> Expected:
    """Raises WishError on wrong shape. None and {} declare no GPU."""
    if value is None:
        return Expected()
    given = mapping(value, address, "a mapping such as {count: 8, model: '*H100*'}")
    keys(given, address, _EXPECTED_KEYS)
    if not given:
        return Expected()
    for key in ("nvlinks", "compute_nics"):
        if key in given:
            integer(given[key], f"{address}.{key}", 0)
    if "gbps" in given:
        number(given["gbps"], f"{address}.gbps", "a rate in Gbit/s")
    if "count" not in given:
        raise WishError(
            f"{address}: count is missing; give the number of GPUs of the host, 0 for none", address=address
        )
    model = text(given["model"], f"{address}.model", 'a glob such as "*H100*"') if "model" in given else None
    return Expected(integer(given["count"], f"{address}.count", 0), model)


def parse_exceptions(value: t.Any, address: str = EXCEPTIONS) -> t.Tuple[KnownFault, ...]:
    """Raises WishError that names every wrong place."""
    problems = Problems()
    found = []
    entries = sequence([] if value is None else value, address, "a list of exceptions")
    for number_, entry in enumerate(entries):
        with problems.caught():
            found.append(_parse_exception(entry, f"{address}[{number_}]"))
    problems.raise_any()
    return tuple(found)


def _parse_exception(value: t.Any, address: str) -> KnownFault:
    given = mapping(value, address, "a mapping with gpu, state, reason and until")
    keys(given, address, _EXCEPTION_KEYS)
    for key in _EXCEPTION_KEYS:
        if given.get(key) is None:
            raise WishError(
                f"{address}: {key} is missing; an exception has {', '.join(_EXCEPTION_KEYS)}", address=address
            )
    state = text(given["state"], f"{address}.state")
    if state not in STATES:
        raise WishError(f"{address}.state: {shown(state)} is unknown; allowed is {', '.join(STATES)}", address=address)
    return KnownFault(
        gpu=text(given["gpu"], f"{address}.gpu", "the UUID of a GPU or its beginning"),
        state=state,
        reason=text(given["reason"], f"{address}.reason"),
        until=date(given["until"], f"{address}.until"),
        address=address,
    )


def missing(
    expected: Expected,
    faults: t.Sequence[KnownFault],
    gpus: t.Sequence[t.Tuple[str, str]],
    silent: t.Sequence[str] = (),
) -> t.Optional[str]:
    """The sentence that fails the host, or None.

    `gpus` are (UUID, name) of the GPUs that answer, `silent` one sentence for each that does not.
    """
    there = [name for uuid, name in gpus if expected.model is None or is_model(expected.model, name)]
    excused = _excused(faults, [uuid for uuid, name in gpus])
    lacking = expected.count - len(there) - len(excused)
    if lacking <= 0:
        return None
    model = f" of model {expected.model}" if expected.model else ""
    found = ", ".join(sorted(name for uuid, name in gpus)) or "none"
    also = "".join(f"; excused: {fault}" for fault in excused) + "".join(f"; no answer: {line}" for line in silent)
    return (
        f"{EXPECTED}.count: {expected.count} GPUs{model} are declared, {len(there)} answer (there: {found}){also}; "
        f"{lacking} missing: repair the node, or declare an entry in {EXCEPTIONS} with reason and until"
    )


def _excused(faults: t.Sequence[KnownFault], there: t.Sequence[str]) -> t.List[KnownFault]:
    """Exceptions for GPUs that do not answer. Two that name one GPU, one perhaps by its beginning, excuse one."""
    found: t.List[KnownFault] = []
    for fault in faults:
        answers = any(_begins(uuid, fault.gpu) for uuid in there)
        again = any(_begins(fault.gpu, other.gpu) or _begins(other.gpu, fault.gpu) for other in found)
        if not answers and not again:
            found.append(fault)
    return found


def _begins(uuid: str, beginning: str) -> bool:
    return uuid.lower().startswith(beginning.lower())
