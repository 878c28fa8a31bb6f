# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of zypper --xmlout as values. PRIVATE to the collection.

Its output is XML as far as zypper writes it; what a program printed in between need not be, so it is read by its tags.
"""

from __future__ import annotations

import html
import re
import typing as t

from .objects import Change, Request
from .parse_rpm import newest_first, plain

_SECTION = re.compile(r"<to-([a-z-]+)>(.*?)</to-\1>", re.DOTALL)
_SOLVABLE = re.compile(r"<solvable ([^>]*?)/?>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_SIZE = re.compile(r'<install-summary download-size="(\d+)"')
_GROWS = re.compile(r'<install-summary [^>]*space-usage-diff="([+-]?\d+)"')
_MESSAGE = re.compile(r'<message type="(\w+)">(.*?)</message>', re.DOTALL)
_PROBLEM = re.compile(r"<description>(Problem: .*?)</description>", re.DOTALL)
# Packages that stay, with another vendor or architecture, change all the same.
_IGNORED = frozenset(("reinstall",))


def versions(out: str) -> t.Dict[str, t.Tuple[str, ...]]:
    """Versions that repositories offer, newest first, from search -s; what is only installed is in none."""
    found: t.Dict[str, t.List[str]] = {}
    for row in _solvables(out):
        if row.get("kind") == "package" and row.get("repository") != "(System Packages)":
            found.setdefault(row["name"], []).append(plain(row["edition"]))
    return {name: newest_first(editions) for name, editions in found.items()}


def changes(out: str, there: t.Container[str] = ()) -> t.Tuple[Change, ...]:
    """What the summary of an installation announces. What is to be installed and is `there` already comes beside it, as
    kernels and their headers do."""
    found = []
    for section, text in _SECTION.findall(out):
        if section in _IGNORED:
            continue
        for row in _solvables(text):
            if row.get("type") != "package":
                continue
            old = plain(row["edition-old"]) if "edition-old" in row else None
            edition = plain(row["edition"])
            if section == "remove":
                found.append(Change(row["name"], edition, None))
            else:
                beside = section == "install" and old is None and row["name"] in there
                found.append(Change(row["name"], old, edition, beside))
    return tuple(found)


def download_bytes(out: str) -> int:
    size = _SIZE.search(out)
    return int(size[1]) if size else 0


def grows(out: str) -> int:
    """By so many bytes what is installed grows."""
    size = _GROWS.search(out)
    return int(size[1]) if size else 0


def said(out: str, kind: str = "") -> t.Tuple[str, ...]:
    """Messages of a kind (error, warning, info), or all."""
    return tuple(html.unescape(text).strip() for one, text in _MESSAGE.findall(out) if kind in ("", one))


def problem(out: str) -> t.Tuple[str, ...]:
    """The lines of the solver's problem and of what it would do about it; none if there is no problem."""
    found = _PROBLEM.search(out)
    return tuple(line.strip() for line in html.unescape(found[1]).strip().splitlines()) if found else ()


def words(request: Request, there: t.Container[str]) -> t.Tuple[str, ...]:
    """What zypper install is told: name, name=version, and !name to remove."""
    install = [name if version is None else f"{name}={version}" for name, version in request.install]
    return (*install, *(f"!{name}" for name in request.remove if name in there))


def _solvables(text: str) -> t.List[t.Dict[str, str]]:
    return [
        {key: html.unescape(value) for key, value in _ATTRIBUTE.findall(attributes)}
        for attributes in _SOLVABLE.findall(text)
    ]
