# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A step of packages as the transactions that a package manager is asked for. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._packages.objects import Request
from ..steps import ChangePackages
from .plan_names import is_pinning


def requests_of(step: ChangePackages, own_holds: t.Collection[str] = ()) -> t.Tuple[Request, ...]:
    """The transactions of a change, in their order. One pinning package replaces the other."""
    holds = tuple(sorted(own_holds))
    # Where packages only go, nothing of them stays; where others come in their place, edited files are theirs.
    purge = bool(step.remove) and not step.install
    change = Request(step.install, step.remove, step.downgrade, module=step.stream, own_holds=holds, purge=purge)
    if not step.first:
        return (change,)
    pins = tuple(name for name in step.remove if is_pinning(name))
    return Request(step.first, pins, step.downgrade, own_holds=holds), change


def whole_request(step: ChangePackages, own_holds: t.Collection[str] = ()) -> Request:
    """Both at once, for who only looks or downloads."""
    return requests_of(step._replace(install=(*step.first, *step.install), first=()), own_holds)[0]
