# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dnf and zypper share: rpm's answers and order of versions, the files of locks. PRIVATE to the collection."""

from __future__ import annotations

import fnmatch
import functools
import re
import typing as t

from .objects import Package

QUERY = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\n"
_PART = re.compile(r"\d+|[A-Za-z]+|~|\^")
# A lock of dnf's versionlock: a full name, of which each part may be a pattern; ! is an exclusion.
_LOCK = re.compile(r"^!?(?P<name>\S+?)-(?:\d+:)?(?P<version>[^-\s]+)-(?P<release>[^-\s]+)$")
# Several versions of these lie side by side in a system that is in order.
_SEVERAL = re.compile(r"^(?:kernel|kmod|gpg-pubkey)")


def plain(version: str) -> str:
    """Without an epoch of 0, as dnf and zypper write it."""
    return version[2:] if version.startswith("0:") else version


def packages(out: str) -> t.Tuple[Package, ...]:
    """From rpm -q with QUERY."""
    rows = (line.split("\t") for line in out.splitlines())
    return tuple(Package(row[0], plain(row[1]), row[2]) for row in rows if len(row) == 3)


def by_name(found: t.Iterable[Package]) -> t.Dict[str, t.Tuple[str, ...]]:
    """All versions of each package that are there."""
    versions: t.Dict[str, t.List[str]] = {}
    for one in found:
        versions.setdefault(one.name, []).append(one.version)
    return {name: tuple(several) for name, several in versions.items()}


def matching(found: t.Iterable[Package], patterns: t.Sequence[str]) -> t.Tuple[Package, ...]:
    """Those whose name fits one of the names or glob patterns."""
    return tuple(
        one for one in found if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)
    )  # fmt: skip


def twice(found: t.Iterable[Package]) -> t.Tuple[str, ...]:
    """Packages of which an interrupted transaction left two versions."""
    seen: t.Dict[t.Tuple[str, str], str] = {}
    double = set()
    for one in found:
        if seen.setdefault((one.name, one.arch), one.version) != one.version and not _SEVERAL.match(one.name):
            double.add(one.name)
    return tuple(sorted(double))


def newest_first(versions: t.Iterable[str]) -> t.Tuple[str, ...]:
    return tuple(sorted(set(versions), key=functools.cmp_to_key(compare), reverse=True))


def compare(one: str, other: str) -> int:
    """-1, 0 or 1: rpm's order of epoch:version-release."""
    left, right = _split(one), _split(other)
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    return _compare(left[1], right[1]) or _compare(left[2], right[2])


def _split(text: str) -> t.Tuple[int, str, str]:
    epoch, _colon, rest = text.rpartition(":")
    version, _dash, release = rest.partition("-")
    return int(epoch or 0), version, release


def _compare(one: str, other: str) -> int:
    """Digits count as numbers and more than letters, ~ sorts before the end, ^ after it."""
    left, right = _PART.findall(one), _PART.findall(other)
    for place in range(max(len(left), len(right))):
        a = left[place] if place < len(left) else ""
        b = right[place] if place < len(right) else ""
        if a != b:
            first, second = _rank(a), _rank(b)
            if first != second:
                return -1 if first < second else 1
    return 0


def _rank(part: str) -> t.Tuple[int, int, str]:
    if part == "~":
        return (0, 0, "")
    if part == "":
        return (1, 0, "")
    if part == "^":
        return (2, 0, "")
    return (4, int(part), "") if part.isdigit() else (3, 0, part)


def versionlock_names(text: str, found: t.Sequence[Package]) -> t.FrozenSet[str]:
    """Names of installed packages that a line of versionlock.list holds."""
    names: t.Set[str] = set()
    for line in _lock_lines(text):
        match = _LOCK.match(line)
        pattern = match["name"] if match else line.lstrip("!")
        names.update(one.name for one in found if fnmatch.fnmatchcase(one.name, pattern))
        if match is None:
            # A pattern such as *nvidia*580* speaks of names and versions together.
            whole = [(one.name, f"{one.name}-{one.version}.{one.arch}") for one in found]
            names.update(name for name, full in whole if fnmatch.fnmatchcase(full, pattern))
    return frozenset(names)


def versionlock_with(text: str, found: t.Iterable[Package]) -> str:
    """versionlock.list with these packages locked at their versions, in the form that dnf versionlock writes."""
    lines = [f"{one.name}-{one.version if ':' in one.version else '0:' + one.version}.*" for one in found]
    missing = [line for line in lines if line not in _lock_lines(text)]
    start = text if not text or text.endswith("\n") else text + "\n"
    return start + "".join(f"{line}\n" for line in missing)


def versionlock_without(text: str, names: t.Container[str]) -> str:
    """Without the locks of exactly these names; patterns are somebody else's."""
    kept = []
    for line in text.splitlines(keepends=True):
        match = _LOCK.match(line.strip())
        if match is None or line.lstrip().startswith(("#", "!")) or match["name"] not in names:
            kept.append(line)
    return "".join(kept)


def _lock_lines(text: str) -> t.List[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def zypp_lock_names(text: str, found: t.Sequence[Package]) -> t.FrozenSet[str]:
    """Names of installed packages that /etc/zypp/locks holds: paragraphs of fields, solvable_name is a glob."""
    names: t.Set[str] = set()
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(\w+): *(.*?) *$", paragraph, flags=re.MULTILINE))
        if fields.get("type", "package") == "package" and "solvable_name" in fields:
            names.update(one.name for one in found if fnmatch.fnmatchcase(one.name, fields["solvable_name"]))
    return frozenset(names)
