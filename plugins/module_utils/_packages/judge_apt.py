# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What apt and dpkg refuse, as errors that say what to do. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .. import _errors as errors
from . import judge
from .parse_apt import repository_problems

_LOCK = re.compile(
    r"(?:Could not get lock|Could not open lock file) (\S+?)\.? (?:It is held by process (\d+) \(([^)]*)\))?"
)
_DPKG_LOCK = re.compile(r"dpkg frontend lock|dpkg status database is locked")
_VERSION = re.compile(r"Version '([^']+)' for '([^']+)' was not found")
_NO_PACKAGE = re.compile(r"Unable to locate package (\S+)|Package '([^']+)' has no installation candidate")
_NO_SPACE = re.compile(r"(?:to '|write to '|'|^\s*)(/[^']*?)'?: .*No space left on device", re.MULTILINE)
_ARCHIVES = "/var/cache/apt/archives"
_SPACE_WORDS = "No space left on device"
_NO_CACHE = re.compile(r"You don't have enough free space in (\S+?)\.?$", re.MULTILINE)
_NEEDED = re.compile(r"Need to get ([\d.,]+) ([kMG]?B)")
_HELD = re.compile(r"^The following held packages will be changed:\n((?:  .*\n)+)", re.MULTILINE)
_DOWNGRADED = re.compile(r"^The following packages will be DOWNGRADED:\n((?:  .*\n)+)", re.MULTILINE)
_UNMET = re.compile(r"^The following packages have unmet dependencies:\n((?: .*\n)+)", re.MULTILINE)
_DEPENDS = re.compile(r"(?:Depends|PreDepends|Conflicts|Breaks): (\S+)")
_PROCESSING = re.compile(r"^dpkg: error processing (?:package|archive) (\S+?)(?::\w+)? \(", re.MULTILINE)
_SETTING = re.compile(r"^Setting up (\S+?)(?::\w+)? \(.*$", re.MULTILINE)
_NOISE = re.compile(
    r"^(?:debconf: delaying package|Reading |Building |\(Reading database|Get:\d|Fetched |Selecting previously|"
    r"Preparing to|Unpacking |Errors were encountered|E: Sub-process /usr/bin/dpkg|"
    r"update-alternatives: warning|adduser: |Created symlink|Could not execute systemctl| \S+$).*$",
    re.MULTILINE,
)
_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}


class Asked(t.NamedTuple):
    """What is known where something failed: versions in the repositories and foreign holds."""

    versions: t.Mapping[str, t.Sequence[str]] = {}
    holds: t.FrozenSet[str] = frozenset()


NOTHING = Asked()


def failure(out: str, err: str, waited: float, asked: Asked = NOTHING) -> errors.AccelError:
    """The error for what apt-get said when it did not end with 0."""
    both = f"{out}\n{err}"
    for look in (_locked, _state, _space, _missing, _unwilling, _repository):
        found = look(both, err, waited, asked)
        if found is not None:
            return found
    names = set(_PROCESSING.findall(both))
    # Of packages that went well nobody wants to read.
    text = _SETTING.sub(lambda line: line[0] if line[1] in names else "", _NOISE.sub("", both))
    return judge.failed(sorted(names), text)


def _locked(both: str, _err: str, waited: float, _asked: Asked) -> t.Optional[errors.AccelError]:
    lock = _LOCK.search(both + " ")
    if lock is not None:
        return judge.locked(lock[1], int(lock[2]) if lock[2] else None, lock[3] or "", waited)
    if _DPKG_LOCK.search(both):
        return judge.locked("/var/lib/dpkg/lock-frontend", None, "", waited)
    return None


def _state(both: str, _err: str, _waited: float, _asked: Asked) -> t.Optional[errors.AccelError]:
    if "dpkg was interrupted" in both:
        problem = "dpkg was interrupted"
        return errors.PackageStateError(
            f"{problem} on this node; run dpkg --configure -a there, then run again", problems=[problem]
        )
    return None


def _space(both: str, _err: str, _waited: float, _asked: Asked) -> t.Optional[errors.AccelError]:
    cache = _NO_CACHE.search(both)
    if cache is not None:
        size = _NEEDED.search(both)
        needed = int(float(size[1].replace(",", "")) * _UNITS[size[2]]) if size else None
        return judge.disk_full(cache[1], needed, None)
    if _SPACE_WORDS not in both:
        return None
    full = _NO_SPACE.search(both)
    # Without a path it was a download that found no room.
    return judge.disk_full(full[1].replace(".dpkg-new", "") if full else _ARCHIVES, None, None)


def _missing(both: str, _err: str, _waited: float, asked: Asked) -> t.Optional[errors.AccelError]:
    version = _VERSION.search(both)
    if version is not None:
        return judge.version_missing(version[2], version[1], asked.versions.get(version[2], ()))
    package = _NO_PACKAGE.search(both)
    if package is not None:
        return judge.version_missing(package[1] or package[2], None, ())
    return None


def _unwilling(both: str, _err: str, _waited: float, asked: Asked) -> t.Optional[errors.AccelError]:
    """apt could do it, but not as it was asked."""
    down = _DOWNGRADED.search(both)
    if down is not None and "without --allow-downgrades" in both:
        names = down[1].split()
        return judge.downgraded(names)
    changed = _HELD.search(both)
    if changed is not None and "without --allow-change-held-packages" in both:
        return judge.held(changed[1].split())
    unmet = _UNMET.search(both)
    if unmet is None:
        return None
    foreign = sorted(set(_DEPENDS.findall(unmet[1])) & asked.holds)
    if foreign:
        return judge.held(foreign)
    lines = [" ".join(line.split()) for line in unmet[1].splitlines()]
    return judge.dependency(lines)


def _repository(_both: str, err: str, _waited: float, _asked: Asked) -> t.Optional[errors.AccelError]:
    found = repository_problems(err)
    return judge.repository_error(*found[0]) if found else None
