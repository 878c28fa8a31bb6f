# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which kernel boots next, from the texts of a boot loader. Pure. PRIVATE to the collection.

An honest answer or none: where GRUB's own words cannot be followed, the caller takes the highest version in /boot.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

_IMAGE = re.compile(r"(?:vmlinuz|vmlinux|Image|linux)-(\d\S*)$")
_OPENING = re.compile(r"^(menuentry|submenu)\s+(?P<title>'[^']*'|\"[^\"]*\"|\S+)(?P<rest>.*)\{$")
_ID = re.compile(r"(?:\$\{?menuentry_id_option\}?|--id)[ =]+('[^']*'|\"[^\"]*\"|\S+)")
_DEFAULT = re.compile(r"^\s*set\s+default=(\"[^\"]*\"|'[^']*'|\S+)\s*$", re.MULTILINE)
_LINUX = re.compile(r"^linux(?:16|efi)?\s+(\S+)")


def version_key(release: str) -> t.Tuple[t.Tuple[int, int, str], ...]:
    """Orders kernel releases as `sort -V` does: numbers by value, and a number after a word of letters."""
    parts = re.findall(r"\d+|[a-zA-Z]+", release)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def release_of(path: str) -> t.Optional[str]:
    """The kernel release that an image's name tells: "/boot/vmlinuz-6.1.0-32-amd64". Rescue images tell none."""
    match = _IMAGE.search(path.rsplit("/", 1)[-1])
    if match is None or "rescue" in path:
        return None
    return match.group(1)


def environment(text: str) -> t.Dict[str, str]:
    """The variables of a grubenv file."""
    lines = (line for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@dataclass
class _Block:
    """A menuentry, a submenu or anything else in braces of a grub.cfg. `place` is its number in its menu."""

    kind: str
    title: str = ""
    id: str = ""
    place: int = 0
    image: t.Optional[str] = None
    entries: t.Optional[t.List[_Block]] = None

    def is_meant(self, word: str) -> bool:
        return word in (self.title, self.id) or word == str(self.place)


def grub_default(config: str, variables: t.Mapping[str, str]) -> t.Optional[str]:
    """The kernel image that GRUB boots by default, as its grub.cfg names it; None where the file does not tell."""
    chosen = default_entry(config, variables)
    level: t.Optional[t.List[_Block]] = _menu(config)
    entry = None
    for word in chosen.split(">"):
        entry = next((one for one in level or () if one.is_meant(word)), None)
        if entry is None:
            return None
        level = entry.entries
    while entry is not None and entry.kind == "submenu":
        entry = entry.entries[0] if entry.entries else None
    return entry.image if entry else None


def default_entry(config: str, variables: t.Mapping[str, str]) -> str:
    """The word for the entry: a number, title or id, with ">" between the levels. "0" is the first."""
    once = variables.get("next_entry", "")
    if once and "next_entry" in config:
        return once
    found = [word.strip("\"'") for word in _DEFAULT.findall(config)]
    words = [word for word in found if "next_entry" not in word]
    word = words[-1] if words else "0"
    if "saved_entry" in word:
        word = variables.get("saved_entry", "")
    return word or "0"


def _menu(config: str) -> t.List[_Block]:
    top: t.List[_Block] = []
    stack: t.List[_Block] = [_Block("menu", entries=top)]
    for line in (line.strip() for line in config.splitlines()):
        opening = _OPENING.match(line)
        if opening:
            menu = next((one.entries for one in reversed(stack) if one.entries is not None), top)
            block = _block(opening, len(menu))
            menu.append(block)
            stack.append(block)
        elif line.endswith("{"):
            stack.append(_Block("other"))
        elif line == "}" and len(stack) > 1:
            stack.pop()
        else:
            image = _LINUX.match(line)
            if image and stack[-1].kind == "menuentry":
                stack[-1].image = image.group(1)
    return top


def _block(opening: t.Match[str], place: int) -> _Block:
    named = _ID.search(opening["rest"])
    return _Block(
        kind=opening[1],
        title=opening["title"].strip("\"'"),
        id=named.group(1).strip("\"'") if named else "",
        place=place,
        entries=[] if opening[1] == "submenu" else None,
    )


def entries_default(entries: t.Mapping[str, str], saved: str) -> t.Optional[str]:
    """The kernel image by Boot Loader Specification: `entries` are the files of loader/entries by name, `saved` is the
    entry that is chosen, by its name, title or place; without it the newest version boots, the first."""
    known = {name[: -len(".conf")] if name.endswith(".conf") else name: _entry(text) for name, text in entries.items()}
    for name, entry in known.items():
        if saved and saved in (name, entry.get("title")):
            return entry.get("linux")
    images = [entry["linux"] for entry in known.values() if release_of(entry.get("linux", ""))]
    images.sort(key=lambda image: version_key(release_of(image) or ""), reverse=True)
    place = int(saved) if saved.isdigit() else 0
    return images[place] if place < len(images) else None


def _entry(text: str) -> t.Dict[str, str]:
    pairs = (line.split(None, 1) for line in text.splitlines() if not line.startswith("#"))
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
