# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""apt with repositories that the node has not: sources, lists and cache in a folder of their own. PRIVATE."""

from __future__ import annotations

import os
import re
import typing as t

from .._files import Files
from .apply_scratch import Scratch
from .objects import Source

_LISTS = "/var/lib/apt/lists"
_SOURCES = "/etc/apt/sources.list.d"
_PREFERENCES = "/etc/apt/preferences.d"
_ADDRESS = re.compile(rb"^URIs:[ \t]*(\S+)", re.MULTILINE)
# kept as it came where Acquire::GzipIndexes says so
_INDEX = re.compile(r"_Packages(\.\w+)?$")


def move_into(scratch: Scratch, files: Files, sources: t.Sequence[Source]) -> str:
    """Copies of the node's sources and lists beside the new ones; answers apt's configuration that points there."""
    folders = {_SOURCES: "sources.list.d", _PREFERENCES: "preferences.d"}
    for path, name in folders.items():
        scratch.copy_files(path, name)
    scratch.place(sources, folders)
    scratch.write(scratch.path("sources.list"), files.read("/etc/apt/sources.list") or b"")
    scratch.link_files(_LISTS, "lists", leave_out=("lock",))
    scratch.make("lists", "partial")
    scratch.make("cache", "archives", "partial")
    return scratch.write(scratch.path("apt.conf"), _configuration(scratch.folder).encode("utf-8"))


def addresses(sources: t.Sequence[Source]) -> t.Tuple[str, ...]:
    """Where the new repositories are."""
    texts = [content for source in sources for path, content in source.files if os.path.dirname(path) == _SOURCES]
    return tuple(found.decode("utf-8") for text in texts for found in _ADDRESS.findall(text))


def without_lists(files: Files) -> bool:
    """Has the node never fetched an index, or lost it?"""
    return not any(_INDEX.search(name) for name in files.names(_LISTS))


def update_options(scratch: Scratch, files: Files, sources: t.Sequence[Source], anew: bool) -> t.Tuple[str, ...]:
    """apt-get update of the new repositories alone; of all if `anew`, and where the node has no lists yet."""
    options = ("-c", scratch.path("apt.conf"), "-o", "APT::Get::List-Cleanup=false")
    if anew or without_lists(files):
        return options
    only = scratch.make("only")
    for source in sources:
        for path, _content in source.files:
            if os.path.dirname(path) == _SOURCES:
                name = os.path.basename(path)
                os.symlink(scratch.path("sources.list.d", name), os.path.join(only, name))
    return (*options, "-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={only}")


def _configuration(folder: str) -> str:
    """Hooks of an update would write outside."""
    cleared = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")
    lines = [f"#clear APT::Update::{name};" for name in cleared]
    lines += [
        f'Dir::Etc::SourceList "{folder}/sources.list";',
        f'Dir::Etc::SourceParts "{folder}/sources.list.d";',
        f'Dir::Etc::PreferencesParts "{folder}/preferences.d";',
        f'Dir::State::Lists "{folder}/lists";',
        f'Dir::Cache "{folder}/cache";',
    ]
    return "\n".join(lines) + "\n"
