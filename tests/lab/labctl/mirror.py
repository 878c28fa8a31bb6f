# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package sources of this machine, taken over for the nodes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from labctl.common import LabError

# The address of a Debian archive, for a machine whose own sources name none.
VARIABLE = "ACCEL_DEBIAN_ARCHIVE"
APT = Path("/etc/apt")


def source_lines(suite: str, components: tuple[str, ...], apt: Path = APT) -> list[str]:
    """One-line sources for `suite`, its updates and its security archive, from the mirrors that this machine uses.

    The archive's address is that of the same suite, else of another one. A machine without a security archive gives
    its nodes none.
    """
    known = _known(apt)
    archive = os.environ.get(VARIABLE) or _archive(known, suite)
    if not archive:
        raise LabError(
            f"no Debian archive is among the package sources in {apt}; set {VARIABLE} to the address of one, "
            "the lab's nodes are made from it"
        )
    words = " ".join(components)
    lines = [f"deb {archive} {suite} {words}", f"deb {archive} {suite}-updates {words}"]
    security = _security(known, suite)
    return [*lines, f"deb {security} {suite}-security {words}"] if security else lines


def _security(known: list[tuple[str, str]], suite: str) -> str | None:
    """One security archive serves all suites."""
    found = {name: address for address, name in known if name.endswith("-security") and "ubuntu" not in address}
    return found.get(f"{suite}-security") or next(iter(found.values()), None)


def proxy_options() -> list[str]:
    """apt's proxy settings of this machine in apt's own syntax, so that a node's image is made the same way."""
    try:
        done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return re.findall(r"^(Acquire::https?::[Pp]roxy \"[^\"]+\");$", done.stdout, flags=re.MULTILINE)


def _archive(known: list[tuple[str, str]], suite: str) -> str | None:
    """The address of Debian's archive among all sources.

    Other people's repositories use Debian's suite names too, but only the archive has updates of a suite beside it.
    """
    pairs = set(known)
    for exactly in (True, False):
        for address, name in known:
            wanted = name == suite if exactly else "ubuntu" not in address
            if wanted and (address, f"{name}-updates") in pairs:
                return address
    return None


def _known(apt: Path) -> list[tuple[str, str]]:
    """(address, suite) of every enabled binary source."""
    found: list[tuple[str, str]] = []
    for path in sorted([apt / "sources.list", *apt.glob("sources.list.d/*.list")]):
        if path.is_file():
            found += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", path.read_text(), flags=re.MULTILINE)
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        for paragraph in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, flags=re.MULTILINE))
            if fields.get("Enabled", "yes").lower() == "no" or "deb" not in fields.get("Types", "").split():
                continue
            found += [
                (address, suite)
                for address in fields.get("URIs", "").split()
                for suite in fields.get("Suites", "").split()
            ]
    return found
