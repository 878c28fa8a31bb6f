# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wishes of many hosts against each other, before the first is touched. Pure. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import typing as t

from ._driver.parse import OPTIONS as DRIVER_OPTIONS
from ._driver.parse import parse as parse_driver
from ._errors import WishError
from ._expected import KnownFault, parse_exceptions, parse_expected
from ._mig import restarts
from ._mig.model import GpuWish, NodeWish
from ._mig.parse import conflicts, parse
from ._settings import judge_fleet as settings

USES = ("compute", "passthrough", "vgpu", "none")
LAYERS = ("mig_geometry", "mig_geometry_group", "mig_geometry_host")
# With these, no GPU of the host is there for MIG.
_WITHOUT_MIG = ("passthrough", "none")

Variables = t.Mapping[str, t.Any]


def problems(hosts: t.Mapping[str, Variables], today: datetime.date) -> t.Dict[str, t.List[str]]:
    """{"errors": sentences, "warnings": sentences}; each names host, variable and item. Sorted by host."""
    found: t.Dict[str, t.List[str]] = {"errors": [], "warnings": []}
    for host in sorted(hosts):
        judged = _Host(hosts[host], today)
        found["errors"] += [f"{host}: {line}" for line in judged.errors]
        found["warnings"] += [f"{host}: {line}" for line in judged.warnings]
    return found


class _Host:
    """The judgement of one host."""

    def __init__(self, variables: Variables, today: datetime.date) -> None:
        self.errors: t.List[str] = []
        self.warnings: t.List[str] = []
        self._variables = variables
        self._today = today
        wish = self._wish()
        self._declaration()
        self._undeclared()
        self._notified()
        self._settings()
        self._driver()
        if wish is not None:
            self.errors += conflicts(wish)
            self._use(wish)
            self._expiry(wish)

    def _get(self, name: str) -> t.Any:
        return self._variables.get(name)

    def _wish(self) -> t.Optional[NodeWish]:
        given = [name for name in LAYERS if self._get(name)]
        if self._get("mig_parted"):
            if given:
                self.errors.append(f"mig_parted and {', '.join(given)} exclude each other; keep one form of the wish")
            if not self._get("mig_parted_label"):
                self.errors.append("mig_parted_label is missing; give the label of mig_parted that the host gets")
            return None  # the document is a file of the control node; the lookup of role mig reads and judges it
        try:
            everybody, group, host = (self._get(name) for name in LAYERS)
            return parse(everybody, group, host, prefix="mig_")
        except WishError as error:
            self.errors += error.message.splitlines()
            return None

    def _declaration(self) -> None:
        use = self._get("accel_gpu_use") or "compute"
        if use not in USES:
            self.errors.append(f"accel_gpu_use: {use!r} is unknown; allowed are {', '.join(USES)}")
        for read in (lambda: parse_expected(self._get("accel_gpu_expected")), self._exceptions):
            try:
                read()
            except WishError as error:
                self.errors += error.message.splitlines()

    def _undeclared(self) -> None:
        wishes = [name for name in (*LAYERS, "mig_parted") if self._get(name)]
        if wishes and not self._get("accel_gpu_expected") and self._get("accel_gpu_use") != "none":
            self.warnings.append(
                f"{', '.join(wishes)}: MIG is wished, but the host declares no GPU and is skipped; "
                "declare its GPUs, as accel_gpu_expected: {count: 8}, or that it has none, as accel_gpu_use: none"
            )

    def _exceptions(self) -> None:
        for fault in parse_exceptions(self._get("accel_gpu_exceptions")):
            if fault.until < self._today:
                self.warnings.append(expired(fault))

    def _notified(self) -> None:
        try:
            restarts.parse(self._get("mig_notify"), "mig_notify")
        except WishError as error:
            self.errors += error.message.splitlines()

    def _settings(self) -> None:
        errors, warnings = settings.problems(self._variables, self._today)
        self.errors += errors
        self.warnings += warnings

    def _driver(self) -> None:
        try:
            parse_driver(self._driver_options(), self._today)
        except WishError as error:
            self.errors += error.message.splitlines()

    def _driver_options(self) -> t.Dict[str, t.Any]:
        """As the role hands them to its module. A key in a file is read and judged there."""
        names = [name for name in DRIVER_OPTIONS if name != "address_prefix"]
        found = {name: self._get(f"gpu_driver_{name}") for name in names}
        options = {name: value for name, value in found.items() if value not in (None, "")}
        mirror = options.get("mirror")
        if isinstance(mirror, dict) and "BEGIN PGP" not in str(mirror.get("key") or ""):
            options["mirror"] = {name: value for name, value in mirror.items() if name not in ("key", "fingerprint")}
        if self._get("gpu_driver_enabled") is False:
            return {}
        return {**options, "address_prefix": "gpu_driver_"}

    def _use(self, wish: NodeWish) -> None:
        use = self._get("accel_gpu_use")
        for item in wish.gpus:
            if use in _WITHOUT_MIG and item.mig:
                self.errors.append(
                    f"{item.address}: wishes MIG, but accel_gpu_use is {use}; "
                    "remove the item for this host, or set accel_gpu_use: compute"
                )

    def _expiry(self, wish: NodeWish) -> None:
        for item in wish.gpus:
            if item.until is not None and item.until < self._today:
                self.warnings.append(f"{item.address}: expired on {item.until}{_because(item)}")


def expired(fault: KnownFault) -> str:
    """The warning for an exception that outlived its date."""
    return f"{fault.address}: expired on {fault.until} ({fault.gpu} {fault.state}: {fault.reason}); repair or extend it"


def _because(item: GpuWish) -> str:
    return f" (reason: {item.reason}); remove or extend it" if item.reason else "; remove or extend it"
