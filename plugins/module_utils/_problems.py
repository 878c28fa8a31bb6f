# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collecting wrong places of a wish, so that all are named before anything is touched. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import typing as t

from ._errors import WishError


class Problems:
    """`with problems.caught():` around each part that may raise WishError, `raise_any()` at the end."""

    def __init__(self) -> None:
        self._errors: t.List[WishError] = []

    @contextlib.contextmanager
    def caught(self, behind: str = "") -> t.Iterator[None]:
        """`behind` is added to the message."""
        try:
            yield
        except WishError as error:
            self._errors.append(WishError(error.message + behind, **error.facts) if behind else error)

    def add(self, message: str, **facts: t.Any) -> None:
        self._errors.append(WishError(message, **facts))

    def raise_any(self) -> None:
        """One problem is raised as it is; several become one error with one line each (facts: problems)."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            messages = [error.message for error in self._errors]
            raise WishError("\n".join(messages), problems=messages)
