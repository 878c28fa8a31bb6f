# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What zypper refuses, as errors that say what to do. PRIVATE to the collection."""

from __future__ import annotations

import os.path
import re
import typing as t

from .. import _errors as errors
from . import judge
from .objects import Request
from .parse_zypper import problem, said

# exit codes, from zypper's manual page
LOCKED, NO_REPOSITORIES, NOT_FOUND, SCRIPT_FAILED = 7, 6, 104, 107
# A repository without an index was passed over; all else was done.
PASSED_OVER = 106
# 100 to 103 say that something is owed: updates, a reboot, a restart of zypper
DONE = frozenset((0, 100, 101, 102, 103))

_LOCKED = re.compile(r"locked by the application with pid (\d+) \(([^)]*)\)")
_NO_PROVIDER = re.compile(
    r"No provider of '([^']+)' found|Package '([^']+)' not found|No matching items found for '([^']+)'"
)
_HELD = re.compile(r"remove lock to allow (?:removal|installation) of (\S+?)-(?:\d+:)?[^-\s]+-[^-\s]+(?:\[|$|\s)")
_REPOSITORY = re.compile(r"^\[([^|\]]+)\|([^\]]*)\] (.*)$", re.MULTILINE)
# of a repository that is in the cache already
_RETRIEVING = re.compile(r"Problem retrieving files from '([^']+)'\.")
_MEDIUM = re.compile(r"Download \(curl\) error for '([^']+)'|(?<=on medium )'([^']+)'")
_TOLD = re.compile(r"^Error message: (.*)$|^(File '.*)$", re.MULTILINE)
_SPACE = re.compile(r"needs? (\d+)([KMG]?B) (?:more space )?on the (\S+) filesystem")
_SCRIPT = re.compile(r"%\w+\(([\w.+-]+?)-(?:\d+:)?[^-()]+-[^-()]+\) scriptlet failed")
_NOISE = re.compile(
    r"^(?:Loading repository|Reading installed|Resolving package|Retrieving |Additional rpm output|"
    r"Please see the above|Problem occurred during|Installation of \S+ failed:$|rpm: RPM should not|rpm: However).*$",
    re.MULTILINE,
)
_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_REASONS: t.Tuple[t.Tuple[str, str], ...] = (
    (r"SHA-?1", "sha1"),
    (r"is not signed|unsigned", "unsigned"),
    (r"[Ee]xpired", "expired"),
    (r"unknown key|signed with an unknown", "no_key"),
    (r"[Ss]ignature verification failed", "bad_signature"),
    (r"connect|resolve|timed out|[Tt]imeout", "unreachable"),
    (r"403|401|[Pp]ermission to access", "denied"),
    (r"404|not found|File '[^']*' not", "missing"),
    (r"SSL|certificate", "certificate"),
)


class Asked(t.NamedTuple):
    request: Request = Request()
    versions: t.Mapping[str, t.Sequence[str]] = {}


NOTHING = Asked()


def refuses(code: int, out: str, also: t.Container[int] = ()) -> bool:
    """A script that failed after the installation is a code of its own for zypper. `also`: codes that are no failure of
    this command."""
    return (code not in DONE and code not in also) or "scriptlet failed" in out


def failure(code: int, out: str, err: str, waited: float, asked: Asked = NOTHING) -> errors.AccelError:
    both = "\n".join((*said(out), out if "<stream>" not in out else "", err))
    lock = _LOCKED.search(both)
    if lock is not None or code == LOCKED:
        pid = int(lock[1]) if lock is not None else None
        return judge.locked("/run/zypp.pid", pid, os.path.basename(lock[2]) if lock is not None else "", waited)
    lines = problem(out)
    if lines:
        held = sorted(set(_HELD.findall("\n".join(lines))))
        return judge.held(held) if held else judge.dependency(_unsolved(lines))
    found = _space(both) or _missing(both, asked) or _repository(both)
    if found is not None:
        return found
    told = "\n".join((*said(out, "error"), err)) if said(out, "error") else both
    return judge.failed(sorted(set(_SCRIPT.findall(both))), _NOISE.sub("", told))


def _unsolved(lines: t.Sequence[str]) -> t.Tuple[str, ...]:
    """The problem without the solutions that zypper offers."""
    end = next((place for place, line in enumerate(lines) if line.startswith("Solution ")), len(lines))
    return tuple(line.replace("Problem: ", "") for line in lines[:end])


def _space(both: str) -> t.Optional[errors.AccelError]:
    space = _SPACE.search(both)
    if space is not None:
        return judge.disk_full(space[3], int(space[1]) * _UNITS[space[2]], None, more=True)
    full = re.search(r"(/\S+?)['\"]?: .*No space left on device", both)
    if full is not None or "No space left on device" in both:
        return judge.disk_full(full[1] if full is not None else "/var/cache/zypp", None, None)
    return None


def _missing(both: str, asked: Asked) -> t.Optional[errors.AccelError]:
    match = _NO_PROVIDER.search(both)
    if match is None:
        return None
    name, _equals, version = (match[1] or match[2] or match[3]).partition("=")
    return judge.version_missing(name, version or None, asked.versions.get(name, ()))


def _repository(both: str) -> t.Optional[errors.AccelError]:
    match = _REPOSITORY.search(both)
    reason = next((one for words, one in _REASONS if re.search(words, both)), "unreachable")
    if match is None:
        cached = _RETRIEVING.search(both)
        return None if cached is None else _stale(cached[1], both, reason)
    history = re.search(r"^ - (.*)$", both, re.MULTILINE)
    return judge.repository_error(
        f"{match[1]} ({match[2]})", reason, history[1].replace("[|] ", "") if history else match[3]
    )


def _stale(name: str, both: str, reason: str) -> errors.AccelError:
    address = _MEDIUM.search(both)
    told = _TOLD.search(both)
    where = f"{name} ({address[1] or address[2]})" if address else name
    return judge.repository_error(where, reason, (told[1] or told[2]) if told else "no reason given")
