# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of apt and dpkg, in the C locale, as values. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .objects import Change, Package

# What dpkg-query is asked for; Status-Abbrev is wish, state and error, a letter each.
# for apt-get indextargets
TARGET = "$(COMPONENT)\t$(SOURCESENTRY)"
QUERY = "${db:Status-Abbrev}\\t${Package}\\t${Version}\\t${Architecture}\\n"

# States of dpkg that wait for work that was not done. Triggers are done by whoever comes next and are in order.
_UNDONE = {"H": "half installed", "U": "unpacked, not configured", "F": "half configured"}
_INSTALL = re.compile(r"^Inst (\S+)(?: \[([^\]]+)\])? \((\S+) ", re.MULTILINE)
_REMOVE = re.compile(r"^(?:Remv|Purg) (\S+) \[([^\]]+)\]", re.MULTILINE)
_STEP = re.compile(r"^(Inst|Remv|Purg) ")
_DOWNLOAD = re.compile(r"^'[^']+' \S+ (\d+) ", re.MULTILINE)
_OWNER = re.compile(r"^([^\s:,]+)(?::\S+?)?(?:,.*)?: (/.*)$")
_URL = r"([a-z0-9+.-]+:/\S*)"
# A flat repository has no suite: two blanks stand behind its address.
_SIGNATURE = re.compile(rf"^\w+: (?:GPG error|OpenPGP signature verification failed): {_URL} (\S*) \S+: (.*)$")
_UNSIGNED = re.compile(rf"^\w+: The repository '{_URL} (\S*) \S+' is not signed")
_NO_RELEASE = re.compile(rf"^\w+: The repository '{_URL} (\S*) \S+' (?:does not have|no longer has) a Release file")
_FETCH = re.compile(rf"^\w+: Failed to fetch {_URL}\s+(.*)$")
_CONFLICT = re.compile(rf"^\w+: (Conflicting values set for option \S+) regarding source {_URL} (\S+): (.*)$")
_STALE = re.compile(rf"^\w+: Release file for {_URL} (is expired|is not valid yet)(.*)$")
# (what the words contain, what it means); the first that fits. The last line has the words of sqv, which Debian 13 and
# Ubuntu 25.04 ask. gpgv says of a weak digest only that the signature by a key (its whole fingerprint) is invalid.
_REASONS: t.Tuple[t.Tuple[str, str], ...] = (
    (r"NO_PUBKEY|Missing key|no_key", "no_key"),
    (r"SHA-?1 is not considered secure|weak digest|were invalid: [0-9A-F]{40}$", "sha1"),
    (r"EXPKEYSIG|EXPSIG|[Ee]xpired on|is expired|certificate is expired", "expired"),
    (r"REVKEYSIG|[Rr]evoked", "revoked"),
    (r"BADSIG|[Bb]ad signature", "bad_signature"),
    (r"unexpected size|Hash Sum mismatch|Clearsigned file isn't valid", "damaged"),
    (r"^404|404 +Not Found|File not found|No such file", "missing"),
    (r"^40[13]|^407|Forbidden|Unauthorized", "denied"),
    (r"[Cc]ertificate", "certificate"),
    (r"connect|resolve|[Tt]imed out|timeout|Connection|unreachable|No route", "unreachable"),
)


class RepositoryProblem(t.NamedTuple):
    """`reason` is one of those in judge_repository."""

    url: str
    reason: str
    detail: str


def components(out: str) -> t.Tuple[t.Tuple[str, str], ...]:
    """(component, file) from apt-get indextargets with TARGET; a flat repository has none."""
    rows = (line.split("\t") for line in out.splitlines())
    return tuple(dict.fromkeys((row[0], row[1].rpartition(":")[0]) for row in rows if len(row) == 2 and row[0]))


def installed(out: str) -> t.Tuple[Package, ...]:
    """Packages that are really there (state installed, without error), from dpkg-query."""
    return tuple(Package(name, version, arch) for state, name, version, arch in _rows(out) if state[1:] == "i")


def undone(out: str) -> t.Tuple[t.Tuple[str, str], ...]:
    """(package, what was not finished), from dpkg-query."""
    found = []
    for state, name, _version, _arch in _rows(out):
        if state[2:] == "R":
            found.append((name, "broken, to be installed again"))
        elif state[1:2] in _UNDONE:
            found.append((name, _UNDONE[state[1]]))
    return tuple(found)


def broken(out: str) -> t.Tuple[str, ...]:
    """Packages whose files dpkg left half-way; it cannot configure them."""
    return tuple(name for state, name, _version, _arch in _rows(out) if state[1:2] == "H" or state[2:] == "R")


def known(out: str) -> t.Dict[str, str]:
    """Package → state letter of dpkg: n is not installed, c has its configuration files only."""
    return {name: state[1:2] for state, name, _version, _arch in _rows(out)}


