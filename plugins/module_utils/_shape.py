# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the shape of a wish: types, keys, ranges. PRIVATE to the collection.

Each function returns the value with its type known, or raises WishError that names the address, the value and what is
allowed. Values come from YAML, so a wrong type is nearly always a missing or a superfluous quotation mark.
"""

from __future__ import annotations

import datetime
import json
import typing as t

from ._errors import WishError

_WORDS: t.Tuple[t.Tuple[t.Any, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "a mapping"),
    (type(None), "empty"),
)


def shown(value: t.Any) -> str:
    """A value as it stands in a message: JSON, cut to a readable length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: t.Any) -> str:
    return next((word for kind, word in _WORDS if isinstance(value, kind)), type(value).__name__)


def _wrong(value: t.Any, address: str, wanted: str) -> WishError:
    given = "is empty" if value is None else f"{shown(value)} is {_kind(value)}"
    return WishError(f"{address}: {given}; give {wanted}", address=address)


def mapping(value: t.Any, address: str, wanted: str = "a mapping") -> t.Dict[str, t.Any]:
    if not isinstance(value, dict):
        raise _wrong(value, address, wanted)
    for key in value:
        if not isinstance(key, str):
            raise WishError(f"{address}: key {shown(key)} is {_kind(key)}; quote it, keys are strings", address=address)
    return value


def keys(value: t.Mapping[str, t.Any], address: str, allowed: t.Sequence[str]) -> None:
    """Only `allowed` keys may be there."""
    for key in value:
        if key not in allowed:
            raise WishError(f"{address}: unknown key {shown(key)}; allowed are {', '.join(allowed)}", address=address)


def sequence(value: t.Any, address: str, wanted: str = "a list") -> t.List[t.Any]:
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, list):
        raise _wrong(value, address, wanted)
    return value


def text(value: t.Any, address: str, wanted: str = "a string") -> str:
    if not isinstance(value, str):
        raise _wrong(value, address, wanted)
    if not value.strip():
        raise WishError(f"{address}: the string is empty; give {wanted}", address=address)
    return value.strip()


def boolean(value: t.Any, address: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, address, "true or false")
    return value


def integer(value: t.Any, address: str, minimum: int, maximum: t.Optional[int] = None) -> int:
    wanted = f"an integer, {minimum} or more" if maximum is None else f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(value, address, wanted)
    if value < minimum or (maximum is not None and value > maximum):
        raise WishError(f"{address}: {value} is out of range; give {wanted}", address=address)
    return value


def number(value: t.Any, address: str, wanted: str) -> float:
    """A number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(value, address, wanted)
    if not 0 < value < float("inf"):
        raise WishError(f"{address}: {value} is out of range; give {wanted}", address=address)
    return float(value)


def bounded(value: t.Any, address: str, default: float, limit: float) -> float:
    """A number from zero to `limit`; `default` where none is given."""
    if value is None:
        return default
    if value == 0 and not isinstance(value, bool):
        return 0.0
    given = number(value, address, f"a number from 0 to {limit:g}")
    if given > limit:
        raise WishError(f"{address}: {shown(value)} is out of range; allowed is 0 to {limit:g}")
    return given


def date(value: t.Any, address: str) -> datetime.date:
    """YAML makes a date of 2026-12-01 by itself; JSON brings text."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    given = text(value, address, "a date such as 2026-12-01")
    try:
        return datetime.datetime.strptime(given, "%Y-%m-%d").date()
    except ValueError:
        raise WishError(
            f"{address}: {shown(given)} is not a date; give one such as 2026-12-01", address=address
        ) from None
