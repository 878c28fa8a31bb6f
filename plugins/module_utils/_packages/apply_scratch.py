# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A temporary folder in which a package manager sees repositories that the node has not. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
import tempfile
import typing as t

from .._files import Files
from .objects import Source

_LARGE = 1 << 20


class Scratch:
    """The folder, and what is put into it. All of it goes with `close`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.folder = tempfile.mkdtemp(prefix="accel-gpu-packages-")
        # apt reads keys and writes lists as a user of its own
        os.chmod(self.folder, 0o755)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    def make(self, *names: str) -> str:
        path = self.path(*names)
        os.makedirs(path, mode=0o755, exist_ok=True)
        return path

    def write(self, path: str, content: bytes) -> str:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "wb") as handle:
            handle.write(content)
        return path

    def copy_files(self, node_path: str, name: str) -> str:
        """A copy of the files directly in a folder of the node."""
        target = self.make(name)
        for one in self._files.names(node_path):
            source = self._files.path(f"{node_path}/{one}")
            if os.path.isfile(source):
                shutil.copyfile(source, os.path.join(target, one))
        return target

    def link_files(self, node_path: str, name: str, leave_out: t.Container[str] = ()) -> str:
        """Links to the files directly in a folder of the node: who replaces one by rename replaces the link."""
        target = self.make(name)
        for one in self._files.names(node_path):
            source = self._files.path(f"{node_path}/{one}")
            if one not in leave_out and os.path.isfile(source):
                os.symlink(source, os.path.join(target, one))
        return target

    def copy_tree(self, node_path: str, name: str, leave_out: t.Container[str] = ()) -> str:
        """A copy of a cache. Large files are linked where that is possible: they are replaced, never written into."""
        target = self.path(name)
        source = self._files.path(node_path)
        if not os.path.isdir(source):
            return self.make(name)
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_or_link, ignore=_unwanted(leave_out))
        return target

    def forget(self, *names: str) -> None:
        """What a cache has of a repository that comes anew: its manager would take what it knows for checked. The last
        of `names` may be a pattern."""
        for path in glob.glob(self.path(*names)):
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def place(self, sources: t.Sequence[Source], folders: t.Mapping[str, str]) -> t.Tuple[str, ...]:
        """Writes the files of `sources`: those of a folder of the node into its stand-in here, all others into keys/.

        A path of one of them that a definition names is replaced by the new one. Answers where they lie.
        """
        moved: t.Dict[str, str] = {}
        for source in sources:
            for path, _content in source.files:
                name = folders.get(os.path.dirname(path), "keys")
                moved[path] = self.path(name, os.path.basename(path))
        for source in sources:
            for path, content in source.files:
                for old, new in moved.items():
                    content = content.replace(old.encode("utf-8"), new.encode("utf-8"))
                self.write(moved[path], content)
        return tuple(moved.values())


def _copy_or_link(source: str, target: str) -> str:
    if os.path.getsize(source) >= _LARGE:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return target
    return shutil.copy2(source, target)


def _unwanted(names: t.Container[str]) -> t.Callable[[str, t.List[str]], t.List[str]]:
    """Sockets of a gpg-agent and locks cannot be copied, or must not be."""

    def ignore(folder: str, found: t.List[str]) -> t.List[str]:
        return [
            one
            for one in found
            if one in names or one.endswith((".pid", ".lock", ".rpm")) or _is_special(os.path.join(folder, one))
        ]

    return ignore


def _is_special(path: str) -> bool:
    kind = os.lstat(path).st_mode
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind))


@contextlib.contextmanager
def closing_on_error(scratch: t.Optional[Scratch]) -> t.Iterator[None]:
    """Nothing is left behind where a manager could not be set up."""
    try:
        yield
    except BaseException:
        if scratch is not None:
            scratch.close()
        raise
