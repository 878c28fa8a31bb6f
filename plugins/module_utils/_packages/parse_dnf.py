# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of dnf 4, in the C locale, as values. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .objects import Change, Request
from .parse_rpm import compare, newest_first, plain

# for dnf repoquery
QUERY = "%{name}\\t%{epoch}:%{version}-%{release}\\t%{arch}"
_FOREIGN = frozenset(("i386", "i486", "i586", "i686"))
# headings of dnf's table → what happens to the packages below
_SECTIONS: t.Tuple[t.Tuple[str, str], ...] = (
    ("Installing", "new"), ("Upgrading", "in"), ("Downgrading", "in"), ("Removing", "out"), ("Reinstalling", ""),
)  # fmt: skip
_REPLACED = re.compile(r"^\s+replacing\s+(\S+)\.(\S+)\s+(\S+)")
_INSTALLED_SIZE = re.compile(r"^Installed size: ([\d.]+) ?([kMG]?)", re.MULTILINE)
_SIZE = re.compile(r"^Total (?:download )?size: ([\d.]+) ?([kMG]?)", re.MULTILINE)
_UNITS = {"": 1, "k": 1024, "M": 1024**2, "G": 1024**3}


def versions(out: str) -> t.Dict[str, t.Tuple[str, ...]]:
    """Versions of each package, newest first, from dnf repoquery with QUERY."""
    found: t.Dict[str, t.List[str]] = {}
    for line in out.splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            found.setdefault(_name(parts[0], parts[2]), []).append(plain(parts[1]))
    return {name: newest_first(versions) for name, versions in found.items()}


def streams(out: str, module: str) -> t.Tuple[str, ...]:
    """From dnf module list: rows of name and stream, for each repository again."""
    rows = (line.split() for line in out.splitlines())
    return tuple(dict.fromkeys(row[1] for row in rows if len(row) > 1 and row[0] == module))


def enabled(text: str) -> t.Optional[str]:
    """The stream that a file of /etc/dnf/modules.d enables."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return pairs.get("stream") or None if pairs.get("state") == "enabled" else None


def changes(out: str, installed: t.Mapping[str, str]) -> t.Tuple[Change, ...]:
    """What dnf's table announces. A row may be broken into lines where a name is long. What is to be installed and is
    `installed` already comes beside it, as kernels and their headers do."""
    found: t.List[Change] = []
    kind, row = "", []  # type: str, t.List[str]
    for line in [*out.splitlines(), ""]:
        if not line.startswith("  ") and row:
            found.extend(_change(kind, row, installed))
            row = []
        replaced = _REPLACED.match(line)
        if replaced is not None:
            found.append(Change(_name(replaced[1], replaced[2]), plain(replaced[3]), None))
        elif line[:1].strip():
            # Rows of modules stand below headings that are none of ours.
            kind = next((word for start, word in _SECTIONS if line.startswith(start) and line.endswith(":")), "")
        elif kind:
            row += line.split()
    return tuple(found)


def _change(kind: str, row: t.Sequence[str], installed: t.Mapping[str, str]) -> t.List[Change]:
    if len(row) < 4:
        return []
    name, version = _name(row[0], row[1]), plain(row[2])
    if kind == "out":
        return [Change(name, version, None)]
    there = installed.get(name)
    return [Change(name, None, version, there is not None) if kind == "new" else Change(name, there, version)]


def _name(name: str, arch: str) -> str:
    return f"{name}.{arch}" if arch in _FOREIGN else name


def download_bytes(out: str) -> int:
    """As dnf rounds it; what is in the cache already counts too."""
    return _bytes(_SIZE.search(out))


def installed_bytes(out: str) -> int:
    """What comes takes so much on the disk, as dnf rounds it; what goes for it is not taken off."""
    return _bytes(_INSTALLED_SIZE.search(out))


def _bytes(size: t.Optional[t.Match[str]]) -> int:
    return int(float(size[1]) * _UNITS[size[2]]) if size else 0


def downgrades(found: t.Iterable[Change]) -> t.Tuple[str, ...]:
    return tuple(
        change.name
        for change in found
        if change.before is not None and change.after is not None and compare(change.after, change.before) < 0
    )


def script(request: Request, there: t.Container[str]) -> str:
    """The request for dnf shell. Packages to remove are named only if they are `there`."""
    lines = []
    if request.module is not None:
        # Another stream of the module is left for it: the option module_stream_switch is set.
        lines.append(f"module {'enable' if ':' in request.module else 'reset'} {request.module}")
    remove = [name for name in request.remove if name in there]
    if remove:
        lines.append(f"remove {' '.join(remove)}")
    install = [name if version is None else f"{name}-{version}" for name, version in request.install]
    if install:
        lines.append(f"install {' '.join(install)}")
    return "\n".join([*lines, "run"]) + "\n"
