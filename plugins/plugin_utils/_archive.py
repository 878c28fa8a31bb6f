# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node agent as one reproducible archive, built in memory on the control node. PRIVATE to the collection.

The same sources give the same bytes on every control node: names are sorted, timestamps and modes are fixed, and
nothing is compressed (two versions of zlib may pack the same text differently, and then two control nodes would report
changes for ever).
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pathlib
import re
import typing as t
import zipfile

MODULE_UTILS = pathlib.Path(__file__).resolve().parent.parent / "module_utils"
# Where the closure of imports starts; the resident table behind it names every core.
ENTRY = "_agent/cli.py"
# The package's name on the node. It has no dots, so that a relative import means the same there as in the collection.
PACKAGE = "accel_gpu"
_MAIN = f"import sys\n\nfrom {PACKAGE}._agent.cli import main\n\nsys.exit(main())\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip file can hold

_IMPORT = re.compile(
    r"^[ \t]*from[ \t]+(?P<dots>\.+)(?P<module>[\w.]*)[ \t]+import[ \t]+(?:\((?P<many>[^)]*)\)|(?P<one>[^\n#]*))",
    re.MULTILINE,
)


def agent_archive(root: pathlib.Path = MODULE_UTILS) -> bytes:
    """The bytes of accel-gpu.pyz. `root` is a module_utils folder; raises OSError where a source cannot be read."""
    sources = {f"{PACKAGE}/{name}": (root / name).read_bytes() for name in needed_files(root)}
    for folder in _folders(sources):
        sources.setdefault(f"{folder}/__init__.py", b"")
    sources["__main__.py"] = _MAIN.encode()
    return _pack(sources)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal, as the module computes it on the node."""
    return hashlib.sha256(data).hexdigest()


def binding_source() -> t.Optional[bytes]:
    """The control node's own pynvml.py, located but never imported; None where nvidia-ml-py is not installed."""
    spec = importlib.util.find_spec("pynvml")
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return pathlib.Path(spec.origin).read_bytes()


def needed_files(root: pathlib.Path) -> t.Tuple[str, ...]:
    """The files that the agent's entry imports, directly or not, as sorted paths below `root`."""
    found: t.Set[str] = set()
    queue = [ENTRY]
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        queue.extend(_imports(root, name))
    return tuple(sorted(found))


def _imports(root: pathlib.Path, name: str) -> t.Iterator[str]:
    """What one file imports. Only relative imports are legal in module_utils, so their dots and names are enough."""
    parts = name.split("/")[:-1]
    for match in _IMPORT.finditer((root / name).read_text(encoding="utf-8")):
        up = len(match["dots"]) - 1
        if up > len(parts):
            continue  # leaves the folder: the import rules forbid it, their test reports it
        base = parts[: len(parts) - up] + [part for part in match["module"].split(".") if part]
        yield from _resolve(root, base, _names(match["many"] or match["one"] or ""))


def _names(imported: str) -> t.List[str]:
    without_comments = re.sub(r"#[^\n]*", "", imported)
    return [item.split(" as ")[0].strip() for item in without_comments.split(",") if item.strip()]


def _resolve(root: pathlib.Path, base: t.List[str], names: t.List[str]) -> t.Iterator[str]:
    """`from .base import names`: base is a module, or a package whose names may be modules."""
    module = "/".join(base) + ".py"
    if base and (root / module).is_file():
        yield module
        return
    for name in names:
        candidate = "/".join([*base, name])
        if (root / f"{candidate}.py").is_file():
            yield f"{candidate}.py"


def _folders(sources: t.Iterable[str]) -> t.List[str]:
    folders = {str(parent) for name in sources for parent in pathlib.PurePosixPath(name).parents}
    return sorted(folders - {"."})


def _pack(sources: t.Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, wherever the control node runs
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, sources[name])
    return buffer.getvalue()
