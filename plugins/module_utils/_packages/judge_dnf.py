# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dnf refuses, as errors that say what to do. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .. import _errors as errors
from . import judge
from .objects import Request

_LOCKED = re.compile(r"already locked by (\d+)(?:\s+The application with PID \d+ is: (\S+))?")
_RPM_LOCK = re.compile(r"can't create transaction lock on (\S+)")
_DOWNLOAD = re.compile(r"^Errors during downloading metadata for repository '([^']+)':\n((?:  - .*\n?)+)", re.MULTILINE)
_FAILED = re.compile(r"Failed to (?:download metadata|retrieve GPG key) for repo '([^']+)': (.*)")
_ADDRESS = re.compile(r" for (\w+:/\S+)")
_PACKAGE_KEY = re.compile(r"Public key for (\S+) is not installed|GPG Keys? (?:are|is) configured as: (\S+)")
_NO_MATCH = re.compile(r"(?:Unable to find a match:|for argument:) (.+)$", re.MULTILINE)
_NO_MODULE = re.compile(r"(?:missing|broken) groups or modules: (\S+)|Unable to resolve argument (\S+:\S+)")
_PROBLEM = re.compile(r"^ ?Problem(?: \d+)?: (.*\n(?:\s+- .*\n?)*)", re.MULTILINE)
_SPACE = re.compile(r"needs? (\d+)([KMG]?B) more space on the (\S+) filesystem")
_SCRIPT = re.compile(
    r"Error in \w+ scriptlet in rpm package ([\w.+-]+)$|%\w+\(([\w.+-]+?)-(?:\d+:)?[^-()]+-[^-()]+\) scriptlet failed",
    re.MULTILINE,
)
# The first two are an answer to a question, not a failure; the third is told of repositories that are passed over, and
# of others with an exit status.
_ERROR = re.compile(
    r"^Error: (?!Operation aborted|No matching Modules to list|Failed to download metadata for repo ).*$", re.MULTILINE
)
_NOISE = re.compile(
    r"^(?:Last metadata|Dependencies resolved|Operation aborted|New leaves|Installed|Failed|Complete|Nothing to do|"
    r"Error: Transaction failed| *\S+ *$|.* \d+/\d+ *$).*$",
    re.MULTILINE,
)
_STARTED = "Running transaction\n"
_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_REASONS: t.Tuple[t.Tuple[str, str], ...] = (
    # the first is what RHEL 9 and later say of SHA-1; not seen in a run here
    (r"SHA-?1", "sha1"),
    (r"GPG signature is not available|not signed", "unsigned"),
    (r"expired", "expired"),
    (r"Bad GPG signature|signature verification", "bad_signature"),
    (r"GPG key|Public key", "no_key"),
    (r"Status code: 404|file:// file|Curl error \(37\)", "missing"),
    (r"Status code: 40[137]", "denied"),
    (r"Curl error \((?:35|51|58|60|77)\)", "certificate"),
    (r"[Cc]hecksum", "damaged"),
)


class Asked(t.NamedTuple):
    request: Request = Request()
    versions: t.Mapping[str, t.Sequence[str]] = {}


NOTHING = Asked()


def refuses(code: int, out: str, err: str, simulated: bool) -> bool:
    """Whether dnf did not do all of it. dnf shell ends with 0 whatever happens; a failed script after the installation
    is a warning to it, but the package is not in order then. --assumeno ends with 1."""
    if _ERROR.search(err) or _PROBLEM.search(out) or "scriptlet failed" in out or "scriptlet in rpm" in err:
        return True
    return code not in ((0, 1) if simulated else (0,))


def failure(out: str, err: str, waited: float, asked: Asked = NOTHING) -> errors.AccelError:
    both = f"{out}\n{err}"
    found = _locked(both, waited) or _repository(err) or _space(both) or _missing(both, asked) or _dependency(both)
    if found is not None:
        return found
    # The table is of no interest where the transaction ran.
    told = both.partition(_STARTED)[2] or both
    return judge.failed(sorted({one or other for one, other in _SCRIPT.findall(both)}), _NOISE.sub("", told))


def _locked(both: str, waited: float) -> t.Optional[errors.AccelError]:
    lock = _LOCKED.search(both)
    if lock is not None:
        return judge.locked("dnf's lock", int(lock[1]), lock[2] or "", waited)
    rpm = _RPM_LOCK.search(both)
    return judge.locked(rpm[1], None, "", waited) if rpm is not None else None


def _repository(err: str) -> t.Optional[errors.AccelError]:
    failed = _FAILED.search(err)
    details = _DOWNLOAD.search(err)
    if failed is None and details is None:
        key = _PACKAGE_KEY.search(err)
        if key is None:
            return None
        return judge.repository_error(key[1] or key[2], "no_key", key[0])
    name = failed[1] if failed is not None else details[1] if details is not None else ""
    detail = failed[2] if failed is not None else ""
    if details is not None and "All mirrors were tried" in detail or not detail:
        detail = details[2].strip().splitlines()[0][2:] if details is not None else detail
    address = _ADDRESS.search(f"{detail} {details[2] if details is not None else ''}")
    where = f"{name} ({address[1]})" if address is not None else name
    reason = next((one for words, one in _REASONS if re.search(words, detail)), "unreachable")
    return judge.repository_error(where, reason, detail)


def _space(both: str) -> t.Optional[errors.AccelError]:
    space = _SPACE.search(both)
    if space is not None:
        return judge.disk_full(space[3], int(space[1]) * _UNITS[space[2]], None, more=True)
    full = re.search(r"(/\S+?)['\"]?: .*No space left on device", both)
    if full is not None or "No space left on device" in both:
        return judge.disk_full(full[1] if full is not None else "/var/cache/dnf", None, None)
    return None


def _missing(both: str, asked: Asked) -> t.Optional[errors.AccelError]:
    module = _NO_MODULE.search(both)
    if module is not None:
        return _no_stream(module[1] or module[2])
    match = _NO_MATCH.search(both)
    if match is None:
        return None
    given = match[1].split()[0]
    for name, version in asked.request.install:
        if version is not None and given == f"{name}-{version}":
            return judge.version_missing(name, version, asked.versions.get(name, ()))
    return judge.version_missing(given, None, ())


def _no_stream(stream: str) -> errors.AccelError:
    return errors.VersionMissingError(
        f"dnf module stream {stream} is in no repository of this node; dnf module list shows what is",
        package=stream,
        version=None,
        available=[],
    )


def _dependency(both: str) -> t.Optional[errors.AccelError]:
    problem = _PROBLEM.search(both)
    if problem is None:
        return None
    lines = [line.strip().lstrip("- ") for line in problem[1].splitlines()]
    return judge.dependency(lines)