def _rows(out: str) -> t.Iterator[t.Tuple[str, str, str, str]]:
    for line in out.splitlines():
        parts = line.split("\t")
        if len(parts) == 4:
            yield parts[0].rstrip(), parts[1], parts[2], parts[3]


def versions(out: str) -> t.Dict[str, t.Tuple[str, ...]]:
    """Versions of each package in the repositories, newest first, from apt-cache madison."""
    found: t.Dict[str, t.Tuple[str, ...]] = {}
    for line in out.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 3 and not parts[2].endswith(" Sources"):
            known = found.get(parts[0], ())
            found[parts[0]] = known if parts[1] in known else (*known, parts[1])
    return found


def changes(out: str) -> t.Tuple[Change, ...]:
    """What apt-get -s would do, in its order."""
    found = []
    for line in out.splitlines():
        if _STEP.match(line) is None:
            continue
        install, remove = _INSTALL.match(line), _REMOVE.match(line)
        if install is not None:
            found.append(Change(install[1], install[2], install[3]))
        elif remove is not None:
            found.append(Change(remove[1], remove[2], None))
    # Replaced by a newer one, apt may take a package away before it installs it.
    names = {change.name for change in found if change.after is not None}
    return tuple(change for change in found if change.after is not None or change.name not in names)


def download_bytes(out: str) -> int:
    """What is not in the cache yet, from apt-get --print-uris."""
    return sum(int(size) for size in _DOWNLOAD.findall(out))


def installed_sizes(out: str) -> t.Dict[str, int]:
    """Package → bytes that it takes on the disk, from dpkg-query or apt-cache show (KiB there)."""
    found: t.Dict[str, int] = {}
    for paragraph in re.split(r"\n\s*\n", out):
        fields = dict(re.findall(r"^(Package|Installed-Size): *(\S+)$", paragraph, flags=re.MULTILINE))
        if "Package" in fields:
            found[fields["Package"]] = 1024 * int(fields.get("Installed-Size", "0"))
    return found


def owner(out: str, path: str) -> t.Optional[str]:
    """The package that owns `path`, from dpkg-query -S."""
    for line in out.splitlines():
        match = _OWNER.match(line)
        if match is not None and match[2] == path:
            return match[1]
    return None


def repository_problems(err: str) -> t.Tuple[RepositoryProblem, ...]:
    """Each repository that apt could not use, once, with what it says."""
    found: t.Dict[str, RepositoryProblem] = {}
    for line in _joined(err):
        problem = _signature(line) or _fetch(line)
        if problem is not None and not any(_same(problem.url, url) for url in found):
            found[problem.url] = problem
    return tuple(found.values())


def _joined(err: str) -> t.Iterator[str]:
    """One line for each message: what follows it indented (from sqv) is part of it."""
    message = ""
    for line in err.splitlines():
        if re.match(r"^(?:[EWN]|Error|Warning|Notice): ?", line):
            yield message
            message = re.sub(r"^(\w+): ?", r"\1: ", line)
        else:
            message += " " + line.strip()
    yield message


def _signature(line: str) -> t.Optional[RepositoryProblem]:
    said = _SIGNATURE.match(line)
    if said is not None:
        return RepositoryProblem(f"{said[1]} {said[2]}".strip(), _reason(said[3], "bad_signature"), said[3].strip())
    unsigned = _UNSIGNED.match(line)
    if unsigned is not None:
        return RepositoryProblem(f"{unsigned[1]} {unsigned[2]}".strip(), "unsigned", "it has no signature")
    conflict = _CONFLICT.match(line)
    if conflict is not None:
        return RepositoryProblem(f"{conflict[2]} {conflict[3]}", "conflict", f"{conflict[1]}: {conflict[4]}")
    return None


def _fetch(line: str) -> t.Optional[RepositoryProblem]:
    missing = _NO_RELEASE.match(line)
    if missing is not None:
        return RepositoryProblem(f"{missing[1]} {missing[2]}".strip(), "missing", "it has no Release file")
    stale = _STALE.match(line)
    if stale is not None:
        return RepositoryProblem(stale[1], "stale", f"its Release file {stale[2]}{stale[3].split('.')[0]}")
    fetch = _FETCH.match(line)
    if fetch is not None:
        return RepositoryProblem(fetch[1], _reason(fetch[2], "unreachable"), _short(fetch[2]))
    return None


def _short(text: str) -> str:
    """Without the addresses and the hashes that follow the sentence."""
    return re.split(r" \[IP: | Hashes of expected file:", text)[0].strip()


def _reason(text: str, other: str) -> str:
    return next((reason for words, reason in _REASONS if re.search(words, text)), other)


def _same(url: str, known: str) -> bool:
    """apt complains of one repository twice: of its signature, then that it is not signed or was not fetched."""
    return url == known or (" " not in url and url.startswith(known.split()[0]))
