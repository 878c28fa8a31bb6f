# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image is made of, and the tag that follows from it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import sys
import typing as t
from pathlib import Path

import yaml

from labctl import repos
from labctl.common import BUILD, GPUSIM, IMAGE, LabError
from labctl.files import Entry, tree

# Raised when the way images are made changes, so that images of the old way are not taken for new ones.
REVISION = 1
RECIPES = IMAGE / "recipes.yml"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides an image."""

    name: str
    base: str
    suite: str
    components: tuple[str, ...]
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    setup: bytes
    entries: tuple[Entry, ...]

    @property
    def base_tag(self) -> str:
        parts = [str(REVISION), self.base, self.suite, *self.components, "", *self.packages, "", *self.exclude]
        return f"accel-lab-{self.base}:{_digest(json.dumps(parts).encode())}"

    @property
    def tag(self) -> str:
        chunks = [self.base_tag.encode(), self.setup]
        for entry in sorted(self.entries, key=lambda one: one.path):
            chunks += [f"{entry.path}\0{entry.mode:o}\0{entry.link}".encode(), entry.content]
        return f"accel-lab-{self.name}:{_digest(*chunks)}"


def load(name: str = "node", gpusim_out: Path = BUILD / "gpusim", host_suite: str | None = None) -> Recipe:
    """The recipe of image `name` as it lies in the checkout, with the simulated library built in `gpusim_out`."""
    document = yaml.safe_load(RECIPES.read_text())
    try:
        image = document["images"][name]
    except KeyError:
        raise LabError(f"there is no image {name!r}; {RECIPES.name} has {', '.join(document['images'])}") from None
    base = document["bases"][image["base"]]
    suites = base["suites"]
    suite = host_suite if host_suite is not None else _host_suite()
    entries: list[Entry] = []
    for overlay in image["overlays"]:
        entries += tree(IMAGE / overlay, "")
    entries += gpusim_entries(gpusim_out)
    if image.get("repositories"):
        entries += repos.entries(kind=image["repositories"])
    return Recipe(
        name=name,
        base=image["base"],
        suite=suite if suite in suites else suites[0],
        components=tuple(base["components"]),
        packages=tuple(sorted(_flat(base["packages"]))),
        exclude=tuple(base["exclude"]),
        setup=b"".join((IMAGE / part).read_bytes() for part in image["setup"]),
        entries=tuple(entries),
    )


def _flat(words: t.Sequence[t.Any]) -> list[str]:
    """A list of packages may have another base's list in it."""
    return [one for word in words for one in (_flat(word) if isinstance(word, list) else [word])]


def gpusim_entries(out: Path) -> list[Entry]:
    """The simulated library and its front ends, below /usr/lib/gpusim on the node."""
    library = out / "libnvidia-ml.so.1"
    if not library.is_file():
        raise LabError(f"{library.name} is not built; run: make -C tests/lab/gpusim OUT=$PWD/.build/gpusim")
    entries = [
        Entry("usr/lib/gpusim/lib/libnvidia-ml.so.1", 0o755, library.read_bytes()),
        # the genuine binding, for the front ends alone: the node itself has none
        Entry("usr/lib/gpusim/pynvml.py", 0o644, _pynvml()),
    ]
    for part in ("cli", "smi"):
        for entry in tree(GPUSIM / part, ""):
            # launchers lie in a folder of their own, their packages where they look for them
            folder = "usr/lib/gpusim" if "/" in entry.path else "usr/lib/gpusim/bin"
            entries.append(dataclasses.replace(entry, path=f"{folder}/{entry.path}"))
    return entries


def _pynvml() -> bytes:
    found = importlib.util.find_spec("pynvml")
    if found is None or found.origin is None:
        raise LabError(f"{sys.executable} has no pynvml; run this with the project's interpreter (make env)")
    return Path(found.origin).read_bytes()


def _host_suite() -> str:
    for line in _lines(Path("/etc/os-release")):
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip().strip('"')
    return ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _digest(*chunks: bytes) -> str:
    total = hashlib.sha256()
    for chunk in chunks:
        # lengths keep apart what would read the same when joined
        total.update(f"{len(chunk)}:".encode())
        total.update(chunk)
    return total.hexdigest()[:12]
